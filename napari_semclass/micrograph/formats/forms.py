"""What the numbers of a pixel stand for: grey levels of either direction, colours, inks, palettes, an opacity."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A palette with this share of its colours grey is an instrument's: the others are its marks.
_GREY_PALETTE = 0.8


@dataclass(frozen=True)
class Form:
    """How to turn stored samples into grey levels or colours.

    Parameters
    ----------
    change : function or None
        From the colour samples, an array (…,) or (…, colours), to grey levels (…,) or colours (…, 3) of any dtype.
    colours : int
        How many of a pixel's samples it takes.
    opacity : int or None
        Which sample is the pixel's opacity.
    rgb : bool
        Whether colours come out.
    note : str
        What is left out or changed.
    """

    change: Callable[[NDArray[Any]], NDArray[Any]] | None = None
    colours: int = 1
    opacity: int | None = None
    rgb: bool = False
    note: str = ""

    @property
    def is_plain(self) -> bool:
        """Tell whether pixels of a single sample stay as they are."""
        return self.change is None and self.colours == 1 and self.opacity is None

    def applied(self, samples: NDArray[Any], *, has_samples: bool) -> NDArray[Any]:
        """The pixels of an array whose last axis holds samples where `has_samples`; an opacity becomes the last."""
        colours = samples
        if has_samples:
            colours = samples[..., : self.colours] if self.colours > 1 else samples[..., 0]
        if self.change is not None:
            colours = self.change(colours)
        if self.opacity is None:
            return colours
        opacity = samples[..., self.opacity, None]
        if opacity.dtype != colours.dtype:
            opacity = np.where(opacity > 0, full(colours.dtype), 0).astype(colours.dtype)
        return np.concatenate([colours if self.rgb else colours[..., None], opacity], axis=-1)


def full(dtype: np.dtype[Any]) -> int:
    """The highest level of a dtype; 1 of floating point and of truth values."""
    return int(np.iinfo(dtype).max) if dtype.kind in "ui" else 1


def reversed_levels(bits: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The change of grey levels of which the lowest is white, for whole numbers of so many bits."""

    def change(levels: NDArray[Any]) -> NDArray[Any]:
        kind = levels.dtype.kind
        if kind == "f":
            return -levels
        if kind != "u" or bits >= 8 * levels.dtype.itemsize:
            return ~levels  # of signed numbers -1 - x; of truth values the other
        return np.asarray(levels.dtype.type(2**bits - 1) - levels)

    return change


def colours_of_inks(inks: NDArray[Any]) -> NDArray[Any]:
    """Red, green and blue (…, 3) of cyan, magenta, yellow and black (…, 4), with all their bits."""
    if inks.dtype.kind == "f":
        return np.asarray((1 - inks[..., :3]) * (1 - inks[..., 3:]))
    most = full(inks.dtype)
    wide = inks.astype(np.uint64)
    left = (most - wide[..., :3]) * (most - wide[..., 3:])
    return np.asarray((left + most // 2) // most).astype(inks.dtype)


def colours_of_luma(samples: NDArray[Any]) -> NDArray[Any]:
    """Red, green and blue (…, 3) of Y, Cb and Cr (…, 3), of full range as in JFIF."""
    most = full(samples.dtype)
    middle = (most + 1) / 2
    y, blue, red = (samples[..., i].astype(np.float64) - (middle if i else 0) for i in range(3))
    rgb = np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], axis=-1)
    return np.asarray(np.clip(np.rint(rgb), 0, most)).astype(samples.dtype)


def lightness(samples: NDArray[Any]) -> NDArray[Any]:
    """The first (…,) of L*, a* and b* (…, 3)."""
    return samples[..., 0]


def palette_levels(colours: NDArray[Any]) -> NDArray[Any]:
    """What a palette's numbers stand for: grey levels (n,) of a palette of greys and some marks, else colours (n, 3).

    Parameters
    ----------
    colours : array (n, 3)
        Of 8 or 16 bits. Palettes of 16 bits that were written from 8, in whichever scaling, become those 8 bits.
    """
    colours = _narrowed(np.asarray(colours))
    unique = np.unique(colours, axis=0)
    if np.mean(unique.max(axis=1) == unique.min(axis=1)) < _GREY_PALETTE:
        return colours
    grey = colours.max(axis=1) == colours.min(axis=1)
    # A mark takes the place of a level of the ramp: the pixel below it had the level between its neighbours.
    levels = np.interp(np.arange(len(colours)), np.flatnonzero(grey), colours[grey, 0])
    return np.asarray(np.rint(levels).astype(colours.dtype))


def _narrowed(colours: NDArray[Any]) -> NDArray[Any]:
    if colours.dtype.itemsize == 1:
        return colours
    if colours.max(initial=0) <= 255:  # written as if the scale ended there; else all of it would be black
        return colours.astype(np.uint8)
    for step in (257, 256):
        if not (colours % step).any():
            return (colours // step).astype(np.uint8)
    return colours.astype(np.uint16)


def looked_up(levels: NDArray[Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The change of a palette's numbers into what they stand for.

    Raises
    ------
    ValueError
        When a pixel has a number that the palette lacks.
    """

    def change(numbers: NDArray[Any]) -> NDArray[Any]:
        places = numbers.astype(np.intp)
        if places.size and (places.max() >= len(levels) or places.min() < 0):
            raise ValueError(f"a pixel has colour {places.max()} of a palette of {len(levels)}")
        return levels[places]

    return change
