"""A model's card as HTML and as one line: what it knows, how it was tested, how good it is, who may use it."""

from html import escape

from napari_semclass.model.card import Card, TestResult

_UNITS = {"image": "whole pictures", "tile": "tiles"}


def card_html(card: Card, sha256: str = "") -> str:
    """The card, and the model's hash where it is known, as simple HTML; text from the file is escaped."""
    swatches = "".join(
        f'<tr><td style="background:{c.color}">&nbsp;&nbsp;&nbsp;</td><td>&nbsp;{escape(c.name)}</td></tr>'
        for c in card.categories
    )
    tests = "".join(_test_html(test) for test in card.tests) or "<p>Not tested.</p>"
    rest = "".join(
        f"<h4>{title}</h4><p>{escape(text)}</p>"
        for title, text in (
            *(("Made from", card.provenance), ("Licence", card.licence), ("Credit", card.credit)),
            ("SHA-256 of weights and card", sha256),
        )
        if text
    )
    return (
        f"<h3>{escape(card.title)}</h3><p>{escape(card.description)}</p>"
        f"<h4>{len(card.categories)} categories</h4><table>{swatches}</table>"
        f"<h4>How good it is</h4>{tests}{rest}"
        f"<h4>Network</h4><p>{escape(card.backbone)}, tiles of {card.tile} px seen at {card.input_size} px"
        f"{_scale_words(card)}{_context_words(card)}</p>"
    )


def accuracy_line(card: Card) -> str:
    """How good the model is, at a glance."""
    parts = [f"{_UNITS[t.unit]} {100 * t.accuracy:.0f} %" for t in card.tests]
    return "not tested" if not parts else "right on " + ", ".join(parts)


def _test_html(test: TestResult) -> str:
    low, high = (100 * share for share in test.accuracy_interval)
    balanced_low, balanced_high = (100 * share for share in test.balanced_accuracy_interval)
    recalls = ", ".join(f"{escape(name)} {100 * share:.0f} %" for name, share in test.recall.items())
    return (
        f"<p><b>{_UNITS[test.unit].capitalize()}: {100 * test.accuracy:.0f} % right</b> "
        f"(95 % interval {low:.0f} to {high:.0f} %); mean over categories {100 * test.balanced_accuracy:.0f} % "
        f"({balanced_low:.0f} to {balanced_high:.0f} %). {test.n:,} {_UNITS[test.unit]} from {test.n_images} pictures "
        f"in {test.n_groups} groups. {escape(test.protocol)}</p><p>Found of each: {recalls}</p>"
    )


def _context_words(card: Card) -> str:
    """From how much of the micrograph a tile is answered, where it is not the tile alone."""
    if card.context == 1:
        return ""
    return f". Each is answered from {card.context:g} x {card.context:g} tiles, itself in their middle"


def _scale_words(card: Card) -> str:
    """The physical size of tiles and the scales that training has seen, as far as they are known."""
    size = "" if card.tile_um is None else f"; {card.tile_um:g} µm wide where the pixel size is known"
    if card.pixel_size_range is None:
        return size
    low, high = (1e9 * length for length in card.pixel_size_range)
    return f"{size}. Trained at {low:.4g} to {high:.4g} nm per pixel of its input"


def card_text(card: Card) -> str:
    """The card as one line."""
    return f"{card.title} ({card.name}), {len(card.categories)} categories, {card.backbone}, {accuracy_line(card)}"
