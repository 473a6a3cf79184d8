"""Specimens made by lithography: patterned surfaces, micro-machines and electrodes."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from napari_semclass.samples.scene import Field, Scene, Shape, lean, noise, rough

Mask = NDArray[np.bool_]


def turned(shape: Shape, angle: float) -> tuple[Field, Field]:
    """Return coordinates (rows, columns) in pixels along two axes turned by an angle in radians, zero in the middle."""
    y, x = np.indices(shape, np.float32, sparse=True)
    y, x = y - shape[0] / 2, x - shape[1] / 2
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return np.asarray(x * cos + y * sin, np.float32), np.asarray(y * cos - x * sin, np.float32)


def _repeat(value: Field, pitch: float) -> Field:
    """Return the signed distance to the nearest multiple of a pitch."""
    return np.asarray((value / pitch - np.rint(value / pitch)) * pitch, np.float32)


def periodic(u: Field, v: Field, pitch: float, kind: str, fill: float) -> Mask:
    """Return where (rows, columns) the features of a periodic pattern are.

    `u` and `v` are coordinates (rows, columns), `pitch` is the period in the same pixels, `fill` half a feature's width
    as a share of it, and `kind` lines, squares, dots or honeycomb.
    """
    if kind == "lines":
        return np.asarray(np.abs(_repeat(v, pitch)) < fill * pitch)
    if kind == "squares":
        return np.asarray(np.maximum(np.abs(_repeat(u, pitch)), np.abs(_repeat(v, pitch))) < fill * pitch)
    if kind == "dots":
        return np.asarray(np.hypot(_repeat(u, pitch), _repeat(v, pitch)) < fill * pitch)
    row = pitch * np.sqrt(3)
    even = np.hypot(_repeat(u, pitch), _repeat(v, row))
    odd = np.hypot(_repeat(u - pitch / 2, pitch), _repeat(v - row / 2, row))
    return np.asarray(np.minimum(even, odd) < fill * pitch)


def patterned(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A periodic relief: lines, dots, squares or a honeycomb, raised or etched, seen from above or at a slant."""
    angle = rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])
    u, v = turned(shape, float(angle))
    rough_edge = unit / 900
    u = u + rough_edge * noise(shape, unit / 90, rng)
    v = v + rough_edge * noise(shape, unit / 90, rng)
    pitch = unit * rng.uniform(0.035, 0.11)
    kind = rng.choice(["lines", "squares", "dots", "honeycomb"])
    mask = periodic(u, v, float(pitch), str(kind), float(rng.uniform(0.22, 0.36)))
    if rng.random() < 0.3:
        block = unit * rng.uniform(0.3, 0.5)
        mask &= np.maximum(np.abs(_repeat(u, block)), np.abs(_repeat(v, block))) < 0.4 * block
    slanted, raised = rng.random() < 0.4, rng.random() < 0.6
    if slanted:
        height, top = lean(mask, max(2, int(pitch * rng.uniform(0.4, 1.1))))
        signal = np.where(top, 0.85, np.where(height > 0, 0.7, 0.5))
    else:
        height = np.where(mask == raised, np.float32(pitch * 0.35), np.float32(0))
        signal = np.where(mask == raised, 0.8, 0.5)
    height = height + 0.3 * rough(shape, unit / 60, rng, 3)
    return Scene(height.astype(np.float32), signal.astype(np.float32))


class Layout:
    """A chip drawn into a mask with rectangles and strips in the coordinates of a turned chip."""

    def __init__(self, mask: Mask, centre: tuple[float, float], angle: float) -> None:
        self._mask = mask
        self._centre = np.array(centre)
        self._turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def area(self, corners: list[tuple[float, float]], metal: bool = True) -> None:
        """Fill or clear a polygon given as (along, across) corners."""
        across = np.array([(b, a) for a, b in corners])
        points = across @ self._turn + self._centre
        low = np.clip(np.floor(points.min(0)).astype(int), 0, self._mask.shape)
        high = np.clip(np.ceil(points.max(0)).astype(int) + 1, 0, self._mask.shape)
        if (high > low).all():
            size = (int(high[0] - low[0]), int(high[1] - low[1]))
            self._mask[low[0] : high[0], low[1] : high[1]][polygon2mask(size, points - low)] = metal

    def box(self, left: float, right: float, top: float, bottom: float, metal: bool = True) -> None:
        """Fill or clear a rectangle."""
        self.area([(left, top), (right, top), (right, bottom), (left, bottom)], metal)

    def strip(self, start: tuple[float, float], end: tuple[float, float], width: float) -> None:
        """Fill a straight track of constant width."""
        a, b = np.array(start), np.array(end)
        along = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
        side = np.array([-along[1], along[0]]) * width / 2
        self.area([tuple(p) for p in (a + side, b + side, b - side, a - side)])


def _fan(chip: Layout, unit: float, rng: np.random.Generator) -> None:
    """Contact pads around the edge, with tracks that bend and narrow towards the middle."""
    per_side = int(rng.integers(3, 6))
    pad, inner = unit * 0.5, unit * rng.uniform(0.05, 0.1)
    wide, thin = pad / per_side * rng.uniform(0.55, 0.7), unit * rng.uniform(0.004, 0.009)
    for side in range(4):
        turn = np.array([[0, -1], [1, 0]]) if side % 2 else np.eye(2)
        sign = -1 if side >= 2 else 1
        for index in range(per_side):
            place = (index + 0.5) / per_side * 2 - 1
            outer = np.array([pad * 0.62, place * pad * 0.62])
            knee = np.array([pad * 0.34, place * pad * 0.34])
            goal = np.array([inner, place * inner * 0.8])
            far = outer + np.array([unit * 0.3, 0])
            corners = [far, outer, knee, goal]
            widths = np.array([wide, wide, thin + wide * 0.18, thin])
            upper = [sign * turn @ (c + np.array([0, w / 2])) for c, w in zip(corners, widths, strict=True)]
            lower = [sign * turn @ (c - np.array([0, w / 2])) for c, w in zip(corners, widths, strict=True)]
            chip.area([(float(p[0]), float(p[1])) for p in upper + lower[::-1]])


def _comb(chip: Layout, unit: float, rng: np.random.Generator) -> None:
    """Two combs whose fingers interlock, with their spines and pads."""
    fingers = int(rng.integers(9, 17))
    half, long = unit * 0.36, unit * rng.uniform(0.16, 0.22)
    pitch = 2 * half / fingers
    width = pitch * rng.uniform(0.22, 0.32)
    for index in range(fingers + 1):
        at = -half + index * pitch
        low, high = (-long, long * 0.75) if index % 2 else (-long * 0.75, long)
        chip.box(at - width, at + width, low, high)
    chip.box(-half - width, half + width, -long - unit * 0.05, -long)
    chip.box(-half - width, half + width, long, long + unit * 0.05)
    for sign in (-1, 1):
        chip.strip((sign * half, sign * (long + unit * 0.02)), (sign * half, sign * unit * 0.4), unit * 0.03)
        top, bottom = sorted((sign * unit * 0.4, sign * unit * 0.6))
        chip.box(sign * half - unit * 0.1, sign * half + unit * 0.1, top, bottom)


def _beams(chip: Layout, unit: float, rng: np.random.Generator) -> None:
    """A proof mass with etch holes, hung on folded springs between anchors."""
    half_long, half_wide = unit * rng.uniform(0.16, 0.24), unit * rng.uniform(0.12, 0.18)
    chip.box(-half_long, half_long, -half_wide, half_wide)
    thin = unit * 0.012
    for x_sign in (-1, 1):
        for y_sign in (-1, 1):
            a, b = x_sign * half_long * 0.9, y_sign * half_wide
            turns = [
                (a, b),
                (a, y_sign * unit * 0.34),
                (a * 1.5, y_sign * unit * 0.34),
                (a * 1.5, y_sign * unit * 0.2),
            ]
            for start, end in pairwise(turns):
                chip.strip(start, end, thin)
            at = x_sign * half_long * 1.5
            top, bottom = sorted((y_sign * unit * 0.12, y_sign * unit * 0.21))
            chip.box(at - unit * 0.06, at + unit * 0.06, top, bottom)
    holes = unit * 0.03
    for x in np.arange(-half_long + holes, half_long, 2 * holes):
        for y in np.arange(-half_wide + holes, half_wide, 2 * holes):
            chip.box(x - holes / 3, x + holes / 3, y - holes / 3, y + holes / 3, metal=False)


def devices(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Electrodes with contact pads, a comb drive, or a sprung mass, on a flat dark wafer."""
    draw = (_fan, _comb, _beams)[rng.integers(3)]
    angle = float(rng.choice([0.0, rng.normal(0, 0.15), rng.uniform(0, np.pi)]))
    fields = [max(1, round(n / unit)) for n in shape]
    mask = np.zeros(shape, bool)
    for row in range(fields[0]):
        for column in range(fields[1]):
            centre = ((row + 0.5) / fields[0] * shape[0], (column + 0.5) / fields[1] * shape[1])
            draw(Layout(mask, centre, angle), unit * 0.95, rng)
    thick = unit * (rng.uniform(0.004, 0.008) if draw is _fan else rng.uniform(0.015, 0.035))
    height, top = lean(mask, max(1, int(thick)))
    metal = rng.uniform(0.85, 1.2)
    signal = np.where(top, metal, np.where(height > 0, 0.9, rng.uniform(0.15, 0.4)))
    height = height + 0.2 * rough(shape, unit / 90, rng, 3) * np.where(top, 2.0, 1.0)
    return Scene(height.astype(np.float32), signal.astype(np.float32))
