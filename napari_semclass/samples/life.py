"""Biological specimens: nerve cells with their processes, and blood cells."""

import numpy as np

from napari_semclass.samples.scene import Field, Scene, Shape, blank, drift, rough, scatter, tube, wander


def _process(
    scene: Scene,
    start: tuple[float, float],
    heading: float,
    radius: float,
    unit: float,
    rng: np.random.Generator,
) -> None:
    """Grow one tapering arm from a cell, with two or three branches."""
    path = wander(rng, start, heading, unit * rng.uniform(0.3, 0.7), rng.normal(0, 2.5))
    along = np.linspace(0, 1, len(path))
    taper = radius * (0.3 + 0.3 * (1 - along) + 0.9 * np.exp(-along * 9)) * np.exp(0.15 * drift(len(path), rng, 12))
    tube(scene, path, taper, 0.3 * radius * (1 - along), 0.95)
    for _ in range(rng.integers(1, 4)):
        knot = int(rng.integers(len(path) // 4, len(path)))
        turn = heading + rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
        foot = (float(path[knot, 0]), float(path[knot, 1]))
        twig = wander(rng, foot, turn, unit * rng.uniform(0.08, 0.3), rng.normal(0, 3))
        thin = max(float(taper[knot]) * 0.55, 0.8)
        tube(scene, twig, np.linspace(thin, 0.6, len(twig)), np.linspace(thin, 0, len(twig)), 0.95)


def _body(radius: float, rng: np.random.Generator) -> Field:
    """Return a lumpy, wrinkled dome with an irregular outline."""
    reach = int(radius * 1.8) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32) / np.float32(radius)
    turn, squeeze = rng.uniform(0, np.pi), rng.uniform(0.55, 0.85)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    shape = (x.shape[0], x.shape[1])
    rho = along**2 / 1.3 + (across / squeeze) ** 2 + 0.22 * rough(shape, radius / 1.2, rng, 4)
    dome = np.maximum(1 - rho, 0) ** 0.6 * 0.8 * radius
    wrinkled = dome + rough(shape, radius / 4, rng, 5) * radius * 0.035
    return np.where(rho < 1, wrinkled, -np.inf).astype(np.float32)


def _cell(scene: Scene, centre: tuple[float, float], unit: float, rng: np.random.Generator) -> None:
    """Lay down one nerve cell: a wrinkled body and its arms."""
    radius = unit * rng.uniform(0.075, 0.13)
    squeeze, body = float(rng.uniform(0.6, 0.9)), _body(float(radius), rng)
    for heading in rng.uniform(0, 2 * np.pi) + np.arange(n := int(rng.integers(2, 6))) * 2 * np.pi / n:
        turned = heading + rng.normal(0, 0.3)
        step = radius * squeeze * 0.15
        start = (centre[0] + step * float(np.sin(turned)), centre[1] + step * float(np.cos(turned)))
        _process(scene, start, float(turned), radius * float(rng.uniform(0.2, 0.4)), unit, rng)
    scatter(scene, [body], np.array([centre]), np.zeros(1), np.ones(1))
    for _ in range(rng.choice([0, 25, 60])):
        heading = rng.uniform(0, 2 * np.pi)
        at = radius * rng.uniform(0.5, 0.9)
        start = (centre[0] + at * float(np.sin(heading)), centre[1] + at * float(np.cos(heading)))
        hair = wander(rng, start, heading, radius * rng.uniform(0.4, 1.1), rng.normal(0, 2))
        tube(scene, hair, unit * 0.0016, np.linspace(radius * 0.4, 0, len(hair)), 0.95)


def _neurons(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Nerve cells on a substrate covered with a net of fine fibrils."""
    scene = blank(shape, rng.uniform(0.35, 0.5))
    scene.height[...] += rng.uniform(0.3, 1.0) * rough(shape, unit / 50, rng, 3)
    area = shape[0] * shape[1] / unit**2
    for _ in range(int(area * rng.choice([15, 90, 220]))):
        row, column = rng.uniform(-0.1, 1.1, 2) * shape
        length = unit * rng.uniform(0.15, 0.6)
        path = wander(rng, (row, column), rng.uniform(0, 2 * np.pi), length, rng.normal(0, 4))
        tube(scene, path, unit * rng.uniform(0.0015, 0.0035), rng.uniform(0, unit / 90), rng.normal(0.75, 0.08))
    fields = [max(1, round(n / unit / 0.8)) for n in shape]
    for row in range(fields[0]):
        for column in range(fields[1]):
            place = (np.array([row, column]) + 0.5 + rng.uniform(-0.2, 0.2, 2)) / fields * shape
            _cell(scene, (float(place[0]), float(place[1])), unit, rng)
    return scene


def _disc(radius: float, squeeze: float, turn: float, deep: float) -> Field:
    """Return a red blood cell (biconcave profile of Evans and Fung, 1972), seen at a slant."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    along, across = x * np.cos(turn) + y * np.sin(turn), (y * np.cos(turn) - x * np.sin(turn)) / squeeze
    rho = (along**2 + across**2) / radius**2
    profile = np.sqrt(np.maximum(1 - rho, 0)) * (0.207 * deep + 2.0 * rho - 1.12 * rho**2)
    tilted = profile * radius * 0.75 + across * np.sqrt(1 - squeeze**2) * 0.7 + radius * 0.4
    return np.where(rho < 1, tilted, -np.inf).astype(np.float32)


def _blood(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Red blood cells lying on and over each other, with fibrin threads."""
    scene = blank(shape, rng.uniform(0.25, 0.4))
    scene.height[...] += 0.5 * rough(shape, unit / 40, rng, 4)
    radius = unit * rng.uniform(0.06, 0.1)
    count = int(shape[0] * shape[1] / radius**2 * rng.uniform(0.12, 0.3))
    looks = zip(rng.uniform(0.55, 1.0, 30), rng.uniform(0, np.pi, 30), rng.uniform(0.1, 0.9, 30), strict=True)
    stamps = [_disc(float(radius * rng.uniform(0.88, 1.08)), float(s), float(t), float(d)) for s, t, d in looks]
    centres = rng.uniform(-0.05, 1.05, (count, 2)) * shape
    levels = rng.uniform(0, 1, count) * radius * 1.4
    scatter(scene, stamps, centres, levels, rng.normal(0.95, 0.05, count))
    scene.height[...] += 0.5 * rough(shape, unit / 60, rng, 3)
    for _ in range(int(shape[0] * shape[1] / unit**2 * rng.choice([0, 25]))):
        row, column = rng.uniform(-0.1, 1.1, 2) * shape
        path = wander(rng, (row, column), rng.uniform(0, 2 * np.pi), unit * rng.uniform(0.3, 0.9), rng.normal(0, 2))
        tube(scene, path, unit * 0.0025, np.full(len(path), rng.uniform(0.3, 2) * radius), 0.9)
    return scene


def biological(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Nerve cells with arms and fibrils, or blood cells."""
    return (_neurons if rng.random() < 0.65 else _blood)(shape, unit, rng)
