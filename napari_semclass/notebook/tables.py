"""Categories and annotations as plain rows, which notebook and browser both set, and as the core takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from napari_semclass.annotate.categories import Categories, MarkCategory
from napari_semclass.annotate.marks import Marks, Region, box_corners
from napari_semclass.classify.grid import TileGrid
from napari_semclass.errors import SettingsError

Row = dict[str, Any]
BOX = ("y0", "x0", "y1", "x1")
_ROW = "write {'y0': 0, 'x0': 0, 'y1': 224, 'x1': 224, 'category': 'name'}"


def categories_of(rows: Sequence[Mapping[str, Any] | str]) -> Categories:
    """Categories from names, or from rows with `name` and maybe `color`, `number` and `key`.

    Raises
    ------
    SettingsError
        When names, colours, numbers or keys are not possible or not unique.
    """
    found = Categories()
    for row in rows:
        given: dict[str, Any] = {"name": row} if isinstance(row, str) else dict(row)
        name, color = str(given.get("name", "")), str(given.get("color", ""))
        if {"number", "key"} <= given.keys():
            found = Categories((*found.items, MarkCategory(given["number"], name, color, given["key"])))
        else:
            found = found.add(name, color)
    return found


def category_rows(categories: Categories) -> list[Row]:
    """Categories as rows with `number`, `name`, `color` and `key`."""
    return [asdict(item) for item in categories.items]


def annotation_rows(rows: Sequence[Mapping[str, Any]], categories: Categories, shape: tuple[int, int]) -> list[Row]:
    """Annotations as rows with `y0`, `x0`, `y1`, `x1` and `category`, checked; of equal boxes the last one counts.

    Raises
    ------
    SettingsError
        A row that has no box in the micrograph, or a category there is not.
    """
    found: dict[tuple[int, ...], Row] = {}
    for row in rows:
        try:
            box = tuple(int(row[side]) for side in BOX)
            name = str(row["category"])
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(f"{row!r:.100} is not an annotation; {_ROW}.") from error
        held = categories.by_name(name)
        if held is None:
            raise SettingsError(f"there is no category {name[:80]!r}; add it to `categories` first.")
        y0, x0, y1, x1 = box
        if not (0 <= y0 < y1 <= shape[0] and 0 <= x0 < x1 <= shape[1]):
            raise SettingsError(f"the box {box} is not in the micrograph of {shape[0]} x {shape[1]} px; {_ROW}.")
        found.pop(box, None)
        found[box] = {**dict(zip(BOX, box, strict=True)), "category": held.name}
    return list(found.values())


def tile_row(grid: TileGrid, y: float, x: float, category: str) -> Row:
    """The annotation of the tile around a position in pixels.

    Raises
    ------
    SettingsError
        When there is no tile, as outside the micrograph, on a data bar and where there is no data.
    """
    tile = grid.tile_at(y, x)
    if tile is None:
        raise SettingsError(
            f"there is no tile at y = {y:g}, x = {x:g}; it is outside, on the data bar or where there is no data."
        )
    return {**dict(zip(BOX, grid.box(tile), strict=True)), "category": category}


def marks_from(rows: Sequence[Row], categories: Categories) -> Marks:
    """Annotations as marks of the same boxes."""
    regions = []
    for row in rows:
        held = categories.by_name(row["category"])
        if held is not None:
            regions.append(Region(held.number, box_corners((row["y0"], row["x0"], row["y1"], row["x1"]))))
    return Marks(regions=tuple(regions))
