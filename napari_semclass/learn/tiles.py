"""Labelled pictures cut into the tiles that are learned from, at the scale at which they will be classified."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from napari_semclass.classify.grid import MOST_VOID
from napari_semclass.classify.scale import tile_pixels
from napari_semclass.errors import MicrographError, SettingsError
from napari_semclass.learn.dataset import Picture
from napari_semclass.micrograph import GreyRange, Micrograph, grey_range, open_micrographs
from napari_semclass.model.card import Card, Preprocessing
from napari_semclass.model.preprocess import square

# A shorter axis holds one tile, in its middle: two would show nearly the same.
_ONE_TILE = 1.5
_OVERLAP = 0.5  # of neighbouring crops of a whole picture, as classifying has it
_IN_MEMORY = 0.25  # of the free memory; more tiles than that go to disk

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class _Cut:
    """A tile: where it was, what the network is shown, and metres per pixel of that (NaN when unknown)."""

    plane: int
    box: Box
    pixels: NDArray[np.uint8]
    pixel_size: float


@dataclass(frozen=True, eq=False)
class Cutting:
    """How pictures are cut.

    Parameters
    ----------
    unit : "tile" or "image"
        Tiles of a fixed number of source pixels, or square crops as large as the picture (and shares of it).
    tile, stride : int
        In source pixels, for tiles.
    side : int
        Pixels to which every tile is resized, with antialiasing.
    preprocessing : Preprocessing
    fields : sequence of float
        For images: sides of the crops as shares of the picture's shorter side.
    tile_um, stride_um : float or None
        Micrometres in place of pixels, for tiles: a picture's own number of pixels follows from its pixel size.
    needs_size : bool
        False takes `tile` and `stride` for pictures whose pixel size is not known, as classifying does.
    bars : "masked", "kept" or "alone"
        Data bars are left out, cut like specimen, or all that is cut (of pictures that have one). Unless they are
        left out, they count for the grey range.
    """

    unit: str
    tile: int
    stride: int
    side: int
    preprocessing: Preprocessing
    fields: Sequence[float] = (1.0,)
    tile_um: float | None = None
    stride_um: float | None = None
    needs_size: bool = True
    bars: Literal["masked", "kept", "alone"] = "masked"

    def on(self, micrograph: Micrograph) -> "Cutting":
        """The same in pixels of a micrograph.

        Raises
        ------
        SettingsError
            Micrometres on a micrograph whose pixel size is not known, or of which too few or too many pixels are.
        """
        if self.unit != "tile" or self.tile_um is None or not (self.needs_size or micrograph.pixel_size):
            return self
        tile = tile_pixels(self.tile_um, micrograph)
        stride = tile if self.stride_um is None else min(tile, tile_pixels(self.stride_um, micrograph, 1))
        return replace(self, tile=tile, stride=stride)

    def levels(self, micrograph: Micrograph) -> GreyRange:
        """Grey range of a micrograph, data bars left out where the tiles leave them out."""
        counted = micrograph if self.bars == "masked" else replace(micrograph, known_bars=())
        return grey_range(counted, self.preprocessing.low_percentile, self.preprocessing.high_percentile)

    def rows(self, micrograph: Micrograph) -> Sequence[tuple[int, int]]:
        """Intervals of rows that tiles are cut from."""
        if self.bars == "masked":
            return micrograph.specimen
        if self.bars == "kept":
            return [(0, micrograph.shape[0])]
        return [(bar.start, bar.stop) for bar in micrograph.data_bars]


def cutting_of(card: Card) -> Cutting:
    """How classifying with a model cuts: in micrometres where it was trained so and a picture's pixel size is known."""
    steps = card.preprocessing
    return Cutting(card.unit, card.tile, card.tile, card.input_size, steps, tile_um=card.tile_um, needs_size=False)


@dataclass(frozen=True, eq=False)
class Samples:
    """Tiles and what is known of them.

    Parameters
    ----------
    pixels : array (tiles, side, side), uint8
        Normalised grey levels; 255 stands for 1.
    labels : array (tiles,), int64
        Index into `categories`.
    pictures : array (tiles,), int64
        Index of the picture each tile is from.
    groups : array (tiles,), int64
        What must not be on both sides of a split.
    boxes : array (tiles, 4), int64
        `(y0, x0, y1, x1)` in the picture's file, level-0 pixels.
    categories : tuple of str
    pixel_sizes : array (tiles,), float64
        Metres per pixel of the network's input; NaN where the picture's pixel size is not known.
    planes : array (tiles,), int64
        Index of the plane in the picture's file.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    pictures: NDArray[np.int64]
    groups: NDArray[np.int64]
    boxes: NDArray[np.int64]
    categories: tuple[str, ...]
    pixel_sizes: NDArray[np.float64]
    planes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, indices: NDArray[np.int64]) -> "Samples":
        """The samples at these indices."""
        return Samples(
            self.pixels[indices],
            self.labels[indices],
            self.pictures[indices],
            self.groups[indices],
            self.boxes[indices],
            self.categories,
            self.pixel_sizes[indices],
            self.planes[indices],
        )

    def pixel_size_range(self) -> tuple[float, float] | None:
        """Smallest and largest of `pixel_sizes`, for the card; None where none is known."""
        known = self.pixel_sizes[np.isfinite(self.pixel_sizes)]
        return (float(known.min()), float(known.max())) if len(known) else None


def cut_samples(
    pictures: Sequence[Picture],
    indices: Sequence[int],
    cutting: Cutting,
    groups: Sequence[int],
    categories: Sequence[str],
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Samples:
    """Cut the pictures at `indices`; several planes of a file are cut alike.

    Parameters
    ----------
    pictures : sequence of Picture
    indices : sequence of int
        Which of them to cut.
    cutting : Cutting
    groups : sequence of int
        Group number of every picture.
    categories : sequence of str
        Names in the order of the labels.
    folder : Path, optional
        Where tiles are kept when they do not fit in memory.
    progress : callable, optional
        Told the number of pictures cut and their total.

    Raises
    ------
    MicrographError
        A picture that cannot be read, or a box outside it.
    SettingsError
        A category that is not among `categories`; tiles in micrometres on a picture whose pixel size is not known.
    """
    unknown = sorted({pictures[index].category for index in indices} - set(categories))
    if unknown:
        raise SettingsError(f"the data have categories that the model lacks: {', '.join(unknown)}.")
    stacks, rows, sizes = [], [], []
    held = 0
    for done, (index, cuts) in enumerate(_cut_all(pictures, indices, cutting), start=1):
        picture = pictures[index]
        label = categories.index(picture.category)
        rows += [(label, index, groups[index], *one.box, one.plane) for one in cuts]
        sizes += [one.pixel_size for one in cuts]
        stacks += [np.stack([one.pixels for one in cuts])] if cuts else []
        held += sum(one.pixels.nbytes for one in cuts)
        if folder is not None and held > _IN_MEMORY * psutil.virtual_memory().available:
            stacks = [_on_disk(stacks, folder)]
            held = 0
        if progress is not None:
            progress(done, len(indices))
    if not rows:
        raise SettingsError("there are no pictures to cut into tiles.")
    table = np.array(rows, dtype=np.int64)
    pixels = stacks[0] if len(stacks) == 1 else _joined(stacks, folder)
    columns = table[:, 0], table[:, 1], table[:, 2], table[:, 3:7]
    return Samples(pixels, *columns, tuple(categories), np.array(sizes, dtype=np.float64), table[:, 7])


def _cut_all(pictures: Sequence[Picture], indices: Sequence[int], cutting: Cutting) -> Iterator[tuple[int, list[_Cut]]]:
    """Each picture's tiles in order, the next one being read while this one is used.

    Boxes of one file that follow each other share its pixels, data bars and grey range.
    """
    last: tuple[Path, list[_Levelled]] | None = None

    def cut(index: int) -> list[_Cut]:
        nonlocal last
        picture = pictures[index]
        if last is None or last[0] != picture.path:
            last = None  # its pixels go before the next ones come
            last = picture.path, [_Levelled(micrograph) for micrograph in open_micrographs(picture.path)]
        return [
            found for plane, micrograph in enumerate(last[1]) for found in _cut(micrograph, plane, picture, cutting)
        ]

    with ThreadPoolExecutor(1, "semclass-cut") as pool:
        waiting = None
        for index in indices:
            coming = index, pool.submit(cut, index)
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = coming
        if waiting is not None:
            yield waiting[0], waiting[1].result()


class _Levelled:
    """A micrograph with its grey range, which is found when it is first asked for."""

    def __init__(self, micrograph: Micrograph) -> None:
        self.micrograph = micrograph
        self._known: GreyRange | None = None

    def levels(self, cutting: Cutting) -> GreyRange:
        """Of the whole micrograph; see `Cutting.levels`."""
        if self._known is None:
            self._known = cutting.levels(self.micrograph)
        return self._known


def _cut(levelled: _Levelled, plane: int, picture: Picture, cutting: Cutting) -> list[_Cut]:
    micrograph = levelled.micrograph
    sized = picture.sized(micrograph)
    cutting = cutting.on(sized)
    levels = picture.grey or levelled.levels(cutting)
    found = []
    for y0, x0, y1, x1 in sample_boxes(micrograph, picture.box, cutting):
        grey = levels.normalise(micrograph.read(y0, y1, x0, x1))
        side = max(cutting.tile, *grey.shape) if cutting.unit == "tile" else max(grey.shape)
        size = np.nan if sized.pixel_size is None else sized.pixel_size * side / cutting.side
        found.append(_Cut(plane, (y0, x0, y1, x1), _resized(square(grey, side), cutting.side), size))
    return found


def sample_boxes(micrograph: Micrograph, box: Box | None, cutting: Cutting) -> list[Box]:
    """Boxes `(y0, x0, y1, x1)` of the tiles of a micrograph, or of a box of it; data bars as `cutting.bars` says.

    Tiles more than half without data are left out.
    """
    height, width = micrograph.shape
    if box is None:
        parts = [(y0, 0, y1, width) for y0, y1 in cutting.rows(micrograph)]
        tallest = max((y1 - y0 for y0, _, y1, _ in parts), default=0)
        # As the tile grid has it: a strip much thinner than a tile holds too little.
        parts = [part for part in parts if part[2] - part[0] >= min(cutting.tile / 4, tallest)]
        if cutting.unit == "image":
            parts = [micrograph.field if cutting.bars == "masked" else max(parts, key=lambda part: part[2] - part[0])]
    else:
        if not (0 <= box[0] < box[2] <= height and 0 <= box[1] < box[3] <= width):
            raise MicrographError(f"{micrograph.name}: the box {box} lies outside its {width:,} x {height:,} px.")
        parts = [box]
    boxes: dict[Box, None] = {}
    for y0, x0, y1, x1 in parts:
        for tile, stride in _sizes(min(y1 - y0, x1 - x0), cutting):
            for top, bottom in _extents(y0, y1, tile, stride, cutting.unit):
                for left, right in _extents(x0, x1, tile, stride, cutting.unit):
                    boxes[top, left, bottom, right] = None
    void = micrograph.void_map
    if void is None or not boxes:
        return list(boxes)
    held = void.share_of(np.array(list(boxes), dtype=np.int64)) <= MOST_VOID
    return [one for one, some in zip(boxes, held.tolist(), strict=True) if some]


def _sizes(shorter: int, cutting: Cutting) -> list[tuple[int, int]]:
    """Tile and stride in pixels, for a part whose shorter side is given."""
    if cutting.unit == "tile":
        return [(cutting.tile, cutting.stride)]
    sides = [max(1, round(field * shorter)) for field in cutting.fields]
    return [
        (side, max(1, round(side * _OVERLAP)) if field == 1 else side)
        for side, field in zip(sides, cutting.fields, strict=True)
    ]


def _extents(start: int, stop: int, tile: int, stride: int, unit: str) -> list[tuple[int, int]]:
    length = stop - start
    if length <= tile:
        return [(start, stop)]
    if unit == "tile" and length < _ONE_TILE * tile:
        middle = start + (length - tile) // 2
        return [(middle, middle + tile)]
    starts = [*range(start, stop - tile, stride), stop - tile]
    return [(first, first + tile) for first in starts]


def _resized(grey: NDArray[np.float32], side: int) -> NDArray[np.uint8]:
    tile = torch.from_numpy(np.ascontiguousarray(grey))[None, None]
    if tile.shape[-1] != side:
        tile = torch.nn.functional.interpolate(tile, size=(side, side), mode="bilinear", antialias=True)
    return np.asarray((tile[0, 0].clamp(0, 1) * 255).round().to(torch.uint8).numpy())


def _on_disk(stacks: Sequence[NDArray[np.uint8]], folder: Path) -> NDArray[np.uint8]:
    """All tiles in one file of the folder, mapped into memory; the first stack may be there already."""
    first = stacks[0]
    path = folder / "tiles.u8"
    rest = stacks[1:] if isinstance(first, np.memmap) else stacks
    with path.open("ab" if isinstance(first, np.memmap) else "wb") as file:
        for stack in rest:
            file.write(stack.tobytes())
    return np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, *first.shape[1:])


def _joined(stacks: Sequence[NDArray[np.uint8]], folder: Path | None) -> NDArray[np.uint8]:
    if folder is not None and isinstance(stacks[0], np.memmap):
        return _on_disk(stacks, folder)
    return np.concatenate(stacks)
