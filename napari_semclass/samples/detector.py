"""How the microscope sees a scene: edge brightening and shadowing, then focus, drift, charging and noise."""

import numpy as np
from scipy import ndimage

from napari_semclass.samples.scene import Field, Scene, enlarge, noise


def _wide_blur(field: Field, sigma: float) -> Field:
    """Blur with a large kernel on a shrunken copy, which nobody can tell from the real thing."""
    step = max(1, int(sigma / 3))
    rows, columns = field.shape
    small = enlarge(field, (max(2, rows // step), max(2, columns // step)))
    return enlarge(ndimage.gaussian_filter(small, sigma / step, mode="nearest"), field.shape)


def illuminate(scene: Scene, unit: float, rng: np.random.Generator) -> Field:
    """Turn a scene into detected signal.

    The yield of secondary electrons rises with the tilt of the surface (edges glow), a detector at one side
    favours slopes that face it, and electrons from pits do not get out.

    Parameters
    ----------
    scene
        Heights and yields, shape (rows, columns).
    unit
        Width in pixels of what a typical picture shows; sets the reach of the shadows.
    rng
        Source of chance: detector direction and contrast.

    Returns
    -------
    Field
        Signal, about 0 to 1, same shape.
    """
    height = ndimage.gaussian_filter(scene.height, 0.8)
    down, right = np.gradient(height)
    flatness = 1 / np.sqrt(1 + down**2 + right**2)
    azimuth = rng.uniform(0, 2 * np.pi)
    facing = (right * np.float32(np.cos(azimuth)) + down * np.float32(np.sin(azimuth))) * flatness
    reach = unit / 130
    rim = height - ndimage.gaussian_filter(height, reach)
    # Only glow counts fully: the dark side of a tall edge would draw a second outline around it.
    rim = np.clip(rim / np.float32(reach), -0.25, 1)
    pit = (height - _wide_blur(height, unit / 26)) / np.float32(unit / 26)
    escape = 1 / (1 + np.exp(-4.0 * np.tanh(pit / 2) - 1.0))
    material = ndimage.gaussian_filter(scene.signal, 0.6)
    edges, side = rng.uniform(0.45, 0.7), rng.uniform(0.12, 0.26)
    lit = 0.36 + edges * (1 - flatness) ** 1.4 + side * facing + 0.2 * rim
    return np.asarray(material * np.maximum(lit, 0.02) * (0.3 + 0.9 * escape), np.float32)


def _streaks(picture: Field, rng: np.random.Generator) -> Field:
    """Return the horizontal tails, dark or bright, that charging leaves behind the brightest spots."""
    bright = np.maximum(picture - np.quantile(picture[::4, ::4], 0.99), 0)
    # Twice a running mean of what was scanned just before: a tail that starts at the spot and fades to the right.
    length = max(3, picture.shape[1] // 30) | 1
    for _ in range(2):
        bright = ndimage.uniform_filter1d(bright, length, axis=1, mode="constant", origin=length // 2)
    return np.asarray(bright * rng.choice([-0.6, 0.0, 0.0, 0.9]), np.float32)


def expose(picture: Field, rng: np.random.Generator) -> Field:
    """Record detected signal line by line as an instrument would.

    Parameters
    ----------
    picture
        Detected signal, shape (rows, columns), any range.
    rng
        Source of chance: brightness, contrast, focus, dose, drift, charging.

    Returns
    -------
    Field
        Grey levels, 0 to 255, not yet rounded, same shape.
    """
    rows, columns = picture.shape
    picture = picture + _streaks(picture, rng)
    picture *= 1 + 0.07 * noise(picture.shape, max(rows, columns) / 2, rng)
    picture = ndimage.gaussian_filter(picture, rng.uniform(0.5, 1.1))
    low, high = np.quantile(picture[::4, ::4], [0.01, 0.995])
    black, white = rng.uniform(8, 40), rng.uniform(205, 250)
    grey = black + (picture - low) * np.float32((white - black) / max(high - low, 1e-6))
    grain = rng.uniform(4, 11)
    shot = np.sqrt(np.clip(grey, 4, 255) / np.float32(128)) * np.float32(grain)
    grey += shot * rng.standard_normal(grey.shape, dtype=np.float32)
    grey += rng.normal(0, grain / 7, (rows, 1)).astype(np.float32)
    return np.asarray(np.clip(grey, 0, 255), np.float32)
