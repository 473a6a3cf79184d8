"""One synthetic micrograph of a named category: scene, detector, data bar."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import SettingsError
from napari_semclass.samples import devices, grains, life, strands
from napari_semclass.samples.databar import data_bar as draw_data_bar
from napari_semclass.samples.detector import expose, illuminate
from napari_semclass.samples.scene import Field, Scene, Shape

_SCENES: dict[str, Callable[[Shape, float, np.random.Generator], Scene]] = {
    "Porous_Sponge": grains.sponge,
    "Patterned_surface": devices.patterned,
    "Particles": grains.particles,
    "Films_Coated_Surface": grains.films,
    "Powder": grains.powder,
    "Tips": strands.tips,
    "Nanowires": strands.nanowires,
    "Biological": life.biological,
    "MEMS_devices_and_electrodes": devices.devices,
    "Fibres": strands.fibres,
}

# Usual widths of such pictures in micrometres, for a scale bar that a microscopist can believe.
_FIELDS_UM = {
    "Porous_Sponge": (5, 200),
    "Patterned_surface": (3, 60),
    "Particles": (1, 30),
    "Films_Coated_Surface": (1, 15),
    "Powder": (3, 40),
    "Tips": (2, 30),
    "Nanowires": (2, 25),
    "Biological": (40, 130),
    "MEMS_devices_and_electrodes": (50, 800),
    "Fibres": (20, 300),
}

CATEGORIES: tuple[str, ...] = tuple(_SCENES)
"""The ten categories of the NFFA-EUROPE SEM data set, in its order (L0 to L9)."""

SMALLEST = 48


def check(category: str, shape: Shape) -> None:
    """Raise a SettingsError for an unknown category or a picture too small to show one."""
    if category not in _SCENES:
        raise SettingsError(f"There is no synthetic category {category!r}; choose one of {', '.join(CATEGORIES)}.")
    if min(shape) < SMALLEST:
        raise SettingsError(
            f"A synthetic micrograph of {shape[0]} x {shape[1]} pixels is too small; "
            f"ask for at least {SMALLEST} x {SMALLEST}."
        )


def detected(category: str, shape: Shape, unit: float, rng: np.random.Generator) -> Field:
    """Return the noise-free signal of a category, about 0 to 1; `unit` is the field of view in pixels."""
    return illuminate(_SCENES[category](shape, unit, rng), unit, rng)


def synthetic_micrograph(
    category: str, shape: tuple[int, int] = (768, 1024), seed: int = 0, data_bar: bool = False
) -> NDArray[np.uint8]:
    """Draw a made-up but plausible SEM micrograph.

    Parameters
    ----------
    category
        One of `CATEGORIES`.
    shape
        Rows and columns, at least 48 each.
    seed
        Same seed, same pixels; another seed, another specimen and other instrument settings. Not negative.
    data_bar
        Replace the lowest 7 to 9 % of the rows by a data bar with text and a scale bar.

    Returns
    -------
    NDArray[np.uint8]
        Grey levels, shape `shape`.

    Raises
    ------
    SettingsError
        If the category is unknown or the shape too small.
    """
    check(category, shape)
    rng = np.random.default_rng([seed, CATEGORIES.index(category)])
    signal = detected(category, shape, float(min(shape)), rng)
    picture = expose(signal, rng).astype(np.uint8)
    if data_bar:
        band = draw_data_bar(shape, _FIELDS_UM[category], rng)
        picture[-band.shape[0] :] = band
    return picture
