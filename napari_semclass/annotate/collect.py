"""All labelled tiles of a session: of which micrographs, categories and groups they are, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_semclass.annotate.categories import Categories, MarkCategory
from napari_semclass.annotate.groups import Grouping, Marked, group_tiles, groups_per_category
from napari_semclass.annotate.imported import Examples, example_tiles
from napari_semclass.annotate.tiles import MarkedTiles
from napari_semclass.micrograph import Micrograph

_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Source:
    """One plane with marks.

    Parameters
    ----------
    id : str
        Of the image; its planes share it (see `Marked.image`).
    name : str
        What the user calls it.
    micrograph : Micrograph
    path : Path or None
        Its file, when there is one.
    plane : int
        Index of the plane in the image, C order; 0 when it has one.
    specimen : str
        Empty when unknown.
    imported : int
        Of a stack of imported examples (see `imported.Examples`) the side of one; else 0. Their grey levels are
        normalised: 255 stands for 1.
    tile : int
        Side of its tiles in pixels; 0 takes that of the `LabelledTiles`.
    stride : int
        Step from one of its tiles to the next; 0 where they do not overlap, or that is not known.
    """

    id: str
    name: str
    micrograph: Micrograph
    path: Path | None = None
    plane: int = 0
    specimen: str = ""
    imported: int = 0
    tile: int = 0
    stride: int = 0


@dataclass(frozen=True, eq=False)
class LabelledTiles:
    """Tiles to learn from.

    Parameters
    ----------
    sources : tuple of Source
    source_index : array (n,), int64
        Which source each tile is from; tiles are in the order of their sources.
    boxes : array (n, 4), int64
        `(y0, x0, y1, x1)` in level-0 pixels, half-open.
    numbers : array (n,), int64
        Category numbers.
    categories : Categories
        All of the session, marked or not.
    grouping : Grouping
    tile : int
        Side of a tile in pixels, where the source has none of its own.
    tile_um : float or None
        In micrometres, where tiles were laid so.
    """

    sources: tuple[Source, ...]
    source_index: _Ints
    boxes: _Ints
    numbers: _Ints
    categories: Categories
    grouping: Grouping
    tile: int
    tile_um: float | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def used(self) -> tuple[MarkCategory, ...]:
        """The categories that have tiles, in the session's order: those that a model learns."""
        return tuple(item for item in self.categories.items if (self.numbers == item.number).any())

    @property
    def labels(self) -> _Ints:
        """Index of each tile's category in `used`, (n,)."""
        place = np.full(int(self.numbers.max(initial=0)) + 1, -1)
        for index, item in enumerate(self.used):
            place[item.number] = index
        return place[self.numbers]

    def counts(self) -> dict[int, int]:
        """Tiles of every category of the session, by its number."""
        return {item.number: int(np.sum(self.numbers == item.number)) for item in self.categories.items}

    @property
    def imported(self) -> NDArray[np.bool_]:
        """Which tiles are imported examples and not marked here, (n,)."""
        of_source = np.array([bool(source.imported) for source in self.sources], dtype=bool)
        return of_source[self.source_index]

    def counts_imported(self) -> dict[int, int]:
        """Imported examples of every category of the session, by its number."""
        own = self.numbers[self.imported]
        return {item.number: int(np.sum(own == item.number)) for item in self.categories.items}

    def groups(self) -> dict[int, int]:
        """Groups (see `grouping.level`) that every category of the session has tiles in, by its number."""
        found = groups_per_category(self.numbers, self.grouping.groups)
        return {item.number: found.get(item.number, 0) for item in self.categories.items}

    def counts_of(self, source: int) -> dict[int, int]:
        """Tiles of every category on one source, by the category's number."""
        own = self.numbers[self.source_index == source]
        return {item.number: int(np.sum(own == item.number)) for item in self.categories.items}

    def needs(self) -> str:
        """Which category needs more marks, as one sentence."""
        counts, groups = self.counts(), self.groups()
        if len(counts) < 2:
            return "Add a second category; there must be two to tell apart."
        least = min(self.categories.items, key=lambda item: (groups[item.number] > 1, counts[item.number]))
        number, name = least.number, least.name
        if not counts[number]:
            return f"Mark {name}: it has no tiles yet."
        what = f"{counts[number]:,} tile{'s' if counts[number] > 1 else ''}"
        if groups[number] < 2:
            return f"Mark {name} in one more place, a tile or more from all marks: it has {what} in one place only."
        most = max(self.used, key=lambda item: counts[item.number])
        if counts[most.number] == counts[number]:
            return f"Every category has {what}; more of all make the model better."
        return f"Mark more {name}: it has {what}, {most.name} has {counts[most.number]:,}."


def collect_tiles(
    marked: Sequence[tuple[Source, MarkedTiles]],
    categories: Categories,
    tile: int,
    examples: Examples | None = None,
    *,
    tile_um: float | None = None,
) -> LabelledTiles:
    """Put the marked tiles of all planes together, and imported examples behind them, and group them.

    Parameters
    ----------
    marked : sequence of (Source, MarkedTiles)
        Tiles of categories that are not among `categories`, such as removed ones, are left out.
    categories : Categories
    tile : int
        Side of a tile in pixels, where the source has none of its own.
    examples : Examples, optional
        Learned from as well.
    tile_um : float, optional
        What the tiles are in micrometres, if they were laid so; kept where that holds for all of them.
    """
    if any(source.micrograph.pixel_size is None for source, _ in marked):
        tile_um = None
    known = np.array([item.number for item in categories.items], dtype=np.int64)
    kept = [(source, tiles.of(known)) for source, tiles in marked]
    grouped = [Marked(source.id, source.specimen, one, tile=source.tile or tile) for source, one in kept]
    if examples is not None:
        files = [None if source.path is None else source.path.resolve() for source, _ in kept]
        images = [(s.id, s.name, s.specimen, file) for (s, _), file in zip(kept, files, strict=True)]
        for micrograph, found, belonging in example_tiles(examples, categories, images):
            kept.append((Source(micrograph.name, micrograph.name, micrograph, imported=examples.side), found))
            grouped += [replace(one, tile=tile) for one in belonging]
    tiles = [one for _, one in kept]
    return LabelledTiles(
        tuple(source for source, _ in kept),
        np.repeat(np.arange(len(kept)), [len(one) for one in tiles]),
        np.concatenate([np.zeros((0, 4), dtype=np.int64), *(one.boxes for one in tiles)]),
        np.concatenate([np.zeros(0, dtype=np.int64), *(one.numbers for one in tiles)]),
        categories,
        group_tiles(grouped, categories),
        tile,
        tile_um,
    )
