"""Simple HTML for notebooks: tables and colour patches in which every text is escaped and nothing is loaded."""

from collections.abc import Sequence
from html import escape

_CELL = "padding:2px 10px;text-align:"


def paragraph(text: str, *, bold: bool = False) -> str:
    """A paragraph of plain text."""
    inner = f"<b>{escape(text)}</b>" if bold else escape(text)
    return f'<p style="margin:2px 0">{inner}</p>'


def table(header: Sequence[str], rows: Sequence[Sequence[str]], colors: Sequence[str] = ()) -> str:
    """A table of plain text; the first column is a name, the others are set to the right.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences of str
    colors : sequence of "#rrggbb", optional
        A patch before the name of each row. They must come from a checked card, as they are not text.
    """
    head = "".join(_cell("th", text, column) for column, text in enumerate(header))
    patches = [_patch(color) for color in colors] or [""] * len(rows)
    body = "".join(
        f"<tr>{''.join(_cell('td', text, column, patch) for column, text in enumerate(row))}</tr>"
        for row, patch in zip(rows, patches, strict=True)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(tag: str, text: str, column: int, patch: str = "") -> str:
    side = "right" if column else "left"
    scope = ' scope="col"' if tag == "th" else ""
    return f'<{tag}{scope} style="{_CELL}{side}">{"" if column else patch}{escape(text)}</{tag}>'


def _patch(color: str) -> str:
    box = "display:inline-block;width:0.8em;height:0.8em;margin-right:0.5em;border:1px solid #888"
    return f'<span aria-hidden="true" style="{box};background:{escape(color)}"></span>'
