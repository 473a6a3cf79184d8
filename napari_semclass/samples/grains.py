"""Specimens made of grains and holes: particles, powders, films and sponges."""

import numpy as np
from numpy.typing import NDArray

from napari_semclass.samples.scene import (
    Field,
    Scene,
    Shape,
    ball,
    blank,
    cells,
    crystal,
    noise,
    rough,
    scatter,
)


def _spots(shape: Shape, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.uniform(-0.03, 1.03, (count, 2)) * shape


def _grains(radii: NDArray[np.float64], faceted: bool, rng: np.random.Generator) -> list[Field]:
    if faceted:
        return [crystal(float(radius), rng, int(rng.integers(6, 11))) for radius in radii]
    return [ball(float(r), float(rng.uniform(0.8, 1)), float(rng.uniform(0, np.pi))) for r in radii]


def particles(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Single particles and small clusters, well apart on a flat substrate."""
    area = shape[0] * shape[1] / unit**2
    scene = blank(shape, rng.uniform(0.3, 0.55))
    scene.height[...] += 0.25 * rough(shape, unit / 40, rng, 3)
    size = unit * rng.choice([0.012, 0.022, 0.04])
    faceted = rng.random() < 0.35
    stamps = _grains(size * np.clip(rng.lognormal(0, rng.choice([0.06, 0.3]), 40), 0.4, 2.2), faceted, rng)
    places = max(2, int(area * rng.uniform(0.05, 0.11) / (4 * (size / unit) ** 2)))
    anchors = _spots(shape, max(1, places // 3), rng)
    followers = anchors[rng.integers(0, len(anchors), places)] + rng.normal(0, 2.2 * size, (places, 2))
    centres = np.concatenate([anchors, followers, _spots(shape, places // 3, rng)])
    # No two particles share one place: a follower that fell onto another is lifted on top of it.
    levels = np.where(rng.random(len(centres)) < 0.12, 1.3 * size, 0.0)
    scatter(scene, stamps, centres, levels, rng.normal(1.15, 0.06, len(centres)))
    return scene


def powder(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A heap of small grains sticking together in lumps, with dark gaps and no substrate in sight."""
    scene = blank(shape, 0.5)
    size = unit * rng.uniform(0.005, 0.013)
    relief = rough(shape, unit / rng.uniform(5, 11), rng, 4) * np.float32(unit / rng.uniform(16, 30))
    scene.height[...] = relief - 4 * size
    spread = rng.uniform(0.2, 0.6)
    stamps = _grains(size * np.clip(rng.lognormal(0, spread, 60), 0.5, 4), bool(rng.random() < 0.6), rng)
    count = int(shape[0] * shape[1] / size**2 * rng.uniform(0.35, 0.7))
    centres = _spots(shape, count, rng)
    inside = np.clip(centres.astype(int), 0, np.array(shape) - 1)
    levels = relief[inside[:, 0], inside[:, 1]] + rng.normal(0, 0.9 * size, count) - size
    scatter(scene, stamps, centres, levels, rng.normal(1.0, 0.08, count))
    dust = 0.5 * noise(shape, max(2.0, size / 3), rng)
    return Scene(scene.height + dust, scene.signal)


def _polycrystal(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Grains side by side, each with its own slope and brightness."""
    labels, border = cells(shape, unit * rng.uniform(0.025, 0.055), rng, 0.08)
    count = int(labels.max()) + 1
    y, x = np.indices(shape, np.float32, sparse=True)
    tilt_y, tilt_x = rng.normal(0, 0.25, (2, count)).astype(np.float32)
    pixels = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    plane = tilt_y[labels] * y + tilt_x[labels] * x
    middle = np.bincount(labels.ravel(), weights=plane.ravel(), minlength=count) / pixels
    height = plane - middle[labels]
    height += 3.2 * np.sqrt(np.minimum(border, unit / 60)) + rng.normal(0, unit / 190, count)[labels]
    signal = rng.normal(0.9, 0.1, count)[labels]
    return Scene(height.astype(np.float32), signal.astype(np.float32))


def _nodules(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A fine sputtered or evaporated coating: rounded nodules of one size."""
    size = unit * rng.uniform(0.009, 0.016)
    bumps = noise(shape, size, rng) + 0.4 * noise(shape, size / 2, rng)
    height = 0.55 * size * np.tanh(1.4 * bumps) + 0.4 * size * rough(shape, unit / 6, rng, 2)
    return Scene(height.astype(np.float32), (0.85 + 0.04 * bumps).astype(np.float32))


def _cracked(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A dried coating broken into plates, fine-grained on top, dark in the cracks."""
    _, border = cells(shape, unit * rng.uniform(0.2, 0.34), rng, 0.06)
    width = unit * rng.uniform(0.004, 0.009)
    plate = 1 / (1 + np.exp(-(border - width * (1 + 0.3 * noise(shape, unit / 20, rng))) / 0.9))
    curl = 0.05 * unit * np.exp(-border / (unit / 14))
    height = plate * (unit / 22 + curl) + 0.7 * rough(shape, unit / 50, rng, 3)
    return Scene(height.astype(np.float32), (0.3 + 0.6 * plate).astype(np.float32))


def films(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A continuous coating: polycrystalline, nodular or cracked, sometimes with pinholes."""
    make = (_polycrystal, _nodules, _cracked)[rng.integers(3)]
    scene = make(shape, unit, rng)
    if rng.random() < 0.5:
        count = rng.poisson(3 * shape[0] * shape[1] / unit**2)
        stamps = _grains(unit * rng.uniform(0.005, 0.012, 8), False, rng)
        level = float(np.median(scene.height))
        scatter(scene, stamps, _spots(shape, count, rng), np.full(count, level), np.full(count, 1.2))
    return scene


def _bubbles(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A foam: round cells of many sizes carved out of a solid, opening into each other."""
    carved = Scene(np.zeros(shape, np.float32), np.ones(shape, np.float32))
    area = shape[0] * shape[1] / unit**2
    for share, size in ((0.9, 0.1), (1.6, 0.055), (1.6, 0.03), (0.8, 0.015)):
        size *= rng.uniform(0.75, 1.2)
        radii = unit * size * rng.uniform(0.7, 1.25, 24)
        stamps = [stamp - r for stamp, r in zip((ball(float(r), 1.0) for r in radii), radii, strict=True)]
        count = int(area * share / (np.pi * size**2))
        deep = rng.uniform(-0.5, 1.3, count) * unit * size
        # Carving is stamping upside down: the deepest wins where bubbles meet.
        scatter(carved, stamps, _spots(shape, count, rng), deep, np.ones(count))
    skin = 1.2 * rough(shape, unit / 30, rng, 4)
    depth = np.maximum(carved.height, 0)
    return Scene((skin - depth).astype(np.float32), (0.95 - 0.25 * depth / depth.max()).astype(np.float32))


def _pores(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A cut face with ragged pores of many sizes; deeper walls show inside the large ones."""
    field = rough(shape, unit * rng.uniform(0.13, 0.2), rng, 5)
    edge = np.quantile(field[::4, ::4], rng.uniform(0.35, 0.48))
    depth = np.maximum(edge - field, 0)
    wall = np.maximum(rough(shape, unit * 0.09, rng, 5) * 0.5, 0)
    floor = np.minimum(np.sqrt(depth) * unit * 0.16, unit * (0.05 + 0.08 * wall + 0.09 * depth))
    face = 0.5 * rough(shape, unit / 35, rng, 4)
    height = np.where(depth > 0, face - floor, face) + 0.02 * unit * np.exp(-((field - edge) ** 2) / 0.004)
    return Scene(height.astype(np.float32), np.where(depth > 0, 0.42, 0.8).astype(np.float32))


def sponge(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A porous solid: a foam of round cells, or a cut face with ragged pores."""
    return (_bubbles if rng.random() < 0.55 else _pores)(shape, unit, rng)
