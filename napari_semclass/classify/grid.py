"""The tile grid: which boxes of a micrograph are classified, and the cells that their edges cut."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from napari_semclass.errors import SettingsError
from napari_semclass.micrograph.void import VoidMap

LARGEST_TILE = 16_384
# Beyond this even the answers would fill the memory, and nobody would live to see them on a usual computer.
MOST_TILES = 5_000_000
MOST_VOID = 0.5
"""Share of a tile without data up to which it is classified."""

Interval = tuple[int, int]


@dataclass(frozen=True)
class TileGrid:
    """Tiles as the product of row and column intervals, in level-0 pixels, half-open, y down.

    Parameters
    ----------
    rows, columns : tuple of (start, stop)
        Tile extents along y and x, in order; tile `i` is `rows[i // len(columns)]` x `columns[i % len(columns)]`.
    tile, stride : int
        As asked for, in pixels; extents are shorter than `tile` only where the micrograph is.
    shape : (int, int)
        Height and width of the micrograph.
    void : array (cell rows, cell columns), float64, or None
        Pixels without data in each of the `cells`; None where all hold some. Tiles more than half without data are
        `left_out`: they keep their numbers, and are neither computed nor counted.
    """

    rows: tuple[Interval, ...]
    columns: tuple[Interval, ...]
    tile: int
    stride: int
    shape: tuple[int, int]
    void: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    @cached_property
    def left_out(self) -> NDArray[np.bool_]:
        """Which tiles hold too little data to be classified, (tiles,)."""
        if self.void is None:
            return np.zeros(len(self), dtype=bool)
        rows, columns = self.cells()
        void = columns.cover.T @ (rows.cover.T @ self.void).T
        areas = np.outer(np.diff(self.rows, axis=1), np.diff(self.columns, axis=1))
        return np.asarray((void.T / areas) > MOST_VOID).ravel()

    @cached_property
    def laid(self) -> NDArray[np.int64]:
        """Numbers of the tiles that are classified, all but those that are left out, in order."""
        return np.flatnonzero(~self.left_out)

    def box(self, index: int) -> tuple[int, int, int, int]:
        """Box `(y0, x0, y1, x1)` of one tile: rows `[y0, y1)`, columns `[x0, x1)`."""
        row, column = divmod(index, len(self.columns))
        (y0, y1), (x0, x1) = self.rows[row], self.columns[column]
        return y0, x0, y1, x1

    def boxes(self) -> NDArray[np.int64]:
        """All boxes, (tiles, 4), each `(y0, x0, y1, x1)`."""
        y = np.repeat(np.array(self.rows, dtype=np.int64), len(self.columns), axis=0)
        x = np.tile(np.array(self.columns, dtype=np.int64), (len(self.rows), 1))
        return np.stack([y[:, 0], x[:, 0], y[:, 1], x[:, 1]], axis=1)

    def tile_at(self, y: float, x: float) -> int | None:
        """The tile around a position in pixels, of several the one with the nearest middle; None where none is laid."""
        row, column = _nearest(self.rows, y), _nearest(self.columns, x)
        if row is None or column is None or self.left_out[row * len(self.columns) + column]:
            return None
        return row * len(self.columns) + column

    def cells(self) -> tuple["Axis", "Axis"]:
        """The rectilinear cells that all tile edges cut, as one axis along y and one along x."""
        return Axis.of(self.rows), Axis.of(self.columns)

    def blocks(self, pixels: int) -> Iterator[tuple[range, range]]:
        """Row and column ranges of tiles whose common bounding box holds at most `pixels` (or is one tile)."""
        for columns in _runs(self.columns, max(self.tile, pixels // self.tile)):
            width = self.columns[columns[-1]][1] - self.columns[columns[0]][0]
            for rows in _runs(self.rows, max(self.tile, pixels // width)):
                yield rows, columns


@dataclass(frozen=True)
class Axis:
    """One axis of the cells: `edges` (cells + 1) in pixels, and which tile extents cover each cell."""

    edges: NDArray[np.int64]
    cover: sp.csr_array  # (cells, tile extents), 1 where the extent covers the cell

    @classmethod
    def of(cls, extents: Sequence[Interval]) -> "Axis":
        """The axis that the edges of these extents cut."""
        edges = np.unique(np.array(extents, dtype=np.int64))
        first, last = np.searchsorted(edges, np.array(extents, dtype=np.int64)).T
        counts = last - first
        tiles = np.repeat(np.arange(len(extents)), counts)
        cells = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
        cover = sp.csr_array((np.ones(len(cells)), (cells, tiles)), shape=(len(edges) - 1, len(extents)))
        return cls(edges, cover)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of each cell along this axis, in pixels."""
        return np.diff(self.edges)


def tile_grid(
    shape: tuple[int, int],
    tile: int,
    stride: int | None = None,
    specimen: Sequence[Interval] | None = None,
) -> TileGrid:
    """Lay tiles so that every pixel of the specimen is covered.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the micrograph in pixels.
    tile, stride : int
        Side of a tile, and step from one to the next, in pixels; `stride` defaults to `tile`.
    specimen : sequence of (y0, y1), optional
        Row intervals to cover (see `Micrograph.specimen`); default all rows. An interval thinner than a quarter
        tile beside a thicker one is left out, as the data bar is: such a strip holds too little to classify.

    Returns
    -------
    TileGrid
        The last tile of each interval is aligned to its edge; where an interval is shorter than a tile, the
        tile's extent is the interval.

    Raises
    ------
    SettingsError
        Tile or stride below 1 px, stride larger than the tile, nothing to cover, or too many tiles.
    """
    stride = tile if stride is None else stride
    if tile < 1 or stride < 1:
        raise SettingsError(f"tile ({tile} px) and stride ({stride} px) must be at least 1 px.")
    if tile > LARGEST_TILE:
        raise SettingsError(f"tile {tile} px is larger than the {LARGEST_TILE:,} px that are possible.")
    if stride > tile:
        raise SettingsError(
            f"stride {stride} px is larger than tile {tile} px and would leave gaps; use a stride up to {tile}."
        )
    height, width = shape
    intervals = [(0, height)] if specimen is None else list(specimen)
    tallest = max((y1 - y0 for y0, y1 in intervals), default=0)
    if min(tallest, width) < 1:
        raise SettingsError("the micrograph has no specimen pixels to lay tiles on.")
    rows = [
        extent for y0, y1 in intervals if y1 - y0 >= min(tile / 4, tallest) for extent in _extents(y0, y1, tile, stride)
    ]
    columns = _extents(0, width, tile, stride)
    if len(rows) * len(columns) > MOST_TILES:
        raise SettingsError(
            f"tiles of {tile} px with stride {stride} px would be {len(rows) * len(columns):,} tiles on {width:,} x "
            f"{height:,} px; take a larger tile or stride (at most {MOST_TILES:,} tiles are possible)."
        )
    return TileGrid(tuple(rows), tuple(columns), tile, stride, (height, width))


def whole_grid(
    shape: tuple[int, int], specimen: Sequence[Interval] | None = None, columns: Interval | None = None
) -> TileGrid:
    """One tile: the tallest specimen interval, over the full width or over some columns."""
    y0, y1 = max(specimen or [(0, shape[0])], key=lambda part: part[1] - part[0])
    x0, x1 = columns or (0, shape[1])
    side = max(y1 - y0, x1 - x0)
    return TileGrid(((y0, y1),), ((x0, x1),), side, side, shape)


def without_void(grid: TileGrid, void: VoidMap | None) -> TileGrid:
    """The same tiles, of which those that lie mostly where there is no data are left out."""
    if void is None:
        return grid
    rows, columns = grid.cells()
    areas = void.areas(rows.edges, columns.edges)
    return replace(grid, void=areas) if areas.any() else grid


def _extents(start: int, stop: int, tile: int, stride: int) -> list[Interval]:
    """Extents of length `tile` from `start`, the last one aligned to `stop`."""
    if stop - start <= tile:
        return [(start, stop)]
    starts = [*range(start, stop - tile, stride), stop - tile]
    return [(first, first + tile) for first in starts]


def _nearest(extents: Sequence[Interval], position: float) -> int | None:
    """Index of the extent that holds a position, of several the one with the nearest middle."""
    holding = [index for index, (start, stop) in enumerate(extents) if start <= position < stop]
    return min(holding, key=lambda index: abs(position - sum(extents[index]) / 2), default=None)


def _runs(extents: Sequence[Interval], length: int) -> Iterator[range]:
    """Consecutive extents that together span at most `length` pixels, at least one at a time."""
    first = 0
    for index in range(1, len(extents) + 1):
        if index == len(extents) or extents[index][1] - extents[first][0] > length:
            yield range(first, index)
            first = index
