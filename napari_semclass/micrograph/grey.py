"""Grey normalisation: one robust range per micrograph, from a sample, so that its tiles stay comparable."""

from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph.micrograph import Micrograph
from napari_semclass.micrograph.percentiles import percentiles

# Up to this many pixels all are looked at; beyond it, _WINDOWS x _WINDOWS windows of _WINDOW px spread evenly.
_WHOLE_PX = 4_194_304
_WINDOWS = 8
_WINDOW = 256


@dataclass(frozen=True)
class GreyRange:
    """Grey levels, in the micrograph's own units, that become 0 (`low`) and 1 (`high`)."""

    low: float
    high: float

    def normalise(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Grey levels as float32 in [0, 1], same shape; NaN and -inf become 0, +inf becomes 1."""
        # float32 holds 24 bits: wider types are shifted to zero before they are narrowed.
        wide = pixels.dtype.itemsize > 4 or (pixels.dtype.itemsize == 4 and pixels.dtype.kind in "ui")
        shifted: NDArray[Any] = pixels.astype(np.float64 if wide else np.float32)
        shifted -= self.low
        shifted /= self.high - self.low
        scaled: NDArray[np.float32] = np.clip(shifted, 0, 1, out=shifted).astype(np.float32, copy=False)
        return np.nan_to_num(scaled, copy=False, nan=0) if pixels.dtype.kind == "f" else scaled


def grey_range(micrograph: Micrograph, low_percentile: float, high_percentile: float) -> GreyRange:
    """Robust grey range of the specimen (data bars and non-finite pixels left out).

    Parameters
    ----------
    micrograph : Micrograph
        Never read whole when it is larger than 4 megapixels.
    low_percentile, high_percentile : float
        In [0, 100]; the grey levels that become 0 and 1.

    Raises
    ------
    MicrographError
        When no sampled pixel is finite, or all have the same grey level: there is nothing to classify.
    """
    sample = np.concatenate([block.ravel() for block in _sample(micrograph)])
    if sample.dtype.kind == "f":
        sample = sample[np.isfinite(sample)]
        if sample.size == 0:
            raise MicrographError(f"{micrograph.name}: has no finite pixels (only NaN or infinity).")
    low, high = percentiles(sample, low_percentile, high_percentile)
    if not _apart(low, high):  # sparse features on a flat ground: the percentiles miss them
        low, high = float(sample.min()), float(sample.max())
    if not _apart(low, high):
        raise MicrographError(
            f"{micrograph.name}: every sampled pixel is {low:g}; a constant image has nothing to classify."
        )
    return GreyRange(low, high)


def _apart(low: float, high: float) -> bool:
    """Whether grey levels between the two can be told apart: neither equal nor beyond what numbers can hold."""
    return high > low and isfinite(high - low) and isfinite(1 / (high - low))


def _sample(micrograph: Micrograph) -> list[NDArray[Any]]:
    """Blocks of specimen pixels: all of a small micrograph, an even scatter of windows of a large one."""
    _, width = micrograph.shape
    parts = micrograph.specimen
    if not parts:
        raise MicrographError(f"{micrograph.name}: nothing is left outside the data bar.")
    if prod(micrograph.shape) <= _WHOLE_PX:
        return [micrograph.read(y0, y1, 0, width) for y0, y1 in parts]
    y0, y1 = max(parts, key=lambda part: part[1] - part[0])
    tops = np.linspace(y0, max(y0, y1 - _WINDOW), _WINDOWS).astype(int)
    lefts = np.linspace(0, max(0, width - _WINDOW), _WINDOWS).astype(int)
    return [
        micrograph.read(int(top), min(int(top) + _WINDOW, y1), int(left), min(int(left) + _WINDOW, width))
        for top in np.unique(tops)
        for left in np.unique(lefts)
    ]
