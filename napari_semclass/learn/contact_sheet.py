"""The contact sheet: the tiles about which a classifier was most confidently wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_semclass.classify.figure import new_figure, short
from napari_semclass.learn.charts import VERMILION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 5
_LINE = 30  # characters that fit above and below a tile
MOST = 20


@dataclass(frozen=True, eq=False)
class Mistake:
    """A tile (side, side), uint8, that was taken for something else, and where it is from.

    `confidence` is the probability of the answer; `box` is `(y0, x0, y1, x1)` in level-0 pixels of `file`.
    """

    pixels: NDArray[np.uint8]
    truth: str
    answer: str
    confidence: float
    file: str
    box: tuple[int, int, int, int]


def worst(probabilities: NDArray[np.float64], labels: NDArray[np.int64], pictures: NDArray[np.int64]) -> list[int]:
    """Indices of the wrong tiles with the most confident answers, the worst first and one of each picture."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    confidence = probabilities[wrong].max(axis=1)
    chosen: dict[int, int] = {}
    for index in wrong[np.argsort(-confidence, kind="stable")]:
        chosen.setdefault(int(pictures[index]), int(index))
    return list(chosen.values())[:MOST]


def contact_sheet(mistakes: Sequence[Mistake]) -> "Figure":
    """All mistakes with truth, answer, confidence, file and box."""
    if not mistakes:
        figure = new_figure(5, 1)
        figure.text(0.5, 0.5, "No answer was wrong.", ha="center", va="center")
        return figure
    columns = min(_COLUMNS, len(mistakes))
    rows = -(-len(mistakes) // columns)
    figure = new_figure(2.35 * columns, 3.0 * rows)
    for axes, mistake in zip(figure.subplots(rows, columns, squeeze=False).flat, mistakes, strict=False):
        axes.imshow(mistake.pixels, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
        y0, x0, y1, x1 = mistake.box
        answer = f"{100 * mistake.confidence:.0f} % {short(mistake.answer, _LINE - 6)}"
        # Two texts, as an axes' title has one colour.
        axes.set_title(answer, fontsize=7.5, color=VERMILION, parse_math=False, fontweight="bold")
        axes.set_xlabel(
            f"truth: {short(mistake.truth, _LINE - 7)}\n{short(mistake.file, _LINE)}\nx {x0}–{x1}, y {y0}–{y1}",
            fontsize=7,
            parse_math=False,
        )
    for axes in figure.axes:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return figure
