"""Grey normalisation: one robust range per micrograph, from a sample, so that its tiles stay comparable."""

from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph.micrograph import Micrograph
from napari_semclass.micrograph.percentiles import percentiles
from napari_semclass.micrograph.void import VoidMap

# Up to this many pixels all are looked at; beyond it, _WINDOWS x _WINDOWS windows of _WINDOW px spread evenly.
_WHOLE_PX = 4_194_304
_WINDOWS = 8
_WINDOW = 256
_LEAST_HELD = 4  # windows full of data; if there is less in all, others are looked for
_MOST_VOID = 0.5  # share without data of those


@dataclass(frozen=True)
class GreyRange:
    """Grey levels, in the micrograph's own units, that become 0 (`low`) and 1 (`high`).

    `void`, in [0, 1], is what pixels without data (NaN) become. The middle of the range, so that a network sees the
    least edge where the data end; and the same whatever else is known, so that a tile is seen alike in its micrograph,
    in a file of its own and with a range from a manifest.
    """

    low: float
    high: float
    void: float = 0.5

    def normalise(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Grey levels as float32 in [0, 1], same shape; NaN becomes `void`, -inf 0 and +inf 1."""
        # float32 holds 24 bits: wider types are shifted to zero before they are narrowed.
        wide = pixels.dtype.itemsize > 4 or (pixels.dtype.itemsize == 4 and pixels.dtype.kind in "ui")
        shifted: NDArray[Any] = pixels.astype(np.float64 if wide else np.float32)
        shifted -= self.low
        shifted /= self.high - self.low
        scaled: NDArray[np.float32] = np.clip(shifted, 0, 1, out=shifted).astype(np.float32, copy=False)
        return np.nan_to_num(scaled, copy=False, nan=self.void) if pixels.dtype.kind == "f" else scaled


def grey_range(micrograph: Micrograph, low_percentile: float, high_percentile: float) -> GreyRange:
    """Robust grey range of the specimen (data bars and pixels without data left out).

    Parameters
    ----------
    micrograph : Micrograph
        Never read whole when it is larger than 4 megapixels.
    low_percentile, high_percentile : float
        In [0, 100]; the grey levels that become 0 and 1.

    Raises
    ------
    MicrographError
        When no sampled pixel holds data, or all have the same grey level: there is nothing to classify.
    """
    sample = np.concatenate([block.ravel() for block in _sample(micrograph)])
    if sample.dtype.kind == "f":
        sample = sample[np.isfinite(sample)]
        if sample.size == 0:
            raise MicrographError(
                f"{micrograph.name}: has no data in it (every pixel is NaN, infinite, transparent or fill)."
            )
        stored = np.dtype(micrograph.pixels.dtype)
        if stored.kind in "ui" and not micrograph.rgb:
            sample = sample.astype(stored)  # as it would be without void, which made NaN of some and counts slower
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
    boxes = np.array(
        [(a, b, min(a + _WINDOW, y1), min(b + _WINDOW, width)) for a in np.unique(tops) for b in np.unique(lefts)]
    )
    blocks = [micrograph.read(*box) for box in boxes[:, [0, 2, 1, 3]].tolist()]
    held = sum(int(np.isfinite(block).sum()) for block in blocks)
    void = micrograph.void_map if held < _LEAST_HELD * _WINDOW**2 else None
    if void is None:
        return blocks
    return [micrograph.read(*box) for box in _held_boxes(void, (y0, y1))[:, [0, 2, 1, 3]].tolist()]


def _held_boxes(void: VoidMap, rows: tuple[int, int]) -> NDArray[np.int64]:
    """Windows `(y0, x0, y1, x1)` of the specimen rows that hold most data, spread evenly over the picture."""
    y = np.arange(rows[0], max(rows[0] + 1, rows[1] - _WINDOW + 1), _WINDOW)
    x = np.arange(0, max(1, void.shape[1] - _WINDOW + 1), _WINDOW)
    corners = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    boxes: NDArray[np.int64] = np.hstack([corners, np.minimum(corners + _WINDOW, (rows[1], void.shape[1]))])
    shares = void.share_of(boxes)
    held = np.flatnonzero(shares <= max(_MOST_VOID, shares.min()))
    chosen = np.linspace(0, len(held) - 1, min(len(held), _WINDOWS**2)).astype(int)
    return np.asarray(boxes[held[chosen]])
