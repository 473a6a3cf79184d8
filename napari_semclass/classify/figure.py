"""Figures of matplotlib that belong to nobody else: no global state, no window, and a notebook shows them."""

import io
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAME = 26  # characters of a category's name in a chart
_DPI = 130


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure (inches) of its own, which no global state knows."""
    figure: Figure = _kind()(figsize=(width, height), dpi=_DPI, facecolor="white", layout="compressed")
    return figure


@cache
def _kind() -> "type[Figure]":
    # matplotlib takes half a second to load, and only those who look at figures need it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Chart(Figure):
        """A figure that a notebook shows whether or not it was told to plot inline."""

        def __init__(self, **how: Any) -> None:
            super().__init__(**how)
            FigureCanvasAgg(self)

        def _repr_png_(self) -> bytes:
            return png(self)

    return Chart


def png(figure: "Figure") -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
    return file.getvalue()


def short(name: str, length: int = _NAME) -> str:
    """A name as one line of at most `length` characters, its middle left out where it is longer."""
    line = "".join(" " if unicodedata.category(sign).startswith("C") else sign for sign in name)
    if len(line) <= length:
        return line
    kept = length - 1
    return f"{line[: kept - kept // 2]}…{line[len(line) - kept // 2 :]}"
