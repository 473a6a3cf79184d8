"""Where a picture holds no data: how much of any box, without reading its pixels again."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

_MOST_POINTS = 4_194_304  # of a map; larger pictures are counted in squares of several pixels
LEAST_SAID = 0.001  # share without data that is worth a word
_BAND_PX = 16_000_000  # read at a time


@dataclass(frozen=True, eq=False)
class VoidMap:
    """Share of each square of a picture that holds no data.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the picture in pixels.
    side : int
        Of the squares, in pixels; 1 where the map is exact. Squares at the right and lower edge may be cut.
    shares : array (rows, columns), float32
        In [0, 1].
    """

    shape: tuple[int, int]
    side: int
    shares: NDArray[np.float32]

    @cached_property
    def pixels(self) -> float:
        """How many pixels hold no data."""
        return float(self.areas(np.array([0, self.shape[0]]), np.array([0, self.shape[1]]))[0, 0])

    @property
    def share(self) -> float:
        """Share of the picture that holds no data, in [0, 1]."""
        return self.pixels / (self.shape[0] * self.shape[1])

    def areas(self, y_edges: NDArray[np.int64], x_edges: NDArray[np.int64]) -> NDArray[np.float64]:
        """Pixels without data in each of the cells between rising edges, (rows, columns)."""
        along_y = self._overlap(y_edges, self.shape[0]) @ self.shares.astype(np.float64)
        return np.asarray((self._overlap(x_edges, self.shape[1]) @ along_y.T).T, dtype=np.float64)

    def share_of(self, boxes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Share without data of each box `(y0, x0, y1, x1)`, (n,)."""
        if not len(boxes):
            return np.zeros(0)
        y, x = (np.unique(boxes[:, [first, first + 2]]) for first in (0, 1))
        summed = np.zeros((len(y), len(x)))
        summed[1:, 1:] = self.areas(y, x).cumsum(axis=0).cumsum(axis=1)
        top, bottom = np.searchsorted(y, boxes[:, 0]), np.searchsorted(y, boxes[:, 2])
        left, right = np.searchsorted(x, boxes[:, 1]), np.searchsorted(x, boxes[:, 3])
        held = summed[bottom, right] - summed[top, right] - summed[bottom, left] + summed[top, left]
        return np.asarray(held / ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])))

    def _overlap(self, edges: NDArray[np.int64], length: int) -> sp.csr_array:
        """How many pixels of each square lie between each two edges, (cells, squares)."""
        squares = ceil(length / self.side)
        bounds = np.minimum(np.arange(squares + 1) * self.side, length)
        cuts = np.unique(np.concatenate([edges, bounds[(bounds > edges[0]) & (bounds < edges[-1])]]))
        cell = np.searchsorted(edges, cuts[:-1], side="right") - 1
        square = np.searchsorted(bounds, cuts[:-1], side="right") - 1
        inside = (cell >= 0) & (cell < len(edges) - 1) & (square < squares)
        place = cell[inside], square[inside]
        return sp.csr_array((np.diff(cuts)[inside].astype(np.float64), place), shape=(len(edges) - 1, squares))


def void_map(shape: tuple[int, int], void: Callable[[int, int, int, int], NDArray[np.bool_]]) -> VoidMap | None:
    """Map what `void(y0, y1, x0, x1)` says of a picture, band by band; None where nothing is void."""
    height, width = shape
    side = ceil((height * width / _MOST_POINTS) ** 0.5)
    rows = max(1, _BAND_PX // (width * side)) * side
    shares = np.zeros((ceil(height / side), ceil(width / side)), dtype=np.float32)
    columns = np.arange(0, width, side)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        mask = void(top, bottom, 0, width)
        if not mask.any():
            continue
        starts = np.arange(0, bottom - top, side)
        part = mask if side == 1 else np.add.reduceat(mask, columns, axis=1, dtype=np.float32)
        part = part if side == 1 else np.add.reduceat(part, starts, axis=0)
        sizes = np.outer(np.diff([*starts, bottom - top]), np.diff([*columns, width]))
        shares[top // side : top // side + len(starts)] = part / sizes
    return VoidMap(shape, side, shares) if shares.any() else None


def void_text(share: float) -> str:
    """What is said of a picture of which this share holds no data."""
    said = "less than 1 %" if share < 0.01 else f"{100 * share:.0f} %"
    said = "more than 99 %" if 0.99 < share < 1 else said
    return f"{said} of the picture holds no data and is left out"
