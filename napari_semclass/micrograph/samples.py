"""A pixel's samples (grey, colours, opacity) as one grey level, NaN where there is no data."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Rec. 709 luminance: equal channels give back the grey level they hold.
_LUMINANCE = np.array([0.2125, 0.7154, 0.0721], dtype=np.float32)


def grey_levels(block: NDArray[Any], *, rgb: bool, alpha: bool, no_data: float | None) -> NDArray[Any]:
    """Grey levels (height, width) of a block of pixels, in their own range.

    Parameters
    ----------
    block : array (height, width) or (height, width, samples)
    rgb, alpha : bool
        See `Micrograph`.
    no_data : float or None
        The level that stands for "no data"; with colours, of all of them at once.
    """
    samples = block[..., :-1] if alpha else block
    if rgb:
        grey = np.asarray(samples[..., :3].astype(np.float32) @ _LUMINANCE)
    else:
        grey = samples[..., 0] if alpha else samples
    grey = grey.view(np.uint8) if grey.dtype == bool else grey
    if alpha:
        grey = without(grey, block[..., -1] == 0)
    if no_data is not None:
        empty = samples == no_data
        grey = without(grey, empty if empty.ndim == 2 else empty.all(axis=-1))
    return without(grey, ~np.isfinite(grey)) if grey.dtype.kind == "f" else grey


def without(grey: NDArray[Any], void: NDArray[np.bool_]) -> NDArray[Any]:
    """Grey levels with NaN where they are void, as floating-point numbers if any are."""
    if not void.any():
        return grey
    narrow = grey.dtype.itemsize <= (4 if grey.dtype.kind == "f" else 2)
    levels = grey.astype(np.float32 if narrow else np.float64)
    levels[void] = np.nan
    return levels
