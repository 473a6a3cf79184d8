"""The widget's micrograph with its annotations, as the core takes marks: grid, marked tiles, labelled tiles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_semclass.annotate.categories import Categories
from napari_semclass.annotate.collect import LabelledTiles, Source, collect_tiles
from napari_semclass.annotate.tiles import MarkedTiles, mark_tiles
from napari_semclass.classify import Settings, TileGrid
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import Micrograph, as_micrographs, open_micrographs
from napari_semclass.model.card import Card
from napari_semclass.names import existing
from napari_semclass.notebook.tables import Row, marks_from


@dataclass(frozen=True, eq=False)
class Opened:
    """A micrograph, the file it is from (if it is from one), and which plane of it it is."""

    micrograph: Micrograph
    path: Path | None
    plane: int
    planes: int


def opened(image: Any, plane: int, pixel_size: float | None) -> Opened:
    """The micrograph of a path, an array or a Micrograph.

    Raises
    ------
    MicrographError, SettingsError
        When it cannot be read, or has no such plane.
    """
    path = None
    if isinstance(image, Micrograph):
        return Opened(image, None, 0, 1)
    if isinstance(image, str | Path):
        path = existing(image)
        planes = open_micrographs(path)
    else:
        planes = as_micrographs(image, pixel_size=pixel_size)
    if not 0 <= plane < len(planes):
        raise SettingsError(f"plane {plane} is not there; {planes[0].source} has planes 0 to {len(planes) - 1}.")
    return Opened(planes[plane], path, plane, len(planes))


@dataclass(frozen=True, eq=False)
class MarkedPlane:
    """A plane with marks: `tiles` are those of `grid` that are marked, `labelled` the same as learning takes them."""

    micrograph: Micrograph
    grid: TileGrid
    tiles: MarkedTiles
    labelled: LabelledTiles


def mark_grid(micrograph: Micrograph, settings: Settings, card: Card) -> TileGrid:
    """The tiles that can be marked; also where whole pictures are classified."""
    return replace(settings, mode="tiles").grid(micrograph, card)


def marked_plane(
    image: Opened, settings: Settings, card: Card, grid: TileGrid, rows: Sequence[Row], categories: Categories
) -> MarkedPlane:
    """Decide which tiles the annotations label, by the same rules as the viewer and `semclass learn`."""
    micrograph = settings.seen(image.micrograph)
    tiles = mark_tiles(marks_from(rows, categories), grid)
    source = Source(
        "image", image.micrograph.name, micrograph, image.path, image.plane, tile=grid.tile, stride=grid.stride
    )
    length = settings.tile_length(card) if micrograph.pixel_size is not None else None
    labelled = collect_tiles([(source, tiles)], categories, grid.tile, tile_um=length)
    return MarkedPlane(micrograph, grid, tiles, labelled)
