"""Patterned surfaces, waveguides and electrodes beyond those of the samples."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_semclass.samples.devices import Layout, patterned, periodic, turned
from napari_semclass.samples.scene import (
    Scene,
    Shape,
    lean,
    noise,
    rough,
)


def etched(mask: NDArray[np.bool_], rise: float, unit: float, rng: np.random.Generator) -> Scene:
    """Features raised from or etched into a flat wafer, seen from above or at a slant."""
    if rng.random() < 0.4:
        height, top = lean(mask, max(1, int(rise)))
        signal = np.where(top, rng.uniform(0.7, 1.1), np.where(height > 0, 0.7, rng.uniform(0.25, 0.55)))
    else:
        raised = mask == (rng.random() < 0.7)
        height = np.where(raised, np.float32(rise), np.float32(0))
        signal = np.where(raised, rng.uniform(0.6, 1.1), rng.uniform(0.25, 0.6))
    height = height + rng.uniform(0.05, 0.5) * rough(mask.shape, unit / 80, rng, 3)
    return Scene(height.astype(np.float32), signal.astype(np.float32))


def several(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Test fields on a flat wafer, each with a pattern of its own."""
    u, v = turned(shape, float(rng.choice([0.0, rng.normal(0, 0.1), rng.uniform(0, np.pi)])))
    mask = np.zeros(shape, bool)
    block = unit * rng.uniform(0.2, 0.45)
    filled = block * rng.uniform(0.3, 0.45)
    for row in np.arange(-2, 3) * block:
        for column in np.arange(-2, 3) * block:
            if rng.random() < 0.25:
                continue
            inside = np.maximum(np.abs(u - column), np.abs(v - row)) < filled
            kind = str(rng.choice(["lines", "squares", "dots", "honeycomb"]))
            pitch = block * float(rng.uniform(0.06, 0.3))
            across = (u, v) if rng.random() < 0.5 else (v, u)
            mask |= inside & periodic(across[0] - column, across[1] - row, pitch, kind, float(rng.uniform(0.2, 0.36)))
    return etched(mask, unit * rng.uniform(0.005, 0.02), unit, rng)


def close_up(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A few periods of a pattern at high magnification."""
    return patterned(shape, unit * rng.uniform(2.5, 6), rng)


def far(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A pattern at low magnification, its features a few pixels wide."""
    return patterned(shape, unit * rng.uniform(0.25, 0.5), rng)


def guides(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """Waveguides or tracks that cross a flat field: straight, bent once, with tapers, gaps and pads."""
    mask = np.zeros(shape, bool)
    chip = Layout(mask, (shape[0] / 2, shape[1] / 2), float(rng.uniform(0, np.pi)))
    width = unit * float(np.exp(rng.uniform(np.log(0.008), np.log(0.12))))
    for _ in range(int(rng.integers(1, 5))):
        across, knee = unit * rng.uniform(-0.4, 0.4), unit * rng.uniform(-0.4, 0.4)
        away = unit * float(rng.choice([0.0, rng.uniform(-0.8, 0.8)]))
        gap = float(rng.choice([0.0, width * rng.uniform(0.3, 2)]))
        chip.strip((-2 * unit, across), (knee - gap, across), width)
        chip.strip((knee, across), (2 * unit, across + away), width)
        if rng.random() < 0.3:
            pad = width * rng.uniform(2, 6)
            chip.box(knee - pad, knee + pad, across - pad, across + pad)
    return etched(mask, max(2.0, width * rng.uniform(0.2, 0.8)), unit, rng)


def electrodes(shape: Shape, unit: float, rng: np.random.Generator) -> Scene:
    """A close look at metal contacts: wide areas with straight edges and round corners, a narrow gap between them."""
    mask = np.zeros(shape, bool)
    chip = Layout(mask, (shape[0] / 2, shape[1] / 2), float(rng.uniform(0, np.pi)))
    gap, wide = unit * rng.uniform(0.01, 0.12), unit * rng.uniform(0.1, 0.8)
    chip.box(-2 * unit, -gap / 2, -wide, wide * rng.uniform(0.2, 1))
    if rng.random() < 0.7:
        chip.box(gap / 2, 2 * unit, -wide * rng.uniform(0.2, 1), wide)
    soft = ndimage.gaussian_filter(mask.astype(np.float32), unit * rng.uniform(0.003, 0.02)) > 0.5
    scene = etched(np.asarray(soft), unit * rng.uniform(0.005, 0.03), unit, rng)
    texture = unit * rng.uniform(0.004, 0.012)
    grain = noise(shape, texture, rng) * np.float32(texture * rng.uniform(0.05, 0.4))
    return Scene(np.where(soft, scene.height + grain, scene.height), scene.signal)
