"""Whole pictures: square crops across the long side, so that the aspect is kept and nothing is squeezed."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from napari_semclass.micrograph import GreyRange, Micrograph, shrink

# Neighbouring crops share at least half of their width; a very long strip gets no more than _MOST of them.
_SHARED = 0.5
_MOST = 9


def whole_crops(micrograph: Micrograph, levels: GreyRange, input_size: int) -> NDArray[np.float32]:
    """Square crops as high as the specimen is (or as wide, if that is less), evenly spread over it.

    Parameters
    ----------
    micrograph : Micrograph
        Its tallest interval of specimen rows is used.
    levels : GreyRange
    input_size : int
        Side of the network's input; a micrograph many times larger is averaged down first, so that memory
        stays flat.

    Returns
    -------
    array (crops, side, side), float32
        Normalised grey levels in [0, 1].
    """
    rows = max(micrograph.specimen, key=lambda part: part[1] - part[0])
    shortest = min(rows[1] - rows[0], micrograph.shape[1])
    field = shrink(micrograph, levels, max(1, shortest // (4 * input_size)), rows)
    return square_crops(field)


def square_crops(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """Square crops (crops, side, side) of a field (height, width), side = its shorter extent."""
    side, long = min(field.shape), max(field.shape)
    count = min(_MOST, 1 + ceil((long - side) / (side * (1 - _SHARED))))
    starts = np.linspace(0, long - side, count).round().astype(int)
    along_x = field.shape[1] == long
    return np.stack([field[:, s : s + side] if along_x else field[s : s + side] for s in starts])
