"""Whole pictures: square crops across the long side, so that the aspect is kept and nothing is squeezed."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from napari_semclass.classify.grid import MOST_VOID
from napari_semclass.micrograph import GreyRange, Micrograph, shrink

# Neighbouring crops share at least half of their width; a very long strip gets no more than _MOST of them.
_SHARED = 0.5
_MOST = 9


def whole_crops(micrograph: Micrograph, levels: GreyRange, input_size: int) -> NDArray[np.float32]:
    """Square crops as high as the specimen is (or as wide, if that is less), evenly spread over it.

    Crops more than half without data are left out, if there are others.

    Parameters
    ----------
    micrograph : Micrograph
        Its `field` is used.
    levels : GreyRange
    input_size : int
        Side of the network's input; a micrograph many times larger is averaged down first, so that memory
        stays flat.

    Returns
    -------
    array (crops, side, side), float32
        Normalised grey levels in [0, 1].
    """
    y0, x0, y1, x1 = micrograph.field
    factor = max(1, min(y1 - y0, x1 - x0) // (4 * input_size))
    crops = square_crops(shrink(micrograph, levels, factor, (y0, y1), (x0, x1)))
    void = micrograph.void_map
    if void is None or len(crops) == 1:
        return crops
    side = min(y1 - y0, x1 - x0)
    starts = np.linspace(0, max(y1 - y0, x1 - x0) - side, len(crops)).round().astype(np.int64)
    down, across = (starts, 0) if y1 - y0 > x1 - x0 else (0, starts)
    corners = np.stack(np.broadcast_arrays(y0 + down, x0 + across), axis=1)
    shares = void.share_of(np.hstack([corners, corners + side]))
    held: NDArray[np.float32] = crops[shares <= max(MOST_VOID, shares.min())]
    return held


def square_crops(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """Square crops (crops, side, side) of a field (height, width), side = its shorter extent."""
    side, long = min(field.shape), max(field.shape)
    count = min(_MOST, 1 + ceil((long - side) / (side * (1 - _SHARED))))
    starts = np.linspace(0, long - side, count).round().astype(int)
    along_x = field.shape[1] == long
    return np.stack([field[:, s : s + side] if along_x else field[s : s + side] for s in starts])
