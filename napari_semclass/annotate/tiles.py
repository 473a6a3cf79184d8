"""From marks to labelled tiles: which tiles of the grid take which category."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from napari_semclass.annotate.marks import Marks, Point
from napari_semclass.annotate.runs import Runs, connected, runs_of
from napari_semclass.classify.grid import Axis, TileGrid

_Ints = NDArray[np.int64]

# Less of a tile says too little about it, unless it is all there is of a mark.
LEAST_MARKED = 0.25
# Of the marked area of a tile; with less, it shows several categories.
LEAST_SHARE = 0.8
_MIXED = 0  # in place of a category's number


@dataclass(frozen=True, eq=False)
class MarkedTiles:
    """Tiles that marks say the category of, in the grid's order.

    Parameters
    ----------
    boxes : array (n, 4), int64
        `(y0, x0, y1, x1)` in level-0 pixels, half-open.
    numbers : array (n,), int64
        Category numbers.
    indices : array (n,), int64
        Index of each tile in its grid.
    mixed : int
        Tiles left out because several categories share them.
    unused : int
        Marks that gave no tile and share none: they lie in a data bar, outside the micrograph, or only in tiles
        that other marks gave to another category.
    """

    boxes: _Ints
    numbers: _Ints
    indices: _Ints
    mixed: int = 0
    unused: int = 0

    def __len__(self) -> int:
        return len(self.numbers)

    def of(self, numbers: _Ints) -> "MarkedTiles":
        """The tiles of these categories only."""
        kept = np.isin(self.numbers, numbers)
        return replace(self, boxes=self.boxes[kept], numbers=self.numbers[kept], indices=self.indices[kept])


@dataclass(frozen=True, eq=False)
class _Decided:
    """Tiles (n,), sorted, and the category number of each, or _MIXED."""

    tiles: _Ints
    numbers: _Ints

    def of(self, tiles: _Ints) -> _Ints:
        """Number of each of these tiles; -1 where nothing is decided."""
        if not len(self.tiles):
            return np.full(len(tiles), -1)
        at = np.minimum(np.searchsorted(self.tiles, tiles), len(self.tiles) - 1)
        return np.where(self.tiles[at] == tiles, self.numbers[at], -1)

    def overruled_by(self, other: "_Decided") -> "_Decided":
        """Both; where they contradict each other, the other one holds."""
        own = ~np.isin(self.tiles, other.tiles)
        tiles = np.concatenate([self.tiles[own], other.tiles])
        order = np.argsort(tiles)
        return _Decided(tiles[order], np.concatenate([self.numbers[own], other.numbers])[order])

    @classmethod
    def agreed(cls, tiles: _Ints, numbers: _Ints) -> "_Decided":
        """One decision per tile from several (n,); _MIXED where they differ."""
        unique, inverse = np.unique(tiles, return_inverse=True)
        least, most = np.full(len(unique), np.iinfo(np.int64).max), np.full(len(unique), -1)
        np.minimum.at(least, inverse, numbers)
        np.maximum.at(most, inverse, numbers)
        return cls(unique, np.where(least == most, most, _MIXED))


def mark_tiles(marks: Marks, grid: TileGrid) -> MarkedTiles:
    """Decide which tiles of a grid the marks on it label.

    A tile takes the category with the largest marked area in it, if at least a quarter of the tile is marked and
    that category has at least four fifths of what is marked; marked as much but by several categories, it is
    mixed and left out. A point labels the tile it lies in (of overlapping ones, that whose centre is nearest),
    whatever else is marked there; points that contradict each other make it mixed. A connected mark that so far
    gave no tile and shares no mixed one gives the tile that holds most of it, of those that are undecided, so that
    no mark is without effect; where two such marks disagree, the tile is mixed.

    Parameters
    ----------
    marks : Marks
    grid : TileGrid
        Without tiles on data bars, as `Settings.grid` lays it.

    Raises
    ------
    SettingsError
        When what is painted does not fit the micrograph or holds no category numbers.
    """
    runs, unused = runs_of(marks, grid.shape)
    rows, columns = grid.cells()
    pieces = _pieces(runs, rows, columns)
    by_area = _by_area(pieces, grid, rows, columns)
    by_point, lost = _by_point(marks.points, grid)
    decided = by_area.overruled_by(by_point)
    last, overruled = _by_last_resort(pieces, decided, grid, rows, columns)
    decided = decided.overruled_by(last)
    held = ~grid.left_out[decided.tiles]
    mixed = decided.numbers == _MIXED
    indices = decided.tiles[held & ~mixed]
    without = int(np.sum(~held))
    return MarkedTiles(
        _boxes(indices, grid),
        decided.numbers[held & ~mixed],
        indices,
        int(np.sum(held & mixed)),
        unused + lost + overruled + without,
    )


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Marked area by connected mark and cell, (n,) each; `numbers` (marks,) of all marks, on cells or not."""

    mark: _Ints
    row: _Ints
    column: _Ints
    area: _Ints
    numbers: _Ints

    @property
    def number(self) -> _Ints:
        """Category number of each piece, (n,)."""
        return self.numbers[self.mark]


def _pieces(runs: Runs, rows: Axis, columns: Axis) -> _Pieces:
    """Cut runs at the edges of the cells; what lies above or below all cells falls away."""
    mark = connected(runs)
    numbers = np.zeros(int(mark.max(initial=-1)) + 1, dtype=np.int64)
    numbers[mark] = runs.number
    row = np.searchsorted(rows.edges, runs.y, side="right") - 1
    inside = np.flatnonzero((row >= 0) & (row < len(rows.lengths)))
    first = np.searchsorted(columns.edges, runs.x0[inside], side="right") - 1
    count = np.searchsorted(columns.edges, runs.x1[inside], side="left") - first
    run = np.repeat(inside, count)
    column = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    length = np.minimum(runs.x1[run], columns.edges[column + 1]) - np.maximum(runs.x0[run], columns.edges[column])
    cells = len(rows.lengths) * len(columns.lengths)
    unique, inverse = np.unique(mark[run] * cells + row[run] * len(columns.lengths) + column, return_inverse=True)
    area = np.bincount(inverse, weights=length, minlength=len(unique)).astype(np.int64)
    mark, cell = np.divmod(unique, cells)
    return _Pieces(mark, *np.divmod(cell, len(columns.lengths)), area, numbers)


def _by_area(pieces: _Pieces, grid: TileGrid, rows: Axis, columns: Axis) -> _Decided:
    """Tiles that are marked to a quarter, by the marked area of each category."""
    shape = len(rows.lengths), len(columns.lengths)
    none = np.zeros(0, dtype=np.int64)
    tiles, numbers, areas = [none], [none], [none]
    for number in np.unique(pieces.number):
        own = pieces.number == number
        cells = sp.csr_array((pieces.area[own].astype(np.float64), (pieces.row[own], pieces.column[own])), shape=shape)
        found = (rows.cover.T @ cells @ columns.cover).tocoo()
        tiles.append(found.row.astype(np.int64) * len(grid.columns) + found.col)
        numbers.append(np.full(found.nnz, number))
        areas.append(found.data.astype(np.int64))
    tile, number, area = (np.concatenate(parts) for parts in (tiles, numbers, areas))
    order = np.lexsort((-area, tile))  # each tile's largest category first
    tile, number, area = tile[order], number[order], area[order]
    first = _firsts(tile)
    total, tile = np.add.reduceat(area, first), tile[first]
    enough = total >= LEAST_MARKED * _extent(tile, grid)
    clear = area[first] >= LEAST_SHARE * total
    return _Decided(tile[enough], np.where(clear, number[first], _MIXED)[enough])


def _by_point(points: tuple[Point, ...], grid: TileGrid) -> tuple[_Decided, int]:
    """Tiles that points lie in, and how many points lie in none."""
    at = np.array([(point.y, point.x) for point in points]).reshape(-1, 2)
    # From napari's counting, whose whole numbers are pixel centres, to the grid's, whose are pixel edges.
    row = _nearest(at[:, 0] + 0.5, np.array(grid.rows))
    column = _nearest(at[:, 1] + 0.5, np.array(grid.columns))
    inside = (row >= 0) & (column >= 0)
    numbers = np.array([point.number for point in points], dtype=np.int64)
    tiles = row * len(grid.columns) + column
    return _Decided.agreed(tiles[inside], numbers[inside]), int(np.sum(~inside))


def _nearest(positions: NDArray[np.float64], extents: _Ints) -> _Ints:
    """Index of the extent with the nearest middle of those that hold each position, -1 where none does."""
    start, stop = extents.T
    away = np.abs(positions[:, None] - (start + stop) / 2)
    away[(positions[:, None] < start) | (positions[:, None] >= stop)] = np.inf
    nearest = away.argmin(axis=1)
    return np.where(np.isfinite(away[np.arange(len(positions)), nearest]), nearest, -1)


def _by_last_resort(
    pieces: _Pieces, decided: _Decided, grid: TileGrid, rows: Axis, columns: Axis
) -> tuple[_Decided, int]:
    """One tile for each mark that has no effect yet, and how many marks no tile is left for."""
    effective = np.zeros(len(pieces.numbers), dtype=bool)
    for number in np.unique(pieces.number):
        own = pieces.number == number
        met = decided.tiles[np.isin(decided.numbers, (number, _MIXED))]
        at = np.divmod(met, len(grid.columns))
        flags = sp.csr_array((np.ones(len(met)), at), shape=(len(grid.rows), len(grid.columns)))
        cells = (rows.cover @ flags @ columns.cover.T).tocoo()
        width = len(columns.lengths)
        touched = np.isin(pieces.row * width + pieces.column, cells.row.astype(np.int64) * width + cells.col)
        effective[pieces.mark[own & touched]] = True
    waiting = np.flatnonzero(~effective[pieces.mark])
    mark, tile, area = _on_tiles(pieces, waiting, len(grid.columns), rows, columns)
    free = decided.of(tile) < 0
    mark, tile, area = mark[free], tile[free], area[free]
    order = np.lexsort((_off_centre(mark, tile, pieces, grid, rows, columns), -area, mark))
    mark, tile = mark[order], tile[order]
    first = _firsts(mark)
    return _Decided.agreed(tile[first], pieces.numbers[mark[first]]), int(np.sum(~effective)) - len(first)


def _on_tiles(pieces: _Pieces, chosen: _Ints, width: int, rows: Axis, columns: Axis) -> tuple[_Ints, _Ints, _Ints]:
    """Marks, tiles and the area of the mark in the tile, (n,) each, of some pieces."""
    down, across = rows.cover, columns.cover
    row, column = pieces.row[chosen], pieces.column[chosen]
    wide = np.diff(across.indptr)[column].astype(np.int64)
    count = np.diff(down.indptr)[row].astype(np.int64) * wide
    piece = np.repeat(np.arange(len(chosen)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    above, left = np.divmod(place, wide[piece])
    tile = down.indices[down.indptr[row[piece]] + above].astype(np.int64) * width
    tile += across.indices[across.indptr[column[piece]] + left]
    tiles = down.shape[1] * width
    unique, inverse = np.unique(pieces.mark[chosen][piece] * tiles + tile, return_inverse=True)
    area = np.bincount(inverse, weights=pieces.area[chosen][piece], minlength=len(unique))
    return unique // tiles, unique % tiles, area.astype(np.int64)


def _off_centre(
    mark: _Ints, tile: _Ints, pieces: _Pieces, grid: TileGrid, rows: Axis, columns: Axis
) -> NDArray[np.float64]:
    """Squared distance of each tile's centre from the (roughly weighed) middle of the mark, (n,)."""
    count, boxes = len(pieces.numbers), _boxes(tile, grid)
    total = np.maximum(np.bincount(pieces.mark, weights=pieces.area, minlength=count), 1)
    squared = np.zeros(len(mark))
    for axis, at, start in ((rows, pieces.row, 0), (columns, pieces.column, 1)):
        middle = (axis.edges[at] + axis.edges[at + 1]) / 2
        centre = np.bincount(pieces.mark, weights=pieces.area * middle, minlength=len(pieces.numbers)) / np.maximum(
            total, 1
        )
        squared += (centre[mark] - (boxes[:, start] + boxes[:, start + 2]) / 2) ** 2
    return squared


def _firsts(sorted_values: _Ints) -> _Ints:
    """Where each value of a sorted array comes first."""
    return np.unique(sorted_values, return_index=True)[1]


def _boxes(tiles: _Ints, grid: TileGrid) -> _Ints:
    """Boxes (n, 4) of some tiles."""
    row, column = np.divmod(tiles, len(grid.columns))
    y, x = np.array(grid.rows, dtype=np.int64)[row], np.array(grid.columns, dtype=np.int64)[column]
    return np.stack([y[:, 0], x[:, 0], y[:, 1], x[:, 1]], axis=1)


def _extent(tiles: _Ints, grid: TileGrid) -> _Ints:
    """Pixels of some tiles, (n,)."""
    y0, x0, y1, x1 = _boxes(tiles, grid).T
    return np.asarray((y1 - y0) * (x1 - x0))
