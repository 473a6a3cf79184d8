"""Find the constant fill around and between the fields of stitched mosaics and beside rotated acquisitions.

Such a fill is drawn by software: one grey level without a speck, bounded by straight lines that run along the picture's
axes or at one angle to them. Saturated specimen is neither: noise leaves specks in it, and its edges are rough. As
with data bars, every test must pass before pixels are called fill: a missed one costs odd tiles, a false one data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_semclass.micrograph.fill_edges import SMOOTHED, is_sharp, is_straight, of_level

_Flags = NDArray[np.bool_]
_Read = Callable[[int, int, int, int], NDArray[Any]]

_LATTICE_PX = 1_048_576
_BAND_PX = 16_000_000  # read at a time
_WINDOWS, _WINDOW, _CORNER = 8, 256, 16
_LEAST_AREA = 0.01  # of the picture: less neither fills a tile nor shifts the grey range
_SMALLEST = 64  # points along a side of the lattice: a smaller picture has no room for specimen and fill
_LEAST_SIDE = 8  # points
_MOST_LEVELS = 3
_LEAST_REST = 0.005  # of the picture, not filled
_LEAST_LEVELS, _REST_POINTS = 8, 10_000  # grey levels in the first points of the rest
_MOST_FLAT = 0.5  # share of one level in the rest: a picture of flat areas is a drawing or a mask, and has no fill
_SAMPLES = 16  # places where all pixels between the points are compared, too


@dataclass(frozen=True, eq=False)
class Fill:
    """Pixels of one level in some places.

    Parameters
    ----------
    level : float
    tolerance : float
        Levels so near are the same; above 0 where levels were computed from colours.
    step : int
        Pixels between the points of `places`.
    places : array (rows, columns), bool
        Where the fill may be, one for each point; a pixel belongs to the nearest point.
    """

    level: float
    tolerance: float
    step: int
    places: _Flags

    def mask(self, grey: NDArray[Any], y0: int, x0: int) -> _Flags:
        """Pixels of the block `grey` (height, width), whose first lies at `(y0, x0)`, that are fill."""
        rows, columns = (
            np.minimum((np.arange(start, start + length) + self.step // 2) // self.step, most - 1)
            for start, length, most in zip((y0, x0), grey.shape, self.places.shape, strict=True)
        )
        if not self.places[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].any():
            return np.zeros(grey.shape, dtype=bool)
        near = self.places[rows] if self.step == 1 else np.take(self.places, rows, axis=0)
        return np.asarray(near[:, columns] & of_level(grey, self.level, self.tolerance))


def find_fills(
    lattice: NDArray[Any],
    allowed: _Flags,
    step: int,
    read: _Read,
    *,
    tolerance: float = 0.0,
) -> tuple[Fill, ...]:
    """Find constant fills in a picture of which every `step`-th pixel is at hand.

    Parameters
    ----------
    lattice : array (rows, columns)
        These pixels, any real dtype; NaN where there is no data.
    allowed : array (rows,), bool
        Rows of the lattice that are not on a data bar.
    step : int
    read : callable
        Gives the pixels of a box `y0, y1, x0, x1` of the picture, to look between the points.
    tolerance : float
        See `Fill`.
    """
    if min(lattice.shape) < _SMALLEST or not allowed.any():
        return ()
    least = _LEAST_AREA * lattice.size
    flat = _flat(lattice, allowed, tolerance)
    if np.count_nonzero(flat) < least:
        return ()
    fills, filled = [], np.zeros(lattice.shape, dtype=bool)
    for level in _levels(lattice[1:, 1:][flat], least):
        region = of_level(lattice, level, tolerance) & allowed[:, None]
        drawn = _drawn(region, allowed, least)
        solid = drawn.any() and (step == 1 or _solid(drawn, level, step, read, tolerance))
        if solid and is_sharp(drawn, allowed, level, step, read, tolerance):
            places = ndimage.binary_dilation(drawn, np.ones((3, 3)), iterations=SMOOTHED // 2 + 1)
            fills.append(Fill(float(level), tolerance, step, np.asarray(places, dtype=bool)))
            filled |= np.asarray(places & region)
    return tuple(fills) if _is_specimen(lattice, ~filled & allowed[:, None], flat) else ()


def _is_specimen(lattice: NDArray[Any], rest: _Flags, flat: _Flags) -> bool:
    """Whether what a fill leaves over may be a micrograph, and not a drawing or a mask."""
    area = np.count_nonzero(rest)
    flat_area = np.count_nonzero(flat & rest[1:, 1:] & rest[:-1, :-1])
    if area < _LEAST_REST * lattice.size or flat_area > _MOST_FLAT * area:
        return False
    return len(np.unique(lattice[rest][:_REST_POINTS])) >= _LEAST_LEVELS


def _flat(lattice: NDArray[Any], allowed: _Flags, tolerance: float) -> _Flags:
    """Whether a point has the level of those left, above, and left above of it, (rows - 1, columns - 1)."""
    same: _Flags
    if tolerance:
        first = lattice[1:, 1:]
        others = lattice[:-1, :-1], lattice[:-1, 1:], lattice[1:, :-1]
        same = np.logical_and.reduce([np.abs(first - other) <= tolerance for other in others])
    else:
        same = lattice[1:, 1:] == lattice[:-1, :-1]
        same &= lattice[1:, 1:] == lattice[:-1, 1:]
        same &= lattice[1:, 1:] == lattice[1:, :-1]
    same[~(allowed[1:] & allowed[:-1])] = False
    return same


def _levels(values: NDArray[Any], least: float) -> list[float]:
    """The most frequent levels that are frequent enough, the most frequent first."""
    levels, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts)[:_MOST_LEVELS]
    return [levels[index].item() for index in order if counts[index] >= least]


def _drawn(region: _Flags, allowed: _Flags, least: float) -> _Flags:
    """The connected parts of a region that are large enough and straightly bounded."""
    drawn = np.zeros(region.shape, dtype=bool)
    kernel = _joined(region, SMOOTHED, np.logical_and)
    if np.count_nonzero(kernel) < least / 2:  # as in saturated specimen, whose parts are small or rough
        return drawn
    smooth = _joined(kernel, SMOOTHED, np.logical_or) & region
    labels, _ = ndimage.label(smooth)
    areas = np.bincount(labels.ravel())
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if areas[number] < least or min(part.stop - part.start for part in box) < _LEAST_SIDE:
            continue
        part = labels[box] == number
        if is_straight(part, box[0].start, box[1].start, allowed, region.shape[1]):
            drawn[box] |= part
    return drawn


def _joined(flags: _Flags, side: int, join: np.ufunc) -> _Flags:
    """All (`logical_and`) or any (`logical_or`) of the flags in a square around each; outside they are neutral."""
    half = side // 2
    for axis in (0, 1):
        widths = [(half, half) if one == axis else (0, 0) for one in (0, 1)]
        padded = np.pad(flags, widths, constant_values=join is np.logical_and)
        length = flags.shape[axis]
        shifted = [padded[i : i + length] if axis == 0 else padded[:, i : i + length] for i in range(side)]
        flags = shifted[0].copy()
        for other in shifted[1:]:
            join(flags, other, out=flags)
    return flags


def _solid(drawn: _Flags, level: float, step: int, read: _Read, tolerance: float) -> bool:
    """Whether the pixels between the points have the level, too, at places spread over the parts."""
    inner = np.argwhere(_joined(drawn, 3, np.logical_and))
    for y, x in inner[np.linspace(0, len(inner) - 1, min(_SAMPLES, len(inner))).astype(int)].tolist():
        block = read(y * step, (y + 1) * step, x * step, (x + 1) * step)
        if not of_level(block, level, tolerance).all():
            return False
    return len(inner) > 0


def lattice_step(shape: tuple[int, int]) -> int:
    """Pixels between the points of the lattice on which fills are looked for in a picture."""
    return max(1, ceil(sqrt(prod(shape) / _LATTICE_PX)))


def read_lattice(shape: tuple[int, int], read: _Read) -> NDArray[Any]:
    """The pixels on the lattice, read band by band."""
    (height, width), step = shape, lattice_step(shape)
    band = max(1, _BAND_PX // (width * step)) * step
    tops = range(0, height, band)
    return np.concatenate([read(top, min(top + band, height), 0, width)[::step, ::step] for top in tops])


def has_flat_window(shape: tuple[int, int], read: _Read) -> bool:
    """Whether one of some windows spread over a mosaic, to its border, has a flat corner: if not, it has no fill."""
    tops, lefts = (np.unique(np.linspace(0, max(0, n - _WINDOW), _WINDOWS).astype(int)).tolist() for n in shape)
    for top in tops:
        for left in lefts:
            block = read(top, min(top + _WINDOW, shape[0]), left, min(left + _WINDOW, shape[1]))
            ends = slice(None, _CORNER), slice(-_CORNER, None)
            if any(np.ptp(block[y, x]) == 0 for y in ends for x in ends):
                return True
    return False
