"""Gives a marked tile another category, in whatever way it was marked."""

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Points, Shapes

from napari_semclass.annotate.planes import plane_of
from napari_semclass.classify.grid import TileGrid
from napari_semclass.viewer.layers import MARKS_KEY
from napari_semclass.viewer.mark_book import Box, MarkBook
from napari_semclass.viewer.mark_layers import (
    ROLE,
    TILES_ROLE,
    add_points,
    choose_category,
    image_shape,
    mark_layers,
    set_numbers,
    tile_corners,
)
from napari_semclass.viewer.mark_snapshot import kept_layers


def relabel_tile(
    viewer: ViewerModel, book: MarkBook, image: Image, plane: int, box: Box, number: int, grid: TileGrid
) -> bool:
    """Mark a tile as the category `number` (0: none), against what else marks it; False when that is not possible.

    A point in it, or a box that marks just this tile, changes its category. A tile that is part of an area gets a
    point, which counts for more than areas (see `annotate.tiles.mark_tiles`): the area may be right everywhere else.
    So nothing but a category can be given to it.
    """
    points = _points_in(viewer, image, plane, box, grid)
    for layer, inside in points:
        set_numbers(layer, inside, number, book.categories)
    if points:
        return True
    if _is_box(viewer, image, plane, box):
        book.mark_tile(image, plane, box, number)
        return True
    category = book.categories.by_number(number)
    if category is None:
        return False
    active = viewer.layers.selection.active
    own = (one for one in mark_layers(viewer, image) if isinstance(one, Points))
    layer = next(own, None) or add_points(viewer, image, book.categories)
    choose_category(layer, category)
    layer.add(tile_corners(image, plane, box).mean(axis=0, keepdims=True))
    viewer.layers.selection.active = active
    return True


def _points_in(
    viewer: ViewerModel, image: Image, plane: int, box: Box, grid: TileGrid
) -> list[tuple[Points, list[int]]]:
    """The points that mark a tile, by their layer."""
    leading = image_shape(image)[:-2]
    wanted = grid.tile_at((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    found = []
    for layer, kept in zip(mark_layers(viewer, image), kept_layers(viewer, image, ""), strict=True):
        if isinstance(layer, Points):
            inside = [
                index
                for index, where in enumerate(np.asarray(kept.data))
                if plane_of(where, leading) == plane and grid.tile_at(where[-2] + 0.5, where[-1] + 0.5) == wanted
            ]
            if inside:
                found.append((layer, inside))
    return found


def _is_box(viewer: ViewerModel, image: Image, plane: int, box: Box) -> bool:
    """Whether a key has marked just this tile."""
    corners = tile_corners(image, plane, box)
    return any(
        there.shape == corners.shape and np.allclose(there, corners)
        for layer in mark_layers(viewer, image)
        if isinstance(layer, Shapes) and layer.metadata[MARKS_KEY].get(ROLE) == TILES_ROLE
        for there in layer.data
    )
