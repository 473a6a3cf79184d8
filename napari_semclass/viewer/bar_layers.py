"""Follows the rectangles over data bars: what the user makes of them is what the images' data bars are."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer, Shapes

from napari_semclass.viewer.layer_facts import DATA_BAR_KEY, READER_KEY

# In the metadata of a layer of rectangles, and in what our reader says of the image they belong to.
PAIR_KEY = "semclass_pair"


class BarLayers:
    """Keeps the rows in the images' metadata in step with the rectangles; calls `changed` when they became others.

    Rectangles that are as the reader drew them, and a layer of them that was removed, leave the reader's rows in force.
    """

    def __init__(self, viewer: ViewerModel, changed: Callable[[], None]) -> None:
        self._viewer, self._changed = viewer, changed
        self._followed: list[Shapes] = []
        for event in self._list_events():
            event.connect(self._list_changed)
        self._list_changed()

    def let_go(self) -> None:
        """Follow nothing any more."""
        for event in self._list_events():
            event.disconnect(self._list_changed)
        self._follow([])

    def _list_events(self) -> tuple[Any, ...]:
        return self._viewer.layers.events.inserted, self._viewer.layers.events.removed

    def _list_changed(self, event: object = None) -> None:
        self._follow([one for one in self._viewer.layers if _is_bar(one)])
        self._update()

    def _follow(self, layers: list[Any]) -> None:
        for layer in self._followed:
            layer.events.data.disconnect(self._edited)
        self._followed = layers
        for layer in self._followed:
            layer.events.data.connect(self._edited)

    def _edited(self, event: object = None) -> None:
        if not str(getattr(event, "action", "")).endswith("ing"):  # of a rectangle that is still being dragged
            self._update()

    def _update(self) -> None:
        images = [one for one in self._viewer.layers if isinstance(one, Image) and _pair(one)]
        differ = [image for image in images if _set_rows(image, self._corrected(image))]
        if differ:
            self._changed()

    def _corrected(self, image: Image) -> list[tuple[int, int]] | None:
        """Rows that the user made of the rectangles of an image; None where they are the reader's."""
        bars = next((one for one in self._followed if one.metadata[PAIR_KEY] == _pair(image)), None)
        if bars is None:
            return None
        rows = _rows(bars, image)
        return None if rows == [tuple(row) for row in bars.metadata[DATA_BAR_KEY]] else rows


def _is_bar(layer: Layer) -> bool:
    return isinstance(layer, Shapes) and DATA_BAR_KEY in layer.metadata and PAIR_KEY in layer.metadata


def _pair(image: Image) -> str:
    said = image.metadata.get(READER_KEY)
    return str(said.get(PAIR_KEY, "")) if isinstance(said, dict) else ""


def _set_rows(image: Image, rows: list[tuple[int, int]] | None) -> bool:
    """Remember rows in place of the reader's; False when they were remembered already."""
    if image.metadata.get(DATA_BAR_KEY) == rows:
        return False
    others = {key: value for key, value in image.metadata.items() if key != DATA_BAR_KEY}
    image.metadata = others if rows is None else {**others, DATA_BAR_KEY: rows}
    return True


def _rows(bars: Shapes, image: Image) -> list[tuple[int, int]]:
    """Rows `[start, stop)` of an image that shapes touch, top to bottom."""
    height = int((image.data[0] if image.multiscale else image.data).shape[-3 if image.rgb else -2])
    found = []
    for shape in bars.data:
        world = [bars.data_to_world(corner)[-2:] for corner in np.asarray(shape)]
        y = [image.world_to_data((*(0,) * (image.ndim - 2), *place))[-2] for place in world]
        # napari puts a pixel's centre on whole numbers: its edges lie half a pixel beside.
        start, stop = (min(max(round(float(edge) + 0.5), 0), height) for edge in (min(y), max(y)))
        if stop > start:
            found.append((start, stop))
    return sorted(found)
