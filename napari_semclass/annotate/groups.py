"""Which tiles belong together, so that a model is never tested on what it has as good as seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_semclass.annotate.categories import Categories
from napari_semclass.annotate.tiles import MarkedTiles
from napari_semclass.names import fold

_Ints = NDArray[np.int64]
Level = Literal["specimen", "image", "region", "none"]
_LEAST_GROUPS = 2  # of every category: one to learn from, one to test with


@dataclass(frozen=True, eq=False)
class Marked:
    """The marked tiles of one plane.

    Parameters
    ----------
    image : str
        What the plane belongs to. All planes of a stack share it, as neighbouring ones show nearly the same; so do
        two layers with the same content.
    specimen : str
        Empty when unknown.
    tiles : MarkedTiles
    whole : bool
        Nobody knows where on the image these tiles lie (imported ones): they are one region, with all others of it.
    tile : int
        Side of a tile in pixels.
    """

    image: str
    specimen: str
    tiles: MarkedTiles
    whole: bool = False
    tile: int = 1


@dataclass(frozen=True, eq=False)
class Grouping:
    """Groups of tiles; those of one group must never be on both sides of a test.

    Parameters
    ----------
    level : "specimen", "image", "region" or "none"
        What a group is. "none": even with regions some category has one group only, and nothing can be tested.
    groups : array (n,), int64
        Group of each tile, from 0; with level "none", its region.
    kept : array (n,), bool
        All True: tiles of different regions are a tile or more apart, so none crosses from one to another.
    sentence : str
        How a model of these tiles is tested, or why it cannot be.
    advice : tuple of str
        What to mark so that it can be.
    """

    level: Level
    groups: _Ints
    kept: NDArray[np.bool_]
    sentence: str
    advice: tuple[str, ...] = ()


def group_tiles(marked: Sequence[Marked], categories: Categories) -> Grouping:
    """Group tiles by the coarsest of specimen, image and region that leaves every category two groups.

    A region is a set of tiles, of whatever category, each less than a tile's side from another one of it (along y and
    along x), on whatever planes of the image.

    Parameters
    ----------
    marked : sequence of Marked
        Specimens count only where every image with marks has one.
    categories : Categories
        For the names.

    Returns
    -------
    Grouping
        Over all tiles, concatenated in the order of `marked`.
    """
    counts = [len(one.tiles) for one in marked]
    numbers = np.concatenate([np.zeros(0, dtype=np.int64), *(one.tiles.numbers for one in marked)])
    boxes = np.concatenate([np.zeros((0, 4), dtype=np.int64), *(one.tiles.boxes for one in marked)])
    images = np.repeat(_numbered([one.image for one in marked]), counts)
    specimens = [fold(one.specimen) for one in marked]
    known = all(specimen for specimen, count in zip(specimens, counts, strict=True) if count)
    kept = np.ones(len(numbers), dtype=bool)
    whole = np.repeat([one.whole for one in marked], counts).astype(bool)
    sides = np.repeat([one.tile for one in marked], counts).astype(np.int64)
    several = "s" if len(np.unique(images[~whole])) > 1 else ""
    imported = " and groups of imported pictures" if whole.any() else ""
    levels: list[tuple[Level, _Ints, str]] = [
        ("specimen", np.repeat(_numbered(specimens), counts), f"tested on other specimens{imported}"),
        ("image", images, f"tested on other images{' of the same specimens' if known else ''}{imported}"),
        (
            "region",
            _regions(images, boxes, sides, whole),
            f"tested on other regions of the same image{several}{imported}",
        ),
    ]
    for level, groups, sentence in levels if known else levels[1:]:
        if len(numbers) and not _lacking(numbers, groups):
            return Grouping(level, np.unique(groups, return_inverse=True)[1], kept, sentence)
    return Grouping("none", levels[-1][1], kept, *_impossible(numbers, levels[-1][1], sides, categories))


def groups_per_category(numbers: _Ints, groups: _Ints) -> dict[int, int]:
    """Number of groups that each category number has tiles in."""
    pairs = np.unique(np.stack([numbers, groups]), axis=1)
    found, counts = np.unique(pairs[0], return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _lacking(numbers: _Ints, groups: _Ints) -> list[int]:
    """Category numbers with too few groups to test them."""
    return [number for number, count in groups_per_category(numbers, groups).items() if count < _LEAST_GROUPS]


def _impossible(numbers: _Ints, groups: _Ints, sides: _Ints, categories: Categories) -> tuple[str, tuple[str, ...]]:
    """Why nothing can be tested, and what to mark."""
    if not len(numbers):
        return "nothing is marked yet", ("Mark tiles of two or more categories.",)
    held = [(number, categories.by_number(number)) for number in _lacking(numbers, groups)]
    names = [category.name if category else f"category {number}" for number, category in held]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    what = names[0] if len(names) == 1 else "each of them"
    away = " to ".join(f"{side:,}" for side in sorted({int(sides.min()), int(sides.max())}))
    return (
        f"accuracy cannot be shown, as {listed} {'is' if len(names) == 1 else 'are each'} marked in one place only",
        (f"Mark {what} in one more place, at least one tile ({away} px) from all marks: nearer ones are one place.",),
    )


def _numbered(names: Sequence[str]) -> _Ints:
    """A number for each name, equal for equal names."""
    return np.asarray(np.unique(np.array(names, dtype=str), return_inverse=True)[1], dtype=np.int64)


def _regions(images: _Ints, boxes: _Ints, sides: _Ints, whole: NDArray[np.bool_]) -> _Ints:
    """Number of each tile's region, (n,); an image with tiles of which nobody knows where they lie is one."""
    links: list[_Ints] = [np.zeros((2, 0), dtype=np.int64)]
    for image in np.unique(images):
        own = np.flatnonzero(images == image)
        if whole[own].any():
            links.append(np.stack([own[:-1], own[1:]]))
        else:
            links += [own[pairs] for pairs in _near(boxes[own], int(sides[own].max()))]
    first, second = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(len(boxes),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _near(boxes: _Ints, tile: int) -> list[_Ints]:
    """Pairs (2, m) of tiles that connect all tiles less than `tile` apart, row by row of the grid.

    In each pair of rows that are near, a tile needs to be joined only to the next one on its left and on its right:
    what is near beyond these is near to them, and joined to them within its own row.
    """
    order = np.lexsort((boxes[:, 1], boxes[:, 0]))
    starts = np.flatnonzero(np.append(True, np.diff(boxes[order, 0]) > 0))
    rows = np.split(order, starts[1:])
    found = []
    for number, row in enumerate(rows):
        for other in rows[number:]:
            if boxes[other[0], 0] - boxes[row, 2].max() >= tile:
                break
            right = np.searchsorted(boxes[other, 1], boxes[row, 1], side="right")
            for at in (right - 1, right):
                inside = np.flatnonzero((at >= 0) & (at < len(other)))
                one, two = row[inside], other[at[inside]]
                gap = np.maximum(boxes[two, 1] - boxes[one, 3], boxes[one, 1] - boxes[two, 3])
                apart = np.maximum(gap, boxes[two, 0] - boxes[one, 2])
                found.append(np.stack([one, two])[:, apart < tile])
    return found
