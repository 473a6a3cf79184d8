"""Films and porous solids beyond those of the samples."""

import numpy as np
from scipy import ndimage

from napari_semclass.samples.devices import turned
from napari_semclass.samples.scene import (
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
from starter_scenes.loose import anywhere


def islands(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A film that has broken up while it grew or was heated: winding islands with dark channels between."""
    size = unit * rng.uniform(0.01, 0.05)
    field = noise(shape, size, rng) + 0.3 * noise(shape, size / 2, rng)
    edge = np.quantile(field[::4, ::4], rng.uniform(0.3, 0.55))
    island = 1 / (1 + np.exp(-(field - edge) * rng.uniform(6, 20)))
    height = 0.6 * size * island + 0.1 * size * noise(shape, max(2.0, size / 3), rng)
    return Scene(height.astype(np.float32), (0.3 + 0.6 * island).astype(np.float32))


def facets(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Crystallites grown to pyramids and ridges, one beside the other, of very different heights."""
    labels, border = cells(shape, unit * rng.uniform(0.02, 0.12), rng, rng.uniform(0.02, 0.12))
    count = int(labels.max()) + 1
    steep, base = rng.uniform(0.3, 1.6, count), rng.normal(0, unit / 90, count)
    height = base[labels] + steep[labels] * border + 0.3 * rough(shape, unit / 40, rng, 2)
    return Scene(height.astype(np.float32), rng.normal(0.8, 0.08, count)[labels].astype(np.float32))


def flakes(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A coating of thin plates that stand on edge."""
    scene = blank(shape, 0.5)
    size = unit * rng.uniform(0.012, 0.05)
    stamps = [ball(size * rng.uniform(0.6, 1.5), rng.uniform(0.1, 0.3), rng.uniform(0, np.pi)) for _ in range(40)]
    stamps = [np.where(np.isfinite(stamp), stamp * rng.uniform(2, 5), stamp) for stamp in stamps]
    count = int(shape[0] * shape[1] / size**2 * rng.uniform(0.5, 1.2))
    scatter(scene, stamps, anywhere(shape, count, rng), rng.normal(0, size / 3, count), rng.normal(0.9, 0.06, count))
    return scene


def smooth(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A dense film that shows next to nothing: a faint texture, dust, pinholes, sometimes scratches."""
    height = rng.uniform(0.05, 0.8) * rough(shape, unit * rng.uniform(0.004, 0.02), rng, 2)
    height += rng.uniform(0, 2) * rough(shape, unit / 3, rng, 2)
    scene = Scene(height.astype(np.float32), np.full(shape, 0.7, np.float32))
    count = int(rng.integers(0, 3))
    stamps = [crystal(unit * rng.uniform(0.004, 0.02), rng) for _ in range(8)]
    scatter(scene, stamps, anywhere(shape, count, rng), np.zeros(count), rng.choice([0.3, 1.2], count))
    if rng.random() < 0.3:
        u, _ = turned(shape, float(rng.uniform(0, np.pi)))
        scratches = noise((1, 2048), 1, rng)[0]
        scene.height[...] += 0.8 * np.interp(u, np.linspace(-unit, unit, 2048), scratches).astype(np.float32)
    return scene


def section(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """The broken edge of a coated wafer: substrate, one to three layers with columns or grains, and the void above."""
    rows = np.arange(shape[0], dtype=np.float32)[:, None]
    columns = np.arange(shape[1], dtype=np.float32)[None]
    depth = rows + np.float32(rng.normal(0, 0.05)) * columns
    depth = depth + unit / 200 * noise(shape, unit / 12, rng, (50.0, 1.0))
    top = shape[0] * rng.uniform(0.1, 0.45)
    height = np.where(depth > top, 0.25 * rough(shape, unit / 30, rng, 3), np.float32(-unit / 4))
    signal = np.where(depth > top, np.float32(rng.uniform(0.4, 0.7)), np.float32(0.15))
    for _ in range(int(rng.integers(1, 4))):
        bottom = top + unit * rng.uniform(0.04, 0.3)
        layer = (depth > top) & (depth <= bottom)
        fine = max(1.5, unit * rng.uniform(0.006, 0.02))
        columnar = (rng.uniform(5, 12), 1.0) if rng.random() < 0.6 else (1.0, 1.0)
        texture = noise(shape, fine, rng, columnar) * np.float32(fine * rng.uniform(0.1, 0.5))
        height = np.where(layer, texture, height)
        signal = np.where(layer, np.float32(rng.uniform(0.5, 1.1)), signal)
        top = bottom
    return Scene(height.astype(np.float32), signal.astype(np.float32))


def struts(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """An open foam: struts between round windows, behind which a second and darker net shows."""
    net = np.full(shape, -np.inf, np.float32)
    signal = np.full(shape, 0.2, np.float32)
    size = unit * rng.uniform(0.06, 0.2)
    for depth in (2.0, 1.0, 0.0):
        _, border = cells(shape, size, rng, 0.05)
        border = ndimage.gaussian_filter(border, size / 14)
        half = size * rng.uniform(0.08, 0.16)
        strut = np.where(border < half, np.sqrt(np.maximum(half**2 - border**2, 0)), -np.inf)
        level = (strut - np.float32(depth * size * 0.7)).astype(np.float32)
        signal = np.where(level > net, np.float32(0.95 - 0.25 * depth), signal)
        net = np.maximum(net, level)
    net = np.maximum(net, np.float32(-3 * size)) + 0.3 * rough(shape, unit / 50, rng, 3)
    return Scene(net.astype(np.float32), signal)


def holes(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A membrane: a smooth face with round holes of one size that go deep, some of them touching."""
    carved = Scene(np.zeros(shape, np.float32), np.ones(shape, np.float32))
    size = unit * rng.uniform(0.012, 0.06)
    radii = size * rng.uniform(0.6, 1.4, 30)
    stamps = [ball(float(r), rng.uniform(0.7, 1.0), rng.uniform(0, np.pi)) for r in radii]
    count = int(shape[0] * shape[1] / size**2 * rng.uniform(0.08, 0.3))
    scatter(carved, stamps, anywhere(shape, count, rng), np.full(count, 0.0), np.zeros(count))
    face = rng.uniform(0.2, 1.2) * rough(shape, unit / 40, rng, 4)
    signal = np.where(carved.height > 0, 0.35, 0.85)
    return Scene((face - carved.height).astype(np.float32), signal.astype(np.float32))
