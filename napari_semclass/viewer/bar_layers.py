"""Follows the rectangles over data bars: what the user makes of them is what the images' data bars are."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer, Shapes

from napari_semclass.viewer.layer_facts import DATA_BAR_KEY, READER_KEY
from napari_semclass.viewer.layers import placement

# In the metadata of a layer of rectangles, and of the image they belong to or in what our reader says of that.
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
        rows, drawn = _rows(bars, image), bars.metadata[DATA_BAR_KEY]
        return None if drawn is not None and rows == [tuple(row) for row in drawn] else rows


def corrected_rows(image: Image) -> tuple[tuple[int, int], ...] | None:
    """Rows `[start, stop)` that the user made of an image's data bars; None where nothing was corrected."""
    rows = image.metadata.get(DATA_BAR_KEY)
    return None if rows is None else tuple((int(start), int(stop)) for start, stop in rows)


def restore_rows(viewer: ViewerModel, image: Image, rows: Sequence[tuple[int, int]]) -> None:
    """Bring back what the user had made of an image's data bars, as rectangles to be corrected further."""
    pair = uuid4().hex
    image.metadata = {**image.metadata, DATA_BAR_KEY: list(rows), PAIR_KEY: pair}
    drawn: dict[str, Any] = bar_keywords(rows, _size(image)[1])
    # There is no reader's word that these rectangles could be brought back to.
    drawn |= {"name": f"{image.name} data bar", "metadata": {DATA_BAR_KEY: None, PAIR_KEY: pair}}
    viewer.layers.append(Shapes(drawn.pop("data") or None, ndim=image.ndim, **drawn, **placement(image)))


def bar_keywords(rows: Sequence[tuple[int, int]], width: int) -> dict[str, Any]:
    """What a Shapes layer of rectangles around rows of an image of this width is made of."""
    # napari puts a pixel's centre on whole numbers: its edges lie half a pixel beside.
    edges = [(start - 0.5, stop - 0.5) for start, stop in rows]
    return {
        "data": [np.array([(a, -0.5), (a, width - 0.5), (b, width - 0.5), (b, -0.5)]) for a, b in edges],
        "shape_type": "rectangle",
        "face_color": "transparent",
        "edge_color": "yellow",
        "edge_width": max(1.0, width / 400),
    }


def _is_bar(layer: Layer) -> bool:
    return isinstance(layer, Shapes) and DATA_BAR_KEY in layer.metadata and PAIR_KEY in layer.metadata


def _pair(image: Image) -> str:
    said = image.metadata.get(READER_KEY)
    read = said.get(PAIR_KEY, "") if isinstance(said, dict) else ""
    return str(image.metadata.get(PAIR_KEY, read))


def _set_rows(image: Image, rows: list[tuple[int, int]] | None) -> bool:
    """Remember rows in place of the reader's; False when they were remembered already."""
    if image.metadata.get(DATA_BAR_KEY) == rows:
        return False
    others = {key: value for key, value in image.metadata.items() if key != DATA_BAR_KEY}
    image.metadata = others if rows is None else {**others, DATA_BAR_KEY: rows}
    return True


def _size(image: Image) -> tuple[int, int]:
    height, width = (image.data[0] if image.multiscale else image.data).shape[-3 if image.rgb else -2 :][:2]
    return int(height), int(width)


def _rows(bars: Shapes, image: Image) -> list[tuple[int, int]]:
    """Rows `[start, stop)` of an image that shapes touch, top to bottom."""
    height = _size(image)[0]
    found = []
    for shape in bars.data:
        world = [bars.data_to_world(corner)[-2:] for corner in np.asarray(shape)]
        y = [image.world_to_data((*(0,) * (image.ndim - 2), *place))[-2] for place in world]
        # napari puts a pixel's centre on whole numbers: its edges lie half a pixel beside.
        start, stop = (min(max(round(float(edge) + 0.5), 0), height) for edge in (min(y), max(y)))
        if stop > start:
            found.append((start, stop))
    return sorted(found)
