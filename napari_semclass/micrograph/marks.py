"""Find what was drawn over the specimen: text, scale bars, coloured measuring marks; good enough for a warning.

Drawn marks are black, white or coloured. Text is a row of small pieces of one level with a common baseline; a scale
bar is a filled, thin rectangle with the other side of the grey range, or specimen, right above and below.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_semclass.micrograph.micrograph import Micrograph

_Ints = NDArray[np.int64]

_MOST_PX = 16_000_000  # a search takes about a second
_LEVELS = (0.03, 0.15)  # of the grey range from its end: exact marks, and marks blurred by resampling
_MOST_INK = 0.25  # of the picture; more is specimen of the level of ink
_MOST_PIECES = 20_000
_LETTERS = 4  # in a row
_BESIDE_BAR = 2  # rows beside a data bar that may still hold its frame
_COLOUR = 0.2  # of the grey range between a pixel's channels
_COLOURED = (30, 0.3)  # least pixels, most share of the picture: beyond it, the picture itself is coloured


@dataclass(frozen=True)
class Mark:
    """A mark in the half-open box `(y0, x0, y1, x1)`, in pixels."""

    kind: Literal["text", "scale bar", "colour"]
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class _Pieces:
    """Connected pieces of ink: their edges and the share of their box that is ink; arrays of one length."""

    y0: _Ints
    y1: _Ints
    x0: _Ints
    x1: _Ints
    fill: NDArray[np.float64]

    @property
    def height(self) -> _Ints:
        return self.y1 - self.y0

    @property
    def width(self) -> _Ints:
        return self.x1 - self.x0

    def box(self, which: Any) -> tuple[int, int, int, int]:
        """The box around some of them."""
        edges = self.y0[which].min(), self.x0[which].min(), self.y1[which].max(), self.x1[which].max()
        return int(edges[0]), int(edges[1]), int(edges[2]), int(edges[3])


def find_marks(micrograph: Micrograph) -> tuple[Mark, ...]:
    """Find marks outside the data bars of a micrograph; none in one of more than 16 megapixels.

    Raises
    ------
    MicrographError
        When pixels cannot be read.
    """
    height, width = micrograph.shape
    if prod(micrograph.shape) > _MOST_PX:
        return ()
    marks = _colour(np.asarray(micrograph.pixels[:, :])) if micrograph.rgb else []
    grey = micrograph.read(0, height, 0, width).astype(np.float32)
    finite = grey[np.isfinite(grey)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if high <= low:
        return ()
    grey = np.nan_to_num((grey - low) / (high - low), nan=0.5, posinf=1, neginf=0)
    allowed = np.ones(height, dtype=bool)
    for bar in micrograph.data_bars:
        allowed[max(0, bar.start - _BESIDE_BAR) : bar.stop + _BESIDE_BAR] = False
    for level in _LEVELS:
        for ink in (grey >= 1 - level, grey <= level):
            marks += [mark for mark in _drawn(ink, allowed) if not _known(mark, marks)]
    return tuple(marks)


def _known(mark: Mark, marks: Iterable[Mark]) -> bool:
    """Whether a mark overlaps one found before."""
    y0, x0, y1, x1 = mark.box
    return any(y0 < m.box[2] and m.box[0] < y1 and x0 < m.box[3] and m.box[1] < x1 for m in marks)


def _colour(pixels: NDArray[Any]) -> list[Mark]:
    channels = pixels[..., :3].astype(np.float32)
    span = float(channels.max() - channels.min())
    coloured = np.ptp(channels, axis=-1) > _COLOUR * span if span else np.zeros(channels.shape[:2], dtype=bool)
    if not _COLOURED[0] <= np.count_nonzero(coloured) <= _COLOURED[1] * coloured.size:
        return []
    rows, columns = np.flatnonzero(coloured.any(axis=1)), np.flatnonzero(coloured.any(axis=0))
    return [Mark("colour", (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1))]


def _drawn(ink: NDArray[np.bool_], allowed: NDArray[np.bool_]) -> Iterator[Mark]:
    """Scale bars and lines of text among the pixels of one level, in the allowed rows."""
    ink = ink & allowed[:, None]
    if not 0 < ink.mean() <= _MOST_INK:
        return
    labels, count = ndimage.label(ink, np.ones((3, 3)))
    if count > _MOST_PIECES:
        return
    edges = np.array([(y.start, y.stop, x.start, x.stop) for y, x in ndimage.find_objects(labels)], dtype=np.int64)
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    # Pieces that the picture's edge or a data bar cuts off end in one line, as letters do.
    inside = np.pad(allowed, 1)
    whole = inside[edges[:, 0]] & inside[edges[:, 1] + 1]
    (y0, y1, x0, x1), area = edges[whole].T, area[whole]
    pieces = _Pieces(y0, y1, x0, x1, area / ((y1 - y0) * (x1 - x0)))
    for index in _scale_bars(pieces, ink):
        yield Mark("scale bar", pieces.box([index]))
    for line in _lines(pieces, ink.shape[0]):
        yield Mark("text", pieces.box(line))


def _scale_bars(pieces: _Pieces, ink: NDArray[np.bool_]) -> Iterator[int]:
    """Indices of filled horizontal bars without ink along them, above and below."""
    rows, columns = ink.shape
    height, width = pieces.height, pieces.width
    thin = (height >= 2) & (height <= max(3, 0.03 * rows)) & (width >= 3 * height)
    long = (width >= max(8, 0.03 * columns)) & (width <= 0.5 * columns)
    for index in np.flatnonzero(thin & long & (pieces.fill >= 0.9)):
        across = slice(pieces.x0[index], pieces.x1[index])
        above = ink[max(0, pieces.y0[index] - 3) : max(0, pieces.y0[index] - 1), across]
        below = ink[pieces.y1[index] + 1 : pieces.y1[index] + 3, across]
        if above.size and below.size and max(above.mean(), below.mean()) < 0.05:
            yield int(index)


def _lines(pieces: _Pieces, rows: int) -> Iterator[list[int]]:
    """Indices of the pieces of each line of text, from left to right."""
    height, width = pieces.height, pieces.width
    letter = (height >= 6) & (height <= 0.15 * rows) & (width <= 2.2 * height) & (width >= 0.08 * height)
    letters = np.flatnonzero(letter & (pieces.fill >= 0.12) & (pieces.fill <= 0.95))
    letters = letters[np.argsort(pieces.x0[letters], kind="stable")]
    used: set[int] = set()
    for first in letters.tolist():
        if first in used:
            continue
        line = [first]
        while (following := _next_letter(pieces, letters, line)) is not None:
            line.append(following)
        if len(line) >= _LETTERS:
            used.update(line)
            yield line


def _next_letter(pieces: _Pieces, letters: _Ints, line: list[int]) -> int | None:
    """The nearest piece to the right on the line's baseline, of about its height; None at the line's end."""
    last = line[-1]
    size, base = float(np.median(pieces.height[line])), float(np.median(pieces.y1[line]))
    gap = pieces.x0[letters] - pieces.x1[last]
    ratio = pieces.height[letters] / size
    fits = (gap >= -0.15 * size) & (gap <= 0.7 * size) & (pieces.x0[letters] > pieces.x0[last])
    fits &= (np.abs(pieces.y1[letters] - base) <= max(1.0, 0.12 * size)) & (ratio >= 0.55) & (ratio <= 1.6)
    found = letters[fits]
    return int(found[0]) if found.size else None
