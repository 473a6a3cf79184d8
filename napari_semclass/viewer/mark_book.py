"""All marks of a viewer: its categories, the layers that hold marks, and what happens to them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from qtpy.QtCore import QObject, Signal

from napari_semclass.annotate.categories import Categories
from napari_semclass.annotate.planes import VALUES
from napari_semclass.viewer.layers import IMAGE_KEY, MARKS_KEY, SCORE_KEY
from napari_semclass.viewer.mark_layers import (
    ROLE,
    TILES_ROLE,
    MarkLayer,
    add_painting,
    add_points,
    add_regions,
    choose_category,
    image_shape,
    mark_layers,
    numbers_of,
    renumber,
    set_numbers,
    show_categories,
    tile_corners,
)
from napari_semclass.viewer.mark_undo import MarkUndo

Box = tuple[int, int, int, int]


class MarkBook(QObject):
    """Emits `changed` after every change of marks or categories, and `categories_changed` before it.

    `imported` are folders of labelled pictures that are learned from as well.
    """

    changed = Signal()
    categories_changed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.categories = Categories()
        self.imported: tuple[str, ...] = ()
        self._current = 0
        self._undo = MarkUndo(lambda: self.categories)
        self._heard: list[MarkLayer] = []
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._removed)
        for layer in mark_layers(viewer):
            self._hear(layer)

    def let_go(self) -> None:
        """Stop following the viewer; the layers stay."""
        self._viewer.layers.events.inserted.disconnect(self._inserted)
        self._viewer.layers.events.removed.disconnect(self._removed)
        for layer in list(self._heard):
            self._unhear(layer)
        self._undo.forget_all()

    # -- categories -----------------------------------------------------------------------------------------------

    def set_categories(self, categories: Categories) -> None:
        """Use other categories, in every layer."""
        self.categories = categories
        for layer in mark_layers(self._viewer):
            show_categories(layer, categories)
        self.choose(self._current)
        self.categories_changed.emit()
        self.changed.emit()

    def current(self) -> int | None:
        """Number of the category to mark with."""
        held = self.categories.by_number(self._current)
        if held is not None:
            return held.number
        return self.categories.items[0].number if self.categories.items else None

    def choose(self, number: int) -> None:
        """Make a category the one to mark with, in every layer."""
        self._current = number
        category = self.categories.by_number(number)
        if category is not None:
            for layer in mark_layers(self._viewer):
                choose_category(layer, category)

    def used(self) -> set[int]:
        """Numbers of the categories that something is marked with."""
        used: set[int] = set()
        for layer in mark_layers(self._viewer):
            if isinstance(layer, Labels):
                values = layer.metadata[MARKS_KEY].get(VALUES)
                used |= set(np.unique(layer.data).tolist()) - {0} if values is None else set(values.values())
            else:
                used |= set(numbers_of(layer).tolist()) - {0}
        return used

    def merge(self, old: int, new: int) -> None:
        """Give all marks of one category to another, and remove the first."""
        for layer in mark_layers(self._viewer):
            renumber(layer, old, new, self.categories)
        self.set_categories(self.categories.remove(old))

    def set_imported(self, folders: Sequence[str]) -> None:
        """Learn from the labelled pictures in these folders as well."""
        self.imported = tuple(folders)
        self.changed.emit()

    # -- marks ----------------------------------------------------------------------------------------------------

    def layers(self) -> list[MarkLayer]:
        """The layers that hold marks."""
        return mark_layers(self._viewer)

    def images(self) -> list[Image]:
        """The open micrographs that have layers of marks."""
        wanted = {layer.metadata[MARKS_KEY][IMAGE_KEY] for layer in mark_layers(self._viewer)}
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image) and layer.unique_id in wanted and SCORE_KEY not in layer.metadata
        ]

    def add_layer(self, kind: str, image: Image) -> MarkLayer:
        """A new layer to mark in: "paint", "regions" or "points"; it becomes the active one, ready to draw."""
        layer: MarkLayer
        if kind == "paint":
            layer = add_painting(self._viewer, image, self.categories)
            layer.mode = "paint"
            layer.brush_size = max(10, min(image_shape(image)[-2:]) // 20)
        elif kind == "regions":
            layer = add_regions(self._viewer, image, self.categories)
            layer.mode = "add_rectangle"
        else:
            layer = add_points(self._viewer, image, self.categories)
            layer.mode = "add"
        self.choose(self.current() or 0)
        self._viewer.layers.selection.active = layer
        return layer

    def mark_tile(self, image: Image, plane: int, box: Box, number: int) -> None:
        """Mark a tile with a category, in place of what the same key layer said of it; 0 takes that away."""
        layer = self._tiles_layer(image)
        if layer is None:
            if not number:
                return
            active = self._viewer.layers.selection.active
            layer = add_regions(self._viewer, image, self.categories, tiles=True)
            self._viewer.layers.selection.active = active  # keys mark tiles whatever layer is worked on
        corners = tile_corners(image, plane, box)
        present = [
            i for i, there in enumerate(layer.data) if there.shape == corners.shape and np.allclose(there, corners)
        ]
        if present and number:
            set_numbers(layer, present, number, self.categories)
        elif present:
            layer.selected_data = set(present)
            layer.remove_selected()
        elif number:
            category = self.categories.by_number(number)
            if category is not None:
                choose_category(layer, category)
                layer.add(corners, shape_type="rectangle")

    def mark_selected(self, layer: Layer | None, number: int) -> bool:
        """Give the selected shapes or points of a layer of marks a category; False when nothing is selected."""
        if not isinstance(layer, Shapes | Points) or MARKS_KEY not in layer.metadata or not layer.selected_data:
            return False
        set_numbers(layer, layer.selected_data, number, self.categories)
        return True

    def undo(self) -> bool:
        """Take back the last change of shapes or points; Labels have napari's own undo."""
        return self._undo.undo()

    def follow(self, layer: MarkLayer) -> None:
        """Follow a layer that was open before it became one of marks."""
        self._hear(layer)
        self.changed.emit()

    def _tiles_layer(self, image: Image) -> Shapes | None:
        layers = mark_layers(self._viewer, image)
        found = (one for one in layers if isinstance(one, Shapes) and one.metadata[MARKS_KEY].get(ROLE) == TILES_ROLE)
        return next(found, None)

    # -- events ---------------------------------------------------------------------------------------------------

    def _inserted(self, event: Any) -> None:
        layer = event.value
        if isinstance(layer, MarkLayer) and MARKS_KEY in layer.metadata:
            self._hear(layer)
            self.changed.emit()

    def _removed(self, event: Any) -> None:
        layer = event.value
        if layer in self._heard:
            self._unhear(layer)
            self.changed.emit()

    def _hear(self, layer: MarkLayer) -> None:
        if layer in self._heard:
            return
        self._heard.append(layer)
        for event in _events(layer):
            event.connect(self._marked)
        if not isinstance(layer, Labels):
            self._undo.follow(layer)

    def _unhear(self, layer: MarkLayer) -> None:
        self._heard.remove(layer)
        for event in _events(layer):
            event.disconnect(self._marked)
        if not isinstance(layer, Labels):
            self._undo.forget(layer)

    def _marked(self, event: object = None) -> None:
        if not str(getattr(event, "action", "")).endswith("ing"):
            self.changed.emit()


def _events(layer: MarkLayer) -> Sequence[Any]:
    if isinstance(layer, Labels):
        # paint does not tell of an undo, which draws again through labels_update
        return layer.events.paint, layer.events.labels_update, layer.events.data
    return (layer.events.data,)
