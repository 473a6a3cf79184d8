"""Folders of labelled pictures as examples to learn from quickly, beside what is marked."""

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.annotate.categories import Categories
from napari_semclass.annotate.groups import Marked
from napari_semclass.annotate.tiles import MarkedTiles
from napari_semclass.errors import SettingsError
from napari_semclass.learn.dataset import DataSet, Picture, read_dataset, sorted_names
from napari_semclass.micrograph import Micrograph
from napari_semclass.model.card import Card
from napari_semclass.names import fold, text_of_path

# Of one stack of tiles, which is read and looked up as a whole: few enough for its content to be hashed whole.
_STACK = 512
# What `export_tiles` adds to an image's name where groups are regions.
_REGION = re.compile(r", region \d+( \(\d+\))?$")


@dataclass(frozen=True, eq=False)
class Examples:
    """Tiles cut from labelled pictures.

    Parameters
    ----------
    stacks : tuple of Micrograph
        Tiles below each other, `side` px wide and high, so that a network looks at them as at any picture: the first
        512, the next 512, and so on. Grey levels are normalised; 255 stands for 1.
    side : int
    names : tuple of str
        Category of each tile.
    groups : tuple of str
        What must not be on both sides of a test: the manifest's groups, or each file; near-duplicates joined. Regions
        of an image are one group.
    specimens : tuple of str
        The manifest's groups, empty where there are none.
    files : tuple of Path
        Of each tile.
    """

    stacks: tuple[Micrograph, ...]
    side: int
    names: tuple[str, ...]
    groups: tuple[str, ...]
    specimens: tuple[str, ...]
    files: tuple[Path, ...]


class ExampleReader:
    """Reads folders of labelled pictures, and keeps what it read last: every mark asks for it again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: object = None
        self._held: Examples | None = None

    def is_ready(self, folders: Sequence[str], card: Card, tile: int, tile_um: float | None = None) -> bool:
        """Whether reading these takes no time."""
        return not folders or self._key == _key(folders, card, tile, tile_um)

    def read(self, folders: Sequence[str], card: Card, tile: int, tile_um: float | None = None) -> Examples | None:
        """The examples in these folders; None for no folders. See `read_examples`."""
        if not folders:
            return None
        with self._lock:  # one job may still be reading what the next one asks for
            key = _key(folders, card, tile, tile_um)
            if self._key != key:
                self._held, self._key = read_examples(folders, card, tile, tile_um), key
            return self._held


def _key(folders: Sequence[str], card: Card, tile: int, tile_um: float | None) -> tuple[Any, ...]:
    return tuple(folders), card.input_size, card.preprocessing, tile, tile_um


def read_examples(folders: Sequence[str], card: Card, tile: int, tile_um: float | None = None) -> Examples:
    """Read, audit and cut labelled pictures as training does: what cannot be read or is there twice is left out.

    Parameters
    ----------
    folders : sequence of str
        Each as `learn.dataset.read_dataset` takes it.
    card : Card
        Of the base model: for the size and the preprocessing.
    tile : int
        Side of a tile in pixels.
    tile_um : float, optional
        In micrometres, in place of that; every picture must then say its pixel size.

    Raises
    ------
    SettingsError
        No such folder, nothing in it that can be used, or no pixel size for tiles in micrometres.
    MicrographError
        A box outside its picture.
    """
    from napari_semclass.learn.audit import audit
    from napari_semclass.learn.tiles import Cutting, cut_samples

    read = [read_dataset(folder) for folder in folders]
    together = DataSet(Path(), tuple(_grouped(picture, one) for one in read for picture in one.pictures)).unified()
    pictures = together.pictures
    found = audit(together)
    if not found.usable:
        raise SettingsError(f"{', '.join(folders)}: none of the labelled pictures can be used.")
    cutting = Cutting("tile", tile, tile, card.input_size, card.preprocessing, tile_um=tile_um)
    categories = sorted_names(pictures[index].category for index in found.usable)
    samples = cut_samples(pictures, found.usable, cutting, found.groups, categories)
    names: dict[int, str] = {}
    for picture, number in zip(pictures, found.groups, strict=True):
        names.setdefault(number, picture.group)
    owners = [pictures[index] for index in samples.pictures.tolist()]
    return Examples(
        tuple(_stack(samples.pixels[start : start + _STACK]) for start in range(0, len(samples), _STACK)),
        card.input_size,
        tuple(owner.category for owner in owners),
        tuple(names[number] for number in samples.groups.tolist()),
        tuple("" if owner.group == text_of_path(owner.path) else owner.group for owner in owners),
        tuple(owner.path for owner in owners),
    )


def _grouped(picture: Picture, dataset: DataSet) -> Picture:
    """The picture with its whole path, which is its group where none was given; regions of an image are one group."""
    path = picture.path.resolve()
    own = dataset.has_own_group(picture)
    return replace(picture, path=path, group=text_of_path(path) if own else _REGION.sub("", picture.group))


def _stack(pixels: NDArray[np.uint8]) -> Micrograph:
    return Micrograph(np.ascontiguousarray(pixels).reshape(-1, pixels.shape[-1]), "imported examples", known_bars=())


def example_tiles(
    examples: Examples, categories: Categories, images: Sequence[tuple[str, str, str, Path | None]]
) -> Iterator[tuple[Micrograph, MarkedTiles, list[Marked]]]:
    """Every stack of examples, the tiles on it that are of these categories, and what each of them belongs to.

    Parameters
    ----------
    examples : Examples
    categories : Categories
        Names are compared whatever their case; examples of other categories are left out.
    images : sequence of (id, name, specimen, path)
        Images with marks: examples of a group that is called like one of them, or from its file, belong to it.
    """
    held = [categories.by_name(name) for name in examples.names]
    numbers = np.array([0 if one is None else one.number for one in held], dtype=np.int64)
    side = examples.side
    for count, stack in enumerate(examples.stacks):
        own = numbers[count * _STACK : (count + 1) * _STACK]
        at = np.flatnonzero(own)
        top, left = at * side, np.zeros_like(at)
        tiles = MarkedTiles(np.stack([top, left, top + side, left + side], axis=1), own[at], at)
        yield (
            stack,
            tiles,
            [
                Marked(*_owner(examples, index, images), _one(tiles, place), whole=True)
                for place, index in enumerate((at + count * _STACK).tolist())
            ],
        )


def _one(tiles: MarkedTiles, at: int) -> MarkedTiles:
    return MarkedTiles(tiles.boxes[at : at + 1], tiles.numbers[at : at + 1], tiles.indices[at : at + 1])


def _owner(examples: Examples, index: int, images: Sequence[tuple[str, str, str, Path | None]]) -> tuple[str, str]:
    """Id and specimen of the image that an example shows, by all that is known; else what its group makes of it."""
    group = fold(examples.groups[index])
    for id_, name, specimen, path in images:
        called = {fold(one) for one in (name, specimen)} - {""}
        if group in called or (path is not None and path == examples.files[index]):
            return id_, specimen
    return f"imported: {examples.groups[index]}", examples.specimens[index]
