"""Generated micrographs that the starter learns from beside real ones: the samples' scenes and further varieties."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_semclass.samples import grains, life, strands
from napari_semclass.samples.detector import expose, illuminate
from napari_semclass.samples.devices import devices, patterned
from napari_semclass.samples.scene import Field, Scene, Shape
from starter_scenes import lithography, loose, surfaces

Maker = Callable[[Shape, float, np.random.Generator], Scene]

VARIETIES: Mapping[str, tuple[Maker, ...]] = {
    "Porous_Sponge": (grains.sponge, surfaces.struts, surfaces.holes),
    "Patterned_surface": (patterned, lithography.several, lithography.close_up, lithography.far),
    "Particles": (grains.particles, loose.sparse, loose.aggregate, loose.single),
    "Films_Coated_Surface": (
        grains.films,
        surfaces.islands,
        surfaces.facets,
        surfaces.flakes,
        surfaces.smooth,
        surfaces.section,
    ),
    "Powder": (grains.powder, loose.lumps, loose.loose, loose.fine_powder),
    "Tips": (strands.tips,),
    "Nanowires": (strands.nanowires,),
    "Biological": (life.biological,),
    "MEMS_devices_and_electrodes": (devices, lithography.guides, lithography.electrodes),
    "Fibres": (strands.fibres, loose.threads),
}
"""What is drawn of each category, in turn: of a shape (rows, columns) and the width of a typical view in pixels."""


SIDES = (480, 640)
"""Rows and columns of what is drawn, before it is passed on at another size."""


def generated(category: str, number: int, seed: int) -> NDArray[np.uint8]:
    """Micrograph `number` of a category, grey levels (rows, columns): varieties take turns, magnifications vary.

    Every second round of the varieties, so half of all, is worn as pictures in a collection are: resized, blurred,
    stretched until they clip, noisy. Same seed, same pixels.
    """
    rng = np.random.default_rng([seed, list(VARIETIES).index(category), number])
    makers = VARIETIES[category]
    turns, kind = divmod(number, len(makers))
    unit = float(min(SIDES) * np.exp(rng.uniform(-0.4, 0.4)))
    picture = expose(illuminate(makers[kind](SIDES, unit, rng), unit, rng), rng)
    return (_worn(picture, rng) if turns % 2 else picture).astype(np.uint8)


def _worn(picture: Field, rng: np.random.Generator) -> Field:
    """A picture (rows, columns), 0 to 255, as it looks after it was handed on: other size, focus, contrast, noise."""
    if rng.random() < 0.6:
        columns = round(float(np.exp(rng.uniform(np.log(160), np.log(640)))))
        small = Image.fromarray(picture).resize((columns, round(columns * 0.75)), Image.Resampling.BILINEAR)
        picture = np.array(small, np.float32)
    grey = picture / np.float32(255)
    if rng.random() < 0.4:
        grey = ndimage.gaussian_filter(grey, rng.uniform(0.3, 1.5) * grey.shape[1] / SIDES[1])
    low, high = np.quantile(grey, [rng.choice([0, 0.02, 0.1, 0.25]), 1 - rng.choice([0, 0.02, 0.1, 0.3])])
    grey = np.clip((grey - low) / max(high - low, 0.05), 0, 1) ** np.float32(np.exp(rng.uniform(-0.9, 0.9)))
    if rng.random() < 0.5:
        grey = grey + rng.normal(0, rng.uniform(0.03, 0.3), grey.shape)
    black, white = np.sort(rng.uniform(0, 1, 2)) if rng.random() < 0.3 else (0.0, 1.0)
    return np.asarray(255 * np.clip(np.clip(grey, 0, 1) * max(white - black, 0.15) + 0.85 * black, 0, 1), np.float32)
