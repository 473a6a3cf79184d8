"""Between napari's layers and marks: the Labels, Shapes and Points layers in which the user says what is what."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import NDArray
from pandas import DataFrame, Series

from napari_semclass.annotate.categories import Categories, MarkCategory
from napari_semclass.annotate.marks import box_corners
from napari_semclass.annotate.planes import VALUES
from napari_semclass.errors import SettingsError
from napari_semclass.viewer.layers import IMAGE_KEY, MARKS_KEY, placement

MarkLayer: TypeAlias = Labels | Shapes | Points

SPECIMEN_KEY = "semclass_specimen"
ROLE = "role"
# Columns of the features of Shapes and Points; the second is for the user's eyes.
NUMBER, NAME = "number", "category"
TILES_ROLE = "tiles"
_PAINT_OPACITY = 0.5
_FACE_ALPHA = 0.15
# In screen terms: visible at any zoom a micrograph is looked at, without hiding what is marked.
_EDGE_SHARE, _POINT_SHARE = 0.004, 0.02
_NOTHING = np.zeros(4, dtype=np.float32)


def mark_layers(viewer: ViewerModel, image: Image | None = None) -> list[MarkLayer]:
    """The layers that hold marks, of one image or of all."""
    layers = [layer for layer in viewer.layers if isinstance(layer, MarkLayer) and MARKS_KEY in layer.metadata]
    return [layer for layer in layers if image is None or layer.metadata[MARKS_KEY][IMAGE_KEY] == image.unique_id]


def image_shape(image: Image) -> tuple[int, ...]:
    """Lengths of the stack axes, height and width of an Image layer's finest level."""
    shape = (image.data[0] if image.multiscale else image.data).shape
    return tuple(int(n) for n in (shape[:-1] if image.rgb else shape))


def specimen_of(image: Image) -> str:
    """What the user calls the specimen of a micrograph; empty when unknown."""
    return str(image.metadata.get(SPECIMEN_KEY, ""))


def add_painting(viewer: ViewerModel, image: Image, categories: Categories, data: NDArray[Any] | None = None) -> Labels:
    """A Labels layer to paint in; the value of a pixel is the category's number."""
    if data is None:
        data = np.zeros(image_shape(image), dtype=np.uint8)
    layer = Labels(data, name=f"{image.name} · painted", opacity=_PAINT_OPACITY, **_common(image))
    return _added(viewer, image, layer, categories)


def add_regions(viewer: ViewerModel, image: Image, categories: Categories, *, tiles: bool = False) -> Shapes:
    """A Shapes layer for boxes and polygons, or for the tiles that keys mark."""
    common = _common(image)
    if tiles:
        common["metadata"][MARKS_KEY][ROLE] = TILES_ROLE
    width = max(1.0, _EDGE_SHARE * min(image_shape(image)[-2:]))
    name = f"{image.name} · {'tiles' if tiles else 'regions'}"
    layer = Shapes(None, ndim=len(image_shape(image)), name=name, edge_width=width, features=_no_features(), **common)
    return _added(viewer, image, layer, categories)


def add_points(viewer: ViewerModel, image: Image, categories: Categories) -> Points:
    """A Points layer; each point marks the tile it lies in."""
    size = max(4.0, _POINT_SHARE * min(image_shape(image)[-2:]))
    name = f"{image.name} · points"
    layer = Points(None, ndim=len(image_shape(image)), name=name, size=size, features=_no_features(), **_common(image))
    return _added(viewer, image, layer, categories)


def values_of(layer: MarkLayer) -> list[Any]:
    """What a layer of the user's own tells apart: label values, or the values of its first column of names."""
    if isinstance(layer, Labels):
        data = layer.data[0] if layer.multiscale else layer.data
        return [int(value) for value in np.unique(np.asarray(data)) if value]
    column = _column_of_names(layer)
    return [layer.name] if column is None else sorted({str(value) for value in layer.features[column]})


def adopt(layer: MarkLayer, image: Image, numbers: Mapping[Any, int], categories: Categories) -> None:
    """Take a layer of the user's own as marks of an image; `numbers` gives the category of each of `values_of`.

    Its data stay as they are; Shapes and Points get a column with the category's number.

    Raises
    ------
    SettingsError
        When it cannot belong to the image.
    """
    shape = image_shape(image)
    if isinstance(layer, Labels) and (layer.multiscale or layer.data.shape != shape):
        raise SettingsError(
            f"{layer.name}: has other pixels than {image.name}; labels must have the image's size, in one level."
        )
    if layer.ndim != len(shape):
        raise SettingsError(f"{layer.name}: has {layer.ndim} dimensions, but {image.name} has {len(shape)}.")
    remembered: dict[str, Any] = {IMAGE_KEY: image.unique_id}
    if isinstance(layer, Labels):
        remembered[VALUES] = {int(value): number for value, number in numbers.items()}
    else:
        column = _column_of_names(layer)
        values = [layer.name] * len(layer.data) if column is None else [str(v) for v in layer.features[column]]
        layer.features = layer.features.assign(**{NUMBER: [numbers.get(value, 0) for value in values]})
    layer.metadata = {**layer.metadata, MARKS_KEY: remembered}
    show_categories(layer, categories)


def show_categories(layer: MarkLayer, categories: Categories) -> None:
    """Give a layer's marks the names and colours of their categories."""
    if isinstance(layer, Labels):
        values = layer.metadata[MARKS_KEY].get(VALUES)
        known = {item.number: item for item in categories.items}
        shown = known if values is None else {v: known[n] for v, n in values.items() if n in known}
        colors = {value: _rgba(item.color) for value, item in shown.items()}
        layer.colormap = DirectLabelColormap(color_dict={None: _NOTHING, 0: _NOTHING, **colors})
        layer.features = {
            "index": [0, *shown],
            NAME: ["", *(item.name for item in shown.values())],
        }
        return
    numbers = numbers_of(layer)
    by_number = {item.number: item.name for item in categories.items}
    # Without its type, a column of no names would be one of numbers, which takes no name later.
    names = Series([by_number.get(int(n), "") for n in numbers], dtype=object)
    layer.features = layer.features.assign(**{NUMBER: numbers, NAME: names})
    if len(numbers):
        _colour(layer, numbers, categories)


def numbers_of(layer: Shapes | Points) -> NDArray[np.int64]:
    """Category number of each shape or point; 0 where it has none."""
    if NUMBER not in layer.features:
        return np.zeros(len(layer.data), dtype=np.int64)
    return np.array(layer.features[NUMBER].fillna(0), dtype=np.int64)


def set_numbers(
    layer: Shapes | Points, indices: Iterable[int], number: int | Sequence[int], categories: Categories
) -> None:
    """Give some shapes or points another category, or one each (0: none)."""
    numbers = numbers_of(layer)
    numbers[list(indices)] = number
    layer.features = layer.features.assign(**{NUMBER: numbers})
    show_categories(layer, categories)
    layer.events.data(value=layer.data)  # napari tells of new features, but those who count marks listen to data


def renumber(layer: MarkLayer, old: int, new: int, categories: Categories) -> None:
    """Give all marks of one category to another."""
    if not isinstance(layer, Labels):
        numbers = numbers_of(layer)
        set_numbers(layer, np.flatnonzero(numbers == old), new, categories)
        return
    values = layer.metadata[MARKS_KEY].get(VALUES)
    if values is not None:
        values = {value: new if number == old else number for value, number in values.items()}
        layer.metadata = {**layer.metadata, MARKS_KEY: {**layer.metadata[MARKS_KEY], VALUES: values}}
        show_categories(layer, categories)
    else:
        where = np.nonzero(layer.data == old)
        layer.data_setitem(where, new)  # goes into the layer's own history, so that it can be undone


def choose_category(layer: MarkLayer, category: MarkCategory) -> None:
    """What is painted, drawn or clicked next is of this category."""
    if isinstance(layer, Labels):
        values = layer.metadata[MARKS_KEY].get(VALUES, {category.number: category.number})
        value = next((value for value, number in values.items() if number == category.number), None)
        if value is not None:
            layer.selected_label = value
        return
    wanted = {NUMBER: category.number, NAME: category.name}
    face = _rgba(category.color, _FACE_ALPHA if isinstance(layer, Shapes) else 1.0)
    same = _alike(layer.current_face_color, face)
    if isinstance(layer, Shapes):
        same &= _alike(layer.current_edge_color, _rgba(category.color))
    if same and layer.feature_defaults.to_dict("records") == [wanted]:
        return
    selected = set(layer.selected_data)
    layer.selected_data = set()  # napari would recolour what is selected
    layer.feature_defaults = wanted
    if not same:  # each of these draws every mark again
        layer.current_face_color = face
        if isinstance(layer, Shapes):
            layer.current_edge_color = category.color
    layer.selected_data = selected


def tile_corners(image: Image, plane: int, box: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Corners (4, ndim) of a tile as napari counts: a pixel's middle is at its whole number."""
    corners = box_corners(box)
    leading = image_shape(image)[:-2]
    if not leading:
        return corners
    index = np.unravel_index(plane, leading)
    return np.concatenate([np.tile(np.array(index, dtype=float), (4, 1)), corners], axis=1)


def _column_of_names(layer: Shapes | Points) -> str | None:
    return next((c for c in layer.features if layer.features[c].dtype.kind in "OSU" or c == NUMBER), None)


def _colour(layer: Shapes | Points, numbers: NDArray[np.int64], categories: Categories) -> None:
    colors = {item.number: item.color for item in categories.items}
    edges = np.array([_rgba(colors.get(int(n), "#808080")) for n in numbers])
    if not isinstance(layer, Shapes):
        layer.face_color = edges
        return
    faces = edges * np.array([1, 1, 1, _FACE_ALPHA], dtype=np.float32)
    # Either draws every shape again.
    if not np.allclose(layer.edge_color, edges):
        layer.edge_color = edges
    if not np.allclose(layer.face_color, faces):
        layer.face_color = faces


def _alike(shown: Any, color: NDArray[np.float32]) -> bool:
    return bool(np.allclose(transform_color(shown)[0], color, atol=1 / 255))


def _rgba(color: str, alpha: float = 1.0) -> NDArray[np.float32]:
    return np.array([*(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)), alpha], dtype=np.float32)


def _no_features() -> DataFrame:
    return DataFrame({NUMBER: Series(dtype=np.int64), NAME: Series(dtype=object)})


def _common(image: Image) -> dict[str, Any]:
    return {"metadata": {MARKS_KEY: {IMAGE_KEY: image.unique_id}}, **placement(image)}


def _added(viewer: ViewerModel, image: Image, layer: Any, categories: Categories) -> Any:
    show_categories(layer, categories)
    if categories.items:
        choose_category(layer, categories.items[0])
    viewer.layers.append(layer)
    return layer
