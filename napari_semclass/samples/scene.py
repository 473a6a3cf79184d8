"""What a synthetic specimen is made of: a height map, a yield map, and the shapes laid on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Field = NDArray[np.float32]
Shape = tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """A specimen before it is looked at.

    Attributes
    ----------
    height
        Surface height in pixels, shape (rows, columns).
    signal
        Secondary-electron yield of the material lying there, 0 to about 1.5, same shape.
    """

    height: Field
    signal: Field


def blank(shape: Shape, signal: float) -> Scene:
    """Return a flat specimen of one material."""
    return Scene(np.zeros(shape, np.float32), np.full(shape, signal, np.float32))


def enlarge(field: Field, shape: Shape) -> Field:
    """Resize a field bicubically; Pillow does this several times faster than spline zooming."""
    picture = Image.fromarray(np.asarray(field, np.float32))
    return np.array(picture.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), np.float32)


def noise(shape: Shape, size: float, rng: np.random.Generator, stretch: tuple[float, float] = (1, 1)) -> Field:
    """Return smooth noise of unit spread whose blobs are `size` pixels wide.

    Parameters
    ----------
    shape
        Rows and columns.
    size
        Distance between the random values that are interpolated, in pixels.
    rng
        Source of chance.
    stretch
        Factors on `size` along rows and columns, for grooved surfaces.
    """
    cells = [max(2, round(n / max(1.0, size * s)) + 2) for n, s in zip(shape, stretch, strict=True)]
    return enlarge(rng.standard_normal(cells, dtype=np.float32), shape)


def rough(shape: Shape, size: float, rng: np.random.Generator, octaves: int = 4) -> Field:
    """Return fractal noise: every octave half as wide and half as high as the one before."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        total += noise(shape, size / 2**octave, rng) * np.float32(0.5**octave)
    return total


def ball(radius: float, squeeze: float = 1.0, turn: float = 0.0) -> Field:
    """Return the upper half of an ellipsoid standing on the ground; outside it is minus infinity."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    inside = radius**2 - along**2 - (across / squeeze) ** 2
    cap = np.sqrt(np.maximum(inside, 0)) * np.float32(squeeze)
    return np.where(inside > 0, cap + np.float32(radius * squeeze), -np.inf).astype(np.float32)


def crystal(radius: float, rng: np.random.Generator, faces: int = 9) -> Field:
    """Return a convex grain cut by random planes; outside it is minus infinity."""
    reach = int(np.ceil(radius * 1.2)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    turns = np.linspace(0, 2 * np.pi, faces, endpoint=False) + rng.normal(0, 0.35, faces)
    steep = rng.uniform(0.5, 4.0, faces)
    top = np.full(x.shape, radius * rng.uniform(0.5, 0.8), np.float32)
    for turn, slope in zip(turns, steep, strict=True):
        reachable = radius * rng.uniform(0.75, 1.0) - x * np.cos(turn) - y * np.sin(turn)
        top = np.minimum(top, slope * reachable)
    outline = top > 0
    return np.where(outline, top + np.float32(radius * 0.6), -np.inf).astype(np.float32)


def scatter(
    scene: Scene,
    stamps: Sequence[Field],
    centres: NDArray[np.float64],
    levels: NDArray[np.float64],
    signals: NDArray[np.float64],
) -> None:
    """Lay stamps on a scene; whatever is higher hides what is lower.

    Parameters
    ----------
    scene
        Changed in place.
    stamps
        Height pictures, used in turn.
    centres
        Rows and columns, shape (n, 2), in pixels; may lie outside.
    levels
        Height of the ground below each stamp, shape (n,), in pixels.
    signals
        Yield of each stamp, shape (n,).
    """
    rows, columns = scene.height.shape
    for index, (row, column) in enumerate(centres.astype(int)):
        stamp = stamps[index % len(stamps)]
        top, left = row - stamp.shape[0] // 2, column - stamp.shape[1] // 2
        r0, r1 = max(top, 0), min(top + stamp.shape[0], rows)
        c0, c1 = max(left, 0), min(left + stamp.shape[1], columns)
        if r0 >= r1 or c0 >= c1:
            continue
        piece = stamp[r0 - top : r1 - top, c0 - left : c1 - left] + np.float32(levels[index])
        ground = scene.height[r0:r1, c0:c1]
        higher = piece > ground
        ground[higher] = piece[higher]
        scene.signal[r0:r1, c0:c1][higher] = signals[index]


def wander(
    rng: np.random.Generator, start: tuple[float, float], heading: float, length: float, bend: float
) -> NDArray[np.float64]:
    """Return a smooth path, shape (n, 2) as rows and columns; `bend` is its total turning in radians."""
    count = max(12, int(length / 6))
    knots = rng.normal(0, 1, max(3, count // 8))
    turning = np.interp(np.linspace(0, 1, count), np.linspace(0, 1, knots.size), knots)
    angle = heading + np.cumsum(turning) * bend / count
    steps = np.stack([np.sin(angle), np.cos(angle)], axis=1) * (length / count)
    return np.asarray(start) + np.cumsum(steps, axis=0)


def drift(count: int, rng: np.random.Generator, bends: int = 6) -> NDArray[np.float64]:
    """Return smooth noise along a path of `count` points, of about unit spread."""
    knots = rng.normal(0, 1, bends + 1)
    return np.asarray(ndimage.map_coordinates(knots, [np.linspace(0, bends, count)], order=3, mode="nearest"))


def tube(
    scene: Scene,
    path: NDArray[np.float64],
    radius: NDArray[np.float64] | float,
    level: NDArray[np.float64] | float,
    signal: float,
) -> None:
    """Lay a round rod along a path; the higher surface hides the lower one.

    Parameters
    ----------
    scene
        Changed in place.
    path
        Centre line, shape (n, 2), rows and columns in pixels.
    radius, level
        Radius and height of the axis above the ground in pixels: one number or one per point.
    signal
        Yield of the rod.
    """
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    count = max(2, int(lengths[-1] / 0.65))
    # Points are closer than one pixel in both directions, so that no pixel of the rod is missed.
    at = np.linspace(0, lengths[-1], count)
    line = np.stack([np.interp(at, lengths, path[:, axis]) for axis in (0, 1)], axis=1)
    radii = np.interp(at, lengths, np.broadcast_to(radius, lengths.shape))
    levels = np.interp(at, lengths, np.broadcast_to(level, lengths.shape))
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, :1], tangent[:, 1:]), 1e-9)
    across = np.linspace(-1, 1, max(3, int(radii.max() * 2 / 0.7)), dtype=np.float32)[None]
    row = line[:, :1] + tangent[:, 1:] * across * radii[:, None]
    column = line[:, 1:] - tangent[:, :1] * across * radii[:, None]
    surface = levels[:, None] + radii[:, None] * np.sqrt(1 - across**2)
    r, c = np.rint(row).astype(np.intp), np.rint(column).astype(np.intp)
    inside = (r >= 0) & (r < scene.height.shape[0]) & (c >= 0) & (c < scene.height.shape[1])
    r, c, top = r[inside], c[inside], surface[inside].astype(np.float32)
    higher = top > scene.height[r, c]
    r, c, top = r[higher], c[higher], top[higher]
    scene.height[r, c] = top
    scene.signal[r, c] = signal


def cells(shape: Shape, size: float, rng: np.random.Generator, ragged: float = 0.15) -> tuple[NDArray[np.intp], Field]:
    """Divide the plane into irregular grains.

    Parameters
    ----------
    shape
        Rows and columns.
    size
        Mean grain diameter in pixels.
    rng
        Source of chance.
    ragged
        How far the borders wander, as a share of `size`.

    Returns
    -------
    labels, border
        Grain number of every pixel, from 0, and the distance to the nearest border in pixels.
    """
    counts = [max(1, round(n / size)) for n in shape]
    rows, columns = np.meshgrid(*[(np.arange(k) + 0.5) / k for k in counts], indexing="ij")
    spots = np.stack([rows.ravel(), columns.ravel()], axis=1) + rng.uniform(-0.5, 0.5, (rows.size, 2)) / counts
    seeds = np.clip((spots * shape).astype(int), 0, np.array(shape) - 1)
    ids = np.zeros(shape, np.intp)
    ids[seeds[:, 0], seeds[:, 1]] = np.arange(len(seeds))
    empty = np.ones(shape, bool)
    empty[seeds[:, 0], seeds[:, 1]] = False
    nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
    labels = ids[nearest[0], nearest[1]]
    y, x = np.indices(shape, np.float32, sparse=True)
    dy, dx = (rough(shape, size / 2, rng, 2) * (ragged * size) for _ in range(2))
    warped_rows = np.clip(y + dy, 0, shape[0] - 1).astype(np.intp)
    warped_columns = np.clip(x + dx, 0, shape[1] - 1).astype(np.intp)
    labels = labels[warped_rows, warped_columns]
    inner = (labels == np.roll(labels, 1, 0)) & (labels == np.roll(labels, 1, 1))
    inner[0], inner[:, 0] = True, True
    return labels, ndimage.distance_transform_edt(inner).astype(np.float32)


def lean(mask: NDArray[np.bool_], rise: int) -> tuple[Field, NDArray[np.bool_]]:
    """Look at flat-topped features `rise` pixels high under 45 degrees from the front.

    Returns
    -------
    height, top
        Apparent height in pixels (walls run down towards the reader) and where the tops are.
    """
    height = np.zeros(mask.shape, np.float32)
    for level in range(1, rise + 1):
        height[: mask.shape[0] - level][mask[level:]] = level
    top = np.zeros_like(mask)
    if rise < mask.shape[0]:
        top[: mask.shape[0] - rise] = mask[rise:]
    return height, top
