"""Marked pixels as runs along rows: what is painted or outlined, however large, costs only as much as its edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_semclass.annotate.categories import MOST_CATEGORIES
from napari_semclass.annotate.marks import Marks, Region
from napari_semclass.errors import SettingsError

_Ints = NDArray[np.int64]
_STRIP_PX = 4_000_000  # looked at together


@dataclass(frozen=True, eq=False)
class Runs:
    """Pixels `[x0, x1)` of row `y` that are marked with `number`; four arrays (runs,).

    Sorted by number, row and column; runs of one number neither overlap nor touch within a row.
    """

    number: _Ints
    y: _Ints
    x0: _Ints
    x1: _Ints

    def __len__(self) -> int:
        return len(self.y)


def runs_of(marks: Marks, shape: tuple[int, int]) -> tuple[Runs, int]:
    """Everything painted or outlined on a plane of this height and width; and how many regions lie outside it.

    Raises
    ------
    SettingsError
        When what is painted has another shape, or values that are no category numbers.
    """
    parts: list[_Ints] = []
    outside = 0
    if marks.painted is not None:
        if tuple(marks.painted.shape) != tuple(shape):
            painted, wanted = (" x ".join(map(str, s)) for s in (marks.painted.shape, shape))
            raise SettingsError(f"what is painted measures {painted} px, the micrograph {wanted} px.")
        parts += _painted(marks.painted)
    for region in marks.regions:
        rows = _outlined(region, shape)
        outside += not rows.shape[1]
        parts.append(rows)
    table = np.concatenate([np.zeros((4, 0), dtype=np.int64), *parts], axis=1)
    wrong = table[0][(table[0] < 1) | (table[0] > MOST_CATEGORIES)]
    if len(wrong):
        raise SettingsError(f"marks carry the value {wrong[0]}; category numbers are 1 to {MOST_CATEGORIES}.")
    return _united(table, shape), outside


def connected(runs: Runs) -> _Ints:
    """Number of the connected mark that each run is part of, (runs,), from 0; pixels that touch at corners connect."""
    if not len(runs):
        return np.zeros(0, dtype=np.int64)
    # Runs as intervals on one line, row after row; a number's last row and the next one's first are kept apart.
    height, step = int(runs.y.max()) + 2, int(runs.x1.max()) + 2
    row = (runs.number * height + runs.y) * step
    first = np.searchsorted(row + runs.x1, row + step + runs.x0, side="left")
    last = np.searchsorted(row + runs.x0, row + step + runs.x1, side="right")
    count = np.maximum(last - first, 0)
    above = np.repeat(np.arange(len(runs)), count)
    below = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    links = coo_array((np.ones(len(above), dtype=np.int8), (above, below)), shape=(len(runs),) * 2)
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def _painted(painted: NDArray[np.integer[Any]]) -> list[_Ints]:
    """Runs (4, n) of each strip of rows that has any."""
    height, width = painted.shape
    step = max(1, _STRIP_PX // width)
    found = []
    for top in range(0, height, step):
        strip = np.asarray(painted[top : top + step])
        rows = np.flatnonzero(strip.any(axis=1))
        if len(rows):
            found.append(_strip(strip[rows], rows + top))
    return found


def _strip(strip: NDArray[np.integer[Any]], rows: NDArray[np.intp]) -> _Ints:
    """Runs (4, n) of some rows whose numbers are given."""
    width = strip.shape[1] + 1
    flat = np.pad(strip, [(0, 0), (0, 1)]).ravel()  # the zero behind each row ends its last run
    starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
    lengths = np.diff(starts, append=len(flat))
    marked = flat[starts] != 0
    starts, lengths = starts[marked], lengths[marked]
    x0 = starts % width
    return np.stack([flat[starts].astype(np.int64), rows[starts // width], x0, x0 + lengths])


def _outlined(region: Region, shape: tuple[int, int]) -> _Ints:
    """Runs (4, n) of the pixels whose centres lie inside; of a region between all centres, the pixel it is on."""
    height, width = shape
    start = np.asarray(region.polygon, dtype=np.float64)
    stop = np.roll(start, -1, axis=0)
    low = np.clip(np.ceil(np.minimum(start, stop)[:, 0]), 0, height).astype(np.int64)
    high = np.clip(np.ceil(np.maximum(start, stop)[:, 0]), 0, height).astype(np.int64)
    count = high - low
    side = np.repeat(np.arange(len(start)), count)
    y = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + low[side]
    (y0, x0), (y1, x1) = start[side].T, stop[side].T
    x = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    order = np.lexsort((x, y))
    crossings = np.clip(np.ceil(x[order]), 0, width).astype(np.int64)
    y, left, right = y[order][::2], crossings[::2], crossings[1::2]
    inside = right > left
    y, left, right = y[inside], left[inside], right[inside]
    if not len(y):
        at = np.floor(start.mean(axis=0) + 0.5).astype(np.int64)
        if (at >= 0).all() and (at < shape).all():
            y, left, right = at[:1], at[1:], at[1:] + 1
    return np.stack([np.full(len(y), region.number), y, left, right])


def _united(table: _Ints, shape: tuple[int, int]) -> Runs:
    """Sorted runs; those of one number that overlap or touch become one."""
    height, width = shape
    number, y, x0, x1 = table
    row = (number * height + y) * (width + 1)
    order = np.argsort(row + x0, kind="stable")
    number, y, x0, x1, row = (values[order] for values in (number, y, x0, x1, row))
    reach = np.maximum.accumulate(row + x1)
    begins = np.flatnonzero(np.append(True, (row + x0)[1:] > reach[:-1])[: len(row)])
    ends = np.append(begins[1:], len(row))[: len(begins)] - 1
    return Runs(number[begins], y[begins], x0[begins], (reach - row)[ends])


def count_marks(painted: Sequence[NDArray[np.integer[Any]]]) -> int:
    """Number of connected painted marks on these planes."""
    total = 0
    for plane in painted:
        runs = _united(np.concatenate([np.zeros((4, 0), dtype=np.int64), *_painted(plane)], axis=1), plane.shape)
        total += len(np.unique(connected(runs)))
    return total
