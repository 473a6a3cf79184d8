"""Features of overlapping tiles from one feature map of the micrograph: each pixel is looked at once."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from napari_semclass.classify.forward import Forward
from napari_semclass.classify.grid import TileGrid
from napari_semclass.errors import DeviceError, ModelError
from napari_semclass.micrograph import GreyRange, Micrograph
from napari_semclass.model import Model
from napari_semclass.model.preprocess import is_blank
from napari_semclass.model.windows import Windows, windows_of

_Boxes = NDArray[np.int64]
_Floats = NDArray[np.float32]

# Cells along a side: of what is read and kept at once, and of what the network is shown at once, halo included.
_BLOCK_CELLS = 144
# More with OpenVINO, so that less is wasted on halos; torch takes more memory for the same.
_LOOK_CELLS = {"cpu": 72, "openvino": 96, "mps": 72, "cuda": 144}
_READ_PX = 4800  # along a side of a block, where tiles are shrunk for the network
_STRIP_PX = 32_000_000  # read at once
_EPSILON = 1e-6
OVERLAP = 3
"""Tiles over every pixel, along a side, from which on windows are faster on a CPU in micrographs of any size."""
_NO_SURROUNDINGS = (
    "this model learned from tiles with their surroundings, which a picture of one tile lacks: it is wrong more often, "
    "and too sure; for such pictures train without surroundings (context = 0)"
)
_ALONE = "this model learned from tiles with their surroundings and knows whole pictures less well; take tiles"


@dataclass(frozen=True)
class Line:
    """One axis of the map: pixels `start` to `stop` of the micrograph, whose first cell begins at `start`.

    Parameters
    ----------
    start, stop : int
    scale : float
        Pixels of the network's input per pixel of the micrograph.
    stride : int
        Pixels of the network's input per cell.
    """

    start: int
    stop: int
    scale: float
    stride: int

    def at(self, pixels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Where edges between pixels lie, in cells."""
        return np.asarray((pixels - self.start) * (self.scale / self.stride), dtype=np.float64)

    @property
    def cells(self) -> int:
        """How many cells the whole axis has; the last may reach beyond `stop`, where it sees mirrored pixels."""
        return max(1, ceil((self.stop - self.start) * self.scale / self.stride - _EPSILON))

    def covering(self, begin: int, end: int) -> range:
        """The cells that pixels `begin` to `end` touch."""
        first, last = self.at(np.array([begin, end]))
        return range(floor(first + _EPSILON), min(self.cells, max(ceil(last - _EPSILON), floor(first + _EPSILON) + 1)))

    def wider(self, cells: range, halo: int) -> range:
        """The same cells and their surroundings, within the axis."""
        return range(max(0, cells.start - halo), min(self.cells, cells.stop + halo))

    def shares(self, begin: NDArray[np.int64], end: NDArray[np.int64], cells: range) -> _Floats:
        """How much each of some cells counts for each interval of pixels, (n, cells); rows sum to 1."""
        edges = np.arange(cells.start, cells.stop + 1)
        over = np.minimum(edges[1:], self.at(end)[:, None]) - np.maximum(edges[:-1], self.at(begin)[:, None])
        held = np.clip(over, 0, None)
        return np.asarray(held / held.sum(axis=1, keepdims=True), dtype=np.float32)

    def resampling(self, cells: range) -> tuple[range, sp.csr_array]:
        """Which pixels the input of some cells comes from, and how much each counts, (input pixels, pixels).

        Bilinear with antialiasing, as `model.preprocess` resizes tiles; what lies beyond the ends is mirrored.
        """
        centres = (np.arange(cells.start * self.stride, cells.stop * self.stride) + 0.5) / self.scale
        reach = max(1.0, 1 / self.scale)
        taps = np.floor(centres - reach).astype(np.int64)[:, None] + np.arange(ceil(2 * reach) + 2)
        weights = np.clip(1 - np.abs(taps + 0.5 - centres[:, None]) / reach, 0, None)
        weights /= weights.sum(axis=1, keepdims=True)
        length = self.stop - self.start
        folded = taps % (2 * length)
        pixels = np.minimum(folded, 2 * length - 1 - folded)
        kept = weights > _EPSILON
        wanted = range(self.start + int(pixels[kept].min()), self.start + int(pixels[kept].max()) + 1)
        place = (np.nonzero(kept)[0], pixels[kept] + self.start - wanted.start)
        matrix = sp.coo_array((weights[kept].astype(np.float32), place), shape=(len(centres), len(wanted)))
        return wanted, matrix.tocsr()


@dataclass(frozen=True, eq=False)
class Ground:
    """What was read for a block of tiles.

    Parameters
    ----------
    y, x : Line
    rows, columns : range
        Cells that the tiles touch.
    pixels : array
        Grey levels as the network sees them, of these cells and their halo.
    """

    y: Line
    x: Line
    rows: range
    columns: range
    pixels: _Floats


@dataclass(eq=False)
class SharedMaps:
    """Looks at blocks of a micrograph, and averages the feature map over the places of tiles.

    Parameters
    ----------
    micrograph : Micrograph
    levels : GreyRange
    forward : Forward
    windows : Windows
        Of its network.
    tile : int
        Side of a full tile in pixels.
    context : float
        Side of the area that is averaged for a tile, in tiles; it ends where the specimen does.
    look : int
        Cells along a side that the network looks at once, without their halo; halved when memory runs out.
    """

    micrograph: Micrograph
    levels: GreyRange
    forward: Forward
    windows: Windows
    tile: int
    context: float = 1.0
    look: int = 0

    def __post_init__(self) -> None:
        """Choose how much to look at once."""
        computed_by = self.forward.device.type if self.forward.body is None else "openvino"
        self.look = self.look or max(8, _LOOK_CELLS[computed_by] - 2 * self.windows.halo)

    @property
    def _scale(self) -> float:
        return self.forward.model.card.input_size / self.tile

    def blocks(self, boxes: _Boxes, wanted: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Indices of wanted boxes (of (n, 4)), block by block from the top; those of a grid are some rows and columns.

        Blocks do not cross a data bar; boxes that do have blocks of their own.
        """
        if not len(wanted):
            return
        side = max(1, min(int(_BLOCK_CELLS * self.windows.stride / self._scale), max(self.tile, _READ_PX)))
        chosen = boxes[wanted]
        starts, stops = np.array(self._intervals, dtype=np.int64).T
        band = np.searchsorted(starts, chosen[:, 0], side="right")
        inside = (band > 0) & (chosen[:, 2] <= stops[np.maximum(band, 1) - 1])
        band = np.where(inside, band, -1)
        keys = np.stack([band, chosen[:, 0] // side, chosen[:, 1] // side], axis=1)
        _, place = np.unique(keys, axis=0, return_inverse=True)
        order = np.argsort(place.ravel(), kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(place.ravel()[order])) + 1):
            yield wanted[part]

    @property
    def _intervals(self) -> tuple[tuple[int, int], ...]:
        return self.micrograph.specimen or ((0, self.micrograph.shape[0]),)

    def read(self, boxes: _Boxes) -> Ground:
        """Read what the network has to see for a block of boxes, and resize it."""
        top, bottom = int(boxes[:, 0].min()), int(boxes[:, 2].max())
        height, width = self.micrograph.shape
        # Boxes of another grid may lie across a bar; the bar is specimen to them.
        rows = next(((a, b) for a, b in self._intervals if a <= top and bottom <= b), (0, height))
        y, x = (Line(*ends, self._scale, self.windows.stride) for ends in (rows, (0, width)))
        areas = self._areas(boxes, y, x)
        (y0, x0), (y1, x1) = areas[:, :2].min(axis=0).tolist(), areas[:, 2:].max(axis=0).tolist()
        touched = y.covering(y0, y1), x.covering(x0, x1)
        (down, vertical), (across, horizontal) = (
            line.resampling(line.wider(cells, self.windows.halo)) for line, cells in zip((y, x), touched, strict=True)
        )
        # In strips, as large tiles with wide surroundings are a hundred times as many pixels as the network is shown.
        strip, shrunk = max(1, _STRIP_PX // len(across)), 0.0
        for start in range(down.start, down.stop, strip):
            stop = min(start + strip, down.stop)
            grey = self.levels.normalise(self.micrograph.read(start, stop, across.start, across.stop))
            shrunk = shrunk + vertical[:, start - down.start : stop - down.start] @ grey
        pixels = (horizontal @ np.asarray(shrunk).T).T
        return Ground(y, x, *touched, np.ascontiguousarray(pixels, dtype=np.float32))

    def features(
        self, ground: Ground, boxes: _Boxes, stop: threading.Event
    ) -> Iterator[tuple[NDArray[np.int64], _Floats]]:
        """Indices of boxes of the block, and their features (n, channels), as the map grows downwards.

        Ends early when `stop` is set.
        """
        cells: _Floats | None = None
        waiting, areas = np.arange(len(boxes)), self._areas(boxes, ground.y, ground.x)
        columns, which = np.unique(areas[:, [1, 3]], axis=0, return_inverse=True)
        across = ground.x.shares(columns[:, 0], columns[:, 1], ground.columns)
        for band in _parts(ground.rows, self.look):
            for part in _parts(ground.columns, self.look):
                if stop.is_set():
                    return
                seen = self._look(ground, band, part)
                if cells is None:
                    cells = np.zeros((len(ground.rows), len(ground.columns), seen.shape[2]), dtype=np.float32)
                place = slice(part.start - ground.columns.start, part.stop - ground.columns.start)
                cells[band.start - ground.rows.start : band.stop - ground.rows.start, place] = seen
            done = ground.y.at(areas[waiting, 2]) <= band.stop + _EPSILON
            ready, waiting = (waiting[done], waiting[~done]) if band.stop < ground.rows.stop else (waiting, waiting[:0])
            if len(ready):
                assert cells is not None  # noqa: S101 - a band has a part
                yield ready, _averages(cells, ground, areas[ready], across, which.ravel()[ready])

    def _areas(self, boxes: _Boxes, y: Line, x: Line) -> _Boxes:
        """What is averaged for each box, (n, 4): the tile and its surroundings, within the specimen."""
        margin = round((self.context - 1) / 2 * self.tile)
        lowest, highest = np.array([y.start, x.start] * 2), np.array([y.stop, x.stop] * 2)
        areas: _Boxes = np.clip(boxes + np.array([-margin, -margin, margin, margin]), lowest, highest)
        return areas

    def blank(self, ground: Ground, box: NDArray[np.int64]) -> bool:
        """Whether a tile shows nothing; see `model.preprocess.is_blank`."""
        sides = []
        for line, cells, begin, end in ((ground.y, ground.rows, 0, 2), (ground.x, ground.columns, 1, 3)):
            first = line.wider(cells, self.windows.halo).start
            edges = (line.at(box[[begin, end]]) - first) * line.stride
            sides.append(slice(int(edges[0]), max(int(edges[0]) + 1, round(edges[1]))))
        return bool(is_blank(torch.from_numpy(ground.pixels[sides[0], sides[1]])[None]))

    def _look(self, ground: Ground, rows: range, columns: range) -> _Floats:
        """The map of some cells, (rows, columns, channels); in parts where memory is too small for all."""
        halo, stride = self.windows.halo, self.windows.stride
        tall, broad = ground.y.wider(rows, halo), ground.x.wider(columns, halo)
        origin = ground.y.wider(ground.rows, halo).start, ground.x.wider(ground.columns, halo).start
        (top, bottom), (left, right) = (
            ((cells.start - first) * stride, (cells.stop - first) * stride)
            for cells, first in zip((tall, broad), origin, strict=True)
        )
        try:
            found = self.forward.feature_map(ground.pixels[top:bottom, left:right])
        except MemoryError as error:
            if len(rows) == len(columns) == 1:
                raise DeviceError(f"{self.forward.device_name}: out of memory.") from error
            self.look = ceil(max(len(rows), len(columns)) / 2)
            down, along = _parts(rows, self.look), _parts(columns, self.look)
            return np.concatenate(
                [np.concatenate([self._look(ground, a, b) for b in along], axis=1) for a in down], axis=0
            )
        y, x = rows.start - tall.start, columns.start - broad.start
        return found[y : y + len(rows), x : x + len(columns)]


def shared_maps(
    micrograph: Micrograph, levels: GreyRange, forward: Forward, tile: int, context: float = 1.0
) -> SharedMaps:
    """For a model whose head was fitted on windows of so much context.

    Raises
    ------
    ModelError
        When its network cannot share feature maps.
    """
    model = forward.model
    windows = windows_of(model.network)
    if windows is None:
        raise ModelError(
            f"model {model.card.name}: tiles are to share a feature map, but its network {model.card.backbone} "
            "cannot do that; the file is damaged or was put together wrongly, so train it again."
        )
    return SharedMaps(micrograph, levels, forward, windows, tile, context)


def windows_note(model: Model, mode: str, grid: TileGrid) -> str:
    """What to know of windows: that a model fitted on them is less good at what it is shown, or that one is faster.

    The latter where tiles overlap much and the network can do it; empty when there is nothing to say.
    """
    tile, stride = grid.tile, grid.stride
    if mode == "whole":
        return _ALONE if model.card.windows else ""
    if model.card.context > 1 and len(grid) == 1:
        return _NO_SURROUNDINGS
    if model.card.windows or stride > tile / OVERLAP or windows_of(model.network) is None:
        return ""
    return (
        "tiles that overlap were computed one by one, as this model was fitted so; "
        "one learned from marks at this stride is faster"
    )


def _averages(cells: _Floats, ground: Ground, boxes: _Boxes, across: _Floats, column_of: NDArray[np.int64]) -> _Floats:
    """Averages of the map (rows, columns, channels) over boxes; rows first, once for each row of tiles."""
    rows, row_of = np.unique(boxes[:, [0, 2]], axis=0, return_inverse=True)
    found = np.empty((len(boxes), cells.shape[2]), dtype=np.float32)
    for row, shares in enumerate(ground.y.shares(rows[:, 0], rows[:, 1], ground.rows)):
        own = np.flatnonzero(row_of.ravel() == row)
        held = np.flatnonzero(shares)
        strip = np.tensordot(shares[held], cells[held[0] : held[-1] + 1], axes=1)
        found[own] = across[column_of[own]] @ strip
    return found


def _parts(cells: range, most: int) -> list[range]:
    """Cells in parts of about equal length, at most `most` each."""
    edges = np.linspace(cells.start, cells.stop, ceil(len(cells) / most) + 1).round().astype(int).tolist()
    return [range(a, b) for a, b in pairwise(edges)]
