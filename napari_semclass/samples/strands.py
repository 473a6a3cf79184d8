"""Specimens that are long and thin: nanowires, fibres and tips."""

import numpy as np

from napari_semclass.samples.scene import (
    Field,
    Scene,
    Shape,
    ball,
    blank,
    drift,
    noise,
    rough,
    scatter,
    tube,
    wander,
)


def _start(shape: Shape, margin: float, rng: np.random.Generator) -> tuple[float, float]:
    row, column = rng.uniform(-margin, 1 + margin, 2) * shape
    return float(row), float(column)


def _lying(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Straight wires of nearly one width, dropped onto a substrate, aligned or not."""
    scene = blank(shape, rng.uniform(0.25, 0.45))
    scene.height[...] += 0.25 * rough(shape, unit / 30, rng, 3)
    radius = unit * rng.uniform(0.0035, 0.009)
    length = unit * rng.uniform(0.35, 0.8)
    area = shape[0] * shape[1] / unit**2
    count = int(area * rng.uniform(0.5, 1.1) / (2 * radius / unit * length / unit))
    main, spread = rng.uniform(0, np.pi), rng.choice([0.2, 0.6, 3.0])
    for index in range(count):
        long = length * rng.uniform(0.5, 1.3)
        path = wander(rng, _start(shape, 0.2, rng), main + rng.normal(0, spread), long, rng.normal(0, 0.25))
        level = radius * (1 + 4 * index / count) + np.linspace(0, rng.uniform(-2, 2) * radius, len(path))
        tube(scene, path, radius * rng.lognormal(0, 0.2), level, rng.normal(1.05, 0.1))
    return scene


def _forest(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Wires standing on their substrate, seen from the side at a slant, each with its catalyst drop."""
    scene = blank(shape, 0.4)
    scene.height[...] += 0.6 * rough(shape, unit / 40, rng, 3)
    area = shape[0] * shape[1] / unit**2
    count = int(area * rng.uniform(180, 420))
    radius = unit * rng.uniform(0.003, 0.0055)
    length = unit * rng.uniform(0.12, 0.26)
    # Painted from the back to the front: what stands nearer hides what stands behind.
    feet = np.sort(rng.uniform(-0.05, 1.25, count)) * shape[0]
    drop = [ball(radius * 1.5)]
    for index, row in enumerate(feet):
        start = (float(row), float(rng.uniform(-0.05, 1.05) * shape[1]))
        long = length * rng.uniform(0.6, 1.2)
        path = wander(rng, start, -np.pi / 2 + rng.normal(0, 0.16), long, rng.normal(0, 0.5))
        near = unit / 14 * index / count
        level = near + np.linspace(0, unit / 20, len(path))
        tube(scene, path, np.linspace(radius * 1.25, radius * 0.8, len(path)), level, rng.normal(1.0, 0.1))
        scatter(scene, drop, path[-1:], level[-1:], np.array([1.3]))
    return scene


def _tangle(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Thin curly wires in a loose mat, many layers deep."""
    scene = blank(shape, 0.25)
    area = shape[0] * shape[1] / unit**2
    count = int(area * rng.uniform(260, 420))
    radius = unit * rng.uniform(0.003, 0.005)
    clumps = rough(shape, unit / 5, rng, 2)
    for index in range(count):
        start = _start(shape, 0.1, rng)
        path = wander(rng, start, rng.uniform(0, 2 * np.pi), unit * rng.uniform(0.2, 0.5), rng.normal(0, 9))
        inside = np.clip(path.astype(int), 0, np.array(shape) - 1)
        layer = unit / 11 * index / count + unit / 30 * clumps[inside[:, 0], inside[:, 1]]
        tube(
            scene,
            path,
            radius * rng.lognormal(0, 0.25),
            layer,
            rng.normal(0.95, 0.08) * (0.4 + 0.6 * index / count),
        )
    return scene


def nanowires(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Many thin wires: lying straight, standing as a forest, or tangled."""
    return (_lying, _forest, _tangle)[rng.choice(3, p=[0.5, 0.25, 0.25])](shape, unit, rng)


def _yarn(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A few thick fibres filling the picture, nearly parallel, grooved and dusty, dark between them."""
    scene = blank(shape, 0.22)
    radius = unit * rng.uniform(0.07, 0.14)
    heading = rng.uniform(0, np.pi)
    span = float(np.hypot(*shape)) * 1.3
    normal = np.array([np.cos(heading), -np.sin(heading)])
    along = np.array([np.sin(heading), np.cos(heading)])
    offsets = np.arange(-span / 2, span / 2, radius * rng.uniform(1.9, 2.6))
    for offset in offsets[rng.random(offsets.size) < 0.86]:
        start = np.array(shape) / 2 + normal * (offset + rng.normal(0, radius / 3)) - along * span / 2
        turn = heading + rng.normal(0, 0.05)
        path = wander(rng, (float(start[0]), float(start[1])), turn, span, rng.normal(0, 0.2))
        tube(scene, path, radius * rng.uniform(0.85, 1.1), rng.uniform(0, 1.6) * radius, rng.normal(0.85, 0.05))
    grooves = _grooves(shape, unit, heading, rng)
    scene.height[...] += grooves * (scene.height > 0)
    _dust(scene, unit, rng)
    return scene


def _grooves(shape: Shape, unit: float, heading: float, rng: np.random.Generator) -> Field:
    """Shallow draw marks along the fibres."""
    y, x = np.indices(shape, np.float32, sparse=True)
    across = y * np.cos(heading) - x * np.sin(heading)
    marks = rng.standard_normal(512).astype(np.float32)
    lines = np.interp(across / (unit / 90) % 511, np.arange(512), marks)
    return np.asarray(0.35 * lines + 0.8 * rough(shape, unit / 25, rng, 3), np.float32)


def _dust(scene: Scene, unit: float, rng: np.random.Generator) -> None:
    """Put a little debris onto whatever is there."""
    shape = scene.height.shape
    count = int(rng.poisson(18) * shape[0] * shape[1] / unit**2)
    centres = rng.uniform(0, 1, (count, 2)) * shape
    inside = centres.astype(int)
    levels = scene.height[inside[:, 0], inside[:, 1]].astype(np.float64) - unit * 0.002
    stamps = [ball(float(unit * size), 0.7, float(turn)) for size, turn in rng.uniform(0.002, 0.007, (12, 2))]
    scatter(scene, stamps, centres, levels, np.full(count, 1.1))


def _mat(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A non-woven mat: long gently bent fibres crossing in many layers."""
    scene = blank(shape, 0.2)
    radius = unit * rng.uniform(0.011, 0.026)
    area = shape[0] * shape[1] / unit**2
    span = float(min(1.5 * np.hypot(*shape), 3 * unit))
    count = int(area * rng.uniform(1.3, 2.4) / (2 * radius / unit * span / unit))
    for index in range(count):
        start = _start(shape, 0.1, rng)
        heading = rng.uniform(0, 2 * np.pi)
        back = (start[0] - span / 2 * float(np.sin(heading)), start[1] - span / 2 * float(np.cos(heading)))
        path = wander(rng, back, heading, span, rng.normal(0, 1.6))
        width = radius * rng.lognormal(0, 0.22)
        level = 9 * radius * index / count + 0.8 * radius * drift(len(path), rng)
        tube(scene, path, width, level, rng.normal(0.9, 0.05) * (0.45 + 0.55 * index / count))
    scene.height[...] += 0.15 * noise(shape, unit / 120, rng)
    return scene


def fibres(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Fibres: a few thick ones side by side, or a non-woven mat."""
    return (_yarn if rng.random() < 0.55 else _mat)(shape, unit, rng)


def _needle(
    scene: Scene,
    apex: tuple[float, float],
    heading: float,
    unit: float,
    reach: float,
    rng: np.random.Generator,
) -> None:
    """An etched needle: a shank that narrows, ever faster, to a sharp point."""
    away = reach * np.linspace(0, 1, 400) ** 2
    path = np.array(apex) + np.outer(away, [np.sin(heading), np.cos(heading)])
    sharp, slope = unit * rng.uniform(0.003, 0.01), rng.uniform(0.1, 0.2)
    radius = np.minimum(sharp + slope * away**1.12 / unit**0.12, unit * rng.uniform(0.13, 0.24))
    radius *= 1 + 0.01 * drift(radius.size, rng, 20)
    radius *= np.sqrt(1 - np.clip(1 - away / (2 * sharp), 0, 1) ** 2)
    tube(scene, path, radius, unit * 0.1, rng.uniform(0.9, 1.05))


def _pyramid(scene: Scene, base: tuple[float, float], unit: float, rng: np.random.Generator) -> None:
    """A tapering emitter on its foot, seen at a slant."""
    tall = unit * rng.uniform(0.34, 0.5)
    wide, foot = unit * rng.uniform(0.1, 0.15), np.linspace(1, 0, 40, endpoint=False)
    up = np.linspace(0, 1, 160)
    # Under the slant the round foot shows as half an ellipse below the cone.
    rows = base[0] + np.concatenate([0.35 * wide * foot, -tall * up])
    cone = wide * (1 - up) ** rng.uniform(1.0, 1.6) + unit * 0.004 * np.sqrt(1 - up**8)
    radius = np.concatenate([cone[0] * np.sqrt(1 - foot**2), cone])
    path = np.stack([rows, np.full(rows.size, base[1])], axis=1)
    level = np.concatenate([np.zeros(40), unit * 0.04 * up])
    tube(scene, path, radius, level, 0.95)


def _emitters(scene: Scene, size: float, rng: np.random.Generator) -> None:
    """Rows of emitters, `size` pixels from one to the next."""
    shape = scene.height.shape
    fields = [max(1, round(n / size * f)) for n, f in zip(shape, (1, 1.2), strict=True)]
    for row in range(fields[0]):
        for column in range(fields[1]):
            place = (np.array([row, column]) + 0.5 + rng.uniform(-0.03, 0.03, 2)) / fields * shape
            _pyramid(scene, (float(place[0] + size * 0.25), float(place[1])), size, rng)


def tips(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Sharp points: one etched needle, or rows of emitters seen at a slant."""
    scene = blank(shape, rng.uniform(0.12, 0.45))
    scene.height[...] += 0.2 * rough(shape, unit / 30, rng, 3)
    single = max(shape) < 2 * unit
    if single and rng.random() < 0.6:
        place = rng.uniform(0.4, 0.6, 2) * shape
        heading, reach = rng.uniform(0, 2 * np.pi), float(np.hypot(*shape))
        _needle(scene, (float(place[0]), float(place[1])), heading, unit, reach, rng)
    else:
        _emitters(scene, unit * float(rng.choice([1.0, 0.4]) if single else 0.55), rng)
    scene.height[...] += 0.5 * rough(shape, unit / 45, rng, 3) * (scene.height > unit * 0.01)
    _dust(scene, unit, rng)
    return scene
