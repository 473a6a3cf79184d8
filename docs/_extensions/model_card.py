"""The directive `model-card NAME`: what a model's own file says of it, so that nothing is copied by hand."""

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from napari_semclass.model import load_model
from napari_semclass.model.show import card_html


class ModelCard(Directive):
    """The card as the dock's About shows it, and beneath it what only a reader of this page wants to know."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Read the file and show its card."""
        model = load_model(self.arguments[0])
        card, steps = model.card, model.card.preprocessing
        kept = "it cannot tell" if card.familiar_kept is None else f"keeps {100 * card.familiar_kept:.0f} % of held-out"
        rows = {
            "SHA-256 of the model": model.sha256,
            "Temperature": f"{card.temperature:.4g}",
            "What is unlike its training": kept,
            "Grey levels": f"percentiles {steps.low_percentile:g} and {steps.high_percentile:g} of the micrograph "
            f"become 0 and 1; mean {steps.mean:g}, standard deviation {steps.std:g}; version {steps.version}",
        }
        facts = "".join(f"<tr><th>{name}</th><td><code>{value}</code></td></tr>" for name, value in rows.items())
        page = f'<div class="model-card">{card_html(card)}<table class="docutils">{facts}</table></div>'
        return [nodes.raw("", page, format="html")]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Make the directive known to Sphinx."""
    app.add_directive("model-card", ModelCard)
    return {"parallel_read_safe": True}
