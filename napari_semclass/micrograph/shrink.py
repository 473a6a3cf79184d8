"""Shrinking: a small picture of a micrograph of any size, read band by band so that memory stays flat."""

import numpy as np
from numpy.typing import NDArray
from skimage.transform import downscale_local_mean

from napari_semclass.micrograph.grey import GreyRange
from napari_semclass.micrograph.micrograph import Micrograph

_BAND_PX = 16_000_000


def shrink(
    micrograph: Micrograph,
    levels: GreyRange,
    factor: int,
    rows: tuple[int, int],
    columns: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
    """Normalised grey levels averaged over `factor` x `factor` pixels.

    Parameters
    ----------
    micrograph : Micrograph
    levels : GreyRange
        Applied before averaging, so that a few hot pixels do not spread.
    factor : int
        At least 1; 1 returns full resolution.
    rows : (int, int)
        Row interval `[y0, y1)` to shrink.
    columns : (int, int), optional
        Column interval; the whole width by default.

    Returns
    -------
    array (ceil((y1 - y0) / factor), ceil((x1 - x0) / factor)), float32
        In [0, 1]. Blocks cut by the right or lower edge average the pixels they have.
    """
    y0, y1 = rows
    x0, x1 = columns or (0, micrograph.shape[1])
    band = max(1, _BAND_PX // ((x1 - x0) * factor)) * factor
    return np.concatenate(
        [
            _means(levels.normalise(micrograph.read(top, min(top + band, y1), x0, x1)), factor)
            for top in range(y0, y1, band)
        ]
    )


def _means(pixels: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    if factor == 1:
        return pixels
    missing = [(0, -n % factor) for n in pixels.shape]
    sums: NDArray[np.float32] = downscale_local_mean(np.pad(pixels, missing), (factor, factor))
    if not any(after for _, after in missing):
        return np.asarray(sums, dtype=np.float32)
    present = downscale_local_mean(np.pad(np.ones_like(pixels), missing), (factor, factor))
    mean: NDArray[np.float32] = (sums / present).astype(np.float32)
    return mean
