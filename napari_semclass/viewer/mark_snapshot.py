"""The marks of an image as they are at one moment, taken quickly from its layers and worked out later in a job."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Shapes
from numpy.typing import NDArray

from napari_semclass.annotate.marks import Marks
from napari_semclass.annotate.planes import VALUES, marks_of
from napari_semclass.annotate.project import MarkLayer as Kept
from napari_semclass.viewer.layers import MARKS_KEY, Target
from napari_semclass.viewer.mark_layers import ROLE, MarkLayer, mark_layers, numbers_of

_EXTRA = (ROLE, VALUES)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Marks of one image, over all its layers.

    What is painted is the layers' own array, so what the user paints meanwhile may be in it or not.
    """

    target: Target
    layers: tuple[Kept, ...]

    def marks(self) -> list[Marks]:
        """Marks per plane of the stack."""
        return marks_of(self.layers, self.target.leading)


def snapshot(viewer: ViewerModel, target: Target) -> Snapshot:
    """The marks of a target's layers as they are now; fast, for the GUI thread."""
    return Snapshot(target, kept_layers(viewer, target.layer, target.id))


def kept_layers(viewer: ViewerModel, image: Image, image_id: str) -> tuple[Kept, ...]:
    """The layers of marks of an image, in the image's pixels, as a project keeps them; painted pixels are shared."""
    return tuple(_kept(layer, image, image_id) for layer in mark_layers(viewer, image))


def _kept(layer: MarkLayer, image: Image, image_id: str) -> Kept:
    remembered = layer.metadata[MARKS_KEY]
    extra = {key: remembered[key] for key in _EXTRA if key in remembered}
    if VALUES in extra:  # JSON has only words for keys
        extra[VALUES] = {str(value): number for value, number in extra[VALUES].items()}
    if isinstance(layer, Labels):
        return Kept(image_id, "labels", layer.name, layer.data, extra=extra)
    numbers = tuple(numbers_of(layer).tolist())
    if isinstance(layer, Shapes):
        corners = tuple(_in_image(layer, image, shape) for shape in layer.data)
        return Kept(image_id, "shapes", layer.name, corners, numbers, tuple(layer.shape_type), extra=extra)
    return Kept(image_id, "points", layer.name, _in_image(layer, image, layer.data), numbers, extra=extra)


def _in_image(layer: MarkLayer, image: Image, positions: NDArray[Any]) -> NDArray[np.float64]:
    """Positions (n, ndim) of a layer in the image's pixels; layers of ours lie exactly on the image."""
    positions = np.array(positions, dtype=np.float64)
    if _lies_on(layer, image) or not len(positions):
        return positions
    moved = [image.world_to_data(layer.data_to_world(position)) for position in positions]
    return np.asarray(moved, dtype=np.float64)[:, -positions.shape[1] :]


def _lies_on(layer: MarkLayer, image: Image) -> bool:
    same = (
        np.array_equal(getattr(layer, key), getattr(image, key)) for key in ("scale", "translate", "rotate", "shear")
    )
    return all(same) and np.array_equal(layer.affine.affine_matrix, image.affine.affine_matrix)
