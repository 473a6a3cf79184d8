"""From layers of marks over a whole stack to the marks of each of its planes."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.annotate.marks import Marks, Point, Region, ellipse
from napari_semclass.annotate.project import MarkLayer

# In `MarkLayer.extra` of labels that are the user's own: which value means which category number.
VALUES = "values"
_AREAS = ("rectangle", "ellipse", "polygon")


def marks_of(layers: Sequence[MarkLayer], leading: Sequence[int]) -> list[Marks]:
    """Marks of each plane, in C order.

    Parameters
    ----------
    layers : sequence of MarkLayer
        Of one image, in its pixels. Where several are painted, the last one counts. Lines and paths mark nothing.
    leading : sequence of int
        Lengths of the axes before height and width; empty for a single plane.
    """
    planes = prod(leading)
    painted: list[NDArray[Any] | None] = [None] * planes
    regions: list[list[Region]] = [[] for _ in range(planes)]
    points: list[list[Point]] = [[] for _ in range(planes)]
    for layer in layers:
        if layer.kind == "labels":
            for plane in range(planes):
                stack: Any = layer.data
                values: Any = layer.extra.get(VALUES)
                pixels = _translated(stack[np.unravel_index(plane, leading)] if leading else stack, values)
                below = painted[plane]
                painted[plane] = pixels if below is None else np.where(pixels != 0, pixels, below)
            continue
        kinds = layer.shape_types or ("point",) * len(layer.data)
        for number, kind, where in zip(layer.numbers, kinds, layer.data, strict=True):
            corners = np.atleast_2d(np.asarray(where, dtype=np.float64))
            on = plane_of(corners[0], leading)
            if not number or on is None:
                continue
            if kind == "point":
                points[on].append(Point(number, float(corners[0, -2]), float(corners[0, -1])))
            elif kind in _AREAS:
                flat = corners[:, -2:]
                regions[on].append(Region(number, ellipse(flat) if kind == "ellipse" else flat))
    return [Marks(painted[plane], tuple(regions[plane]), tuple(points[plane])) for plane in range(planes)]


def plane_of(position: Sequence[float] | NDArray[np.float64], leading: Sequence[int]) -> int | None:
    """Number of the plane, in C order, that a position is on in a stack of these lengths; None outside the stack."""
    if not leading:
        return 0
    index = np.round(np.asarray(position, dtype=np.float64)[: len(leading)]).astype(int)
    if not (np.all(index >= 0) and np.all(index < leading)):
        return None
    return int(np.ravel_multi_index(tuple(index), tuple(leading)))


def _translated(pixels: NDArray[Any], values: Mapping[Any, int] | None) -> NDArray[Any]:
    """Values of the user's own labels as category numbers; values without a category become 0."""
    if values is None:
        return pixels
    result = np.zeros(pixels.shape, dtype=np.uint8)
    for value, number in values.items():
        result[pixels == int(value)] = number
    return result
