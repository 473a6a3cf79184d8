"""What lies on a carrier beyond what the samples show: powders, particles, single fibres."""

import numpy as np
from numpy.typing import NDArray

from napari_semclass.samples import grains
from napari_semclass.samples.scene import (
    Scene,
    Shape,
    ball,
    blank,
    crystal,
    drift,
    noise,
    rough,
    scatter,
    tube,
    wander,
)


def lumps(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Lumps of many sizes, each of fine grains that stick together, on a dark ground."""
    large = blank(shape, 0.3)
    count = int(rng.integers(4, 30))
    radii = unit * np.clip(rng.lognormal(np.log(0.12), 0.6, count), 0.03, 0.5)
    stamps = [ball(float(radius), rng.uniform(0.6, 1.0), rng.uniform(0, np.pi)) for radius in radii]
    scatter(large, stamps, anywhere(shape, count, rng), -0.3 * radii, np.full(count, 0.8))
    size = unit * rng.uniform(0.004, 0.012)
    relief = large.height + np.where(large.height > 0, size * rough(shape, 6 * size, rng, 3), 0)
    scene = Scene(relief.astype(np.float32) - np.float32(3 * size), large.signal)
    grains_ = [ball(size * f) for f in np.clip(rng.lognormal(0, 0.4, 40), 0.5, 3)]
    centres = anywhere(shape, int(shape[0] * shape[1] / size**2 * 0.5), rng)
    inside = np.clip(centres.astype(int), 0, np.array(shape) - 1)
    ground = large.height[inside[:, 0], inside[:, 1]]
    centres, ground = centres[ground > 0], ground[ground > 0]
    scatter(scene, grains_, centres, ground + rng.normal(0, size, len(ground)), rng.normal(1, 0.08, len(ground)))
    return scene


def loose(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Loose grains of a wide range of sizes poured onto a dark ground: round as atomised, or broken."""
    scene = blank(shape, 0.25)
    middle, spread = unit * rng.uniform(0.012, 0.05), rng.uniform(0.3, 0.7)
    radii = np.clip(middle * rng.lognormal(0, spread, 60), 2, unit * 0.15)
    round_ = rng.random() < 0.5
    stamps = [ball(float(r), rng.uniform(0.85, 1.0)) if round_ else crystal(float(r), rng) for r in radii]
    count = int(shape[0] * shape[1] / np.mean(radii**2) / np.pi * rng.uniform(0.8, 2.5))
    centres = anywhere(shape, count, rng)
    levels = np.abs(rng.normal(0, middle, count))
    scatter(scene, stamps, centres, levels, rng.normal(0.9, 0.1, count))
    scene.height[...] += 0.3 * rough(shape, middle, rng, 3)
    return scene


def fine_powder(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A powder at low magnification: grains of a few pixels."""
    return grains.powder(shape, unit * rng.uniform(0.25, 0.5), rng)


def sparse(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Small particles lying apart on a flat substrate, brighter or darker than it."""
    scene = blank(shape, rng.uniform(0.3, 0.8))
    size = unit * float(np.exp(rng.uniform(np.log(0.003), np.log(0.02))))
    count = int(np.exp(rng.uniform(np.log(20), np.log(600))))
    stamps = [ball(max(1.5, size * f), rng.uniform(0.7, 1.0)) for f in np.clip(rng.lognormal(0, 0.3, 30), 0.5, 2)]
    places = anywhere(shape, count, rng)
    if rng.random() < 0.4:
        places = np.concatenate([places, places[: count // 2] + rng.normal(0, 2 * size, (count // 2, 2))])
    signal = float(rng.choice([0.15, 1.2]))
    scatter(scene, stamps, places, np.zeros(len(places)), np.full(len(places), signal))
    substrate = rng.uniform(0, 0.3) * rough(shape, unit / 60, rng, 3)
    return Scene(scene.height + substrate, scene.signal)


def aggregate(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """One or two aggregates: particles of one size that stuck to each other, with the substrate around them."""
    scene = blank(shape, rng.uniform(0.2, 0.5))
    size = unit * rng.uniform(0.006, 0.04)
    faceted = rng.random() < 0.4
    stamps = [crystal(size * f, rng) if faceted else ball(size * f) for f in np.clip(rng.normal(1, 0.2, 30), 0.6, 1.5)]
    for _ in range(int(rng.integers(1, 3))):
        places = [rng.uniform(0.25, 0.75, 2) * shape]
        for _ in range(int(rng.integers(15, 250))):
            turn = rng.uniform(0, 2 * np.pi)
            step = 1.7 * size * np.array([np.sin(turn), np.cos(turn)])
            places.append(places[rng.integers(len(places))] + step)
        levels = np.abs(rng.normal(0, size, len(places)))
        scatter(scene, stamps, np.array(places), levels, rng.normal(1.0, 0.06, len(places)))
    return scene


def single(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """One to four particles at high magnification, round or faceted."""
    scene = blank(shape, rng.uniform(0.2, 0.6))
    count = int(rng.integers(1, 5))
    radii = unit * rng.uniform(0.04, 0.3, count)
    stamps = [ball(float(r), rng.uniform(0.7, 1.0)) if rng.random() < 0.5 else crystal(float(r), rng) for r in radii]
    places = rng.uniform(0.2, 0.8, (count, 2)) * shape
    scatter(scene, stamps, places, np.zeros(count), rng.normal(0.95, 0.1, count))
    return Scene(scene.height + rng.uniform(0.1, 0.5) * rough(shape, unit / 50, rng, 3), scene.signal)


def threads(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A few long fibres lying in wide bends on a carrier, round or crumpled, perhaps with pores around them."""
    scene = blank(shape, rng.uniform(0.3, 0.6))
    if rng.random() < 0.3:
        pores = int(rng.integers(5, 60))
        stamps = [ball(unit * float(size)) for size in rng.uniform(0.005, 0.04, 12)]
        scatter(scene, stamps, anywhere(shape, pores, rng), np.zeros(pores), np.full(pores, 0.1))
        scene.height[...] *= -1
    scene.height[...] += rng.uniform(0.05, 0.6) * rough(shape, unit / 60, rng, 3)
    radius = unit * float(np.exp(rng.uniform(np.log(0.006), np.log(0.06))))
    for _ in range(int(rng.integers(1, 3 + int(0.15 * unit / radius)))):
        span = unit * rng.uniform(1, 3)
        path = wander(rng, (0, 0), rng.uniform(0, 2 * np.pi), span, rng.normal(0, 4))
        path += anywhere(shape, 1, rng) - path[len(path) // 2]
        crumpled = 1 + rng.uniform(0, 0.35) * drift(len(path), rng, max(6, int(span / radius / 4)))
        width = radius * rng.lognormal(0, 0.15) * np.clip(crumpled, 0.4, 2)
        tube(scene, path, width, radius * rng.uniform(0, 1.5), rng.uniform(0.7, 1.0))
    scene.height[...] += rng.uniform(0, 0.6) * noise(shape, max(2.0, radius / 3), rng) * (scene.height > radius / 2)
    return scene


def anywhere(shape: Shape, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Places (count, 2) in the picture, rows and columns in pixels."""
    return np.asarray(rng.uniform(0, 1, (count, 2)) * shape)
