"""Shows which parts of a tile speak for its category: computed in a job, added as an image on the tile."""

import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray

from napari_semclass.viewer.layers import SCORE_KEY, Target, placement

_OPACITY = 0.55


@dataclass(frozen=True, eq=False)
class Heat:
    """How much each pixel (h, w) speaks for a category, 0 to 1, and the category's name and probability."""

    pixels: NDArray[np.float32]
    category: str
    probability: float


def why_job(
    target: Target, plane: int, box: tuple[int, int, int, int], tile: int, model_name: str, stop: threading.Event
) -> Generator[Heat, None, None]:
    """Yield the class-activation map of the tile's most likely category."""
    from napari_semclass.classify.why import class_activation
    from napari_semclass.model.store import load_model

    model = load_model(model_name)
    heat, probabilities = class_activation(model, target.micrographs[plane], box, tile=tile)
    best = int(probabilities.argmax())
    yield Heat(heat, model.card.categories[best].name, float(probabilities[best]))


def show_why(viewer: ViewerModel, target: Target, plane: int, box: tuple[int, int, int, int], heat: Heat) -> str:
    """Add the map on its tile, in place of the last one there; return a sentence about it."""
    image = target.layer
    name = f"{target.name} · why {heat.category}"
    for old in [one for one in viewer.layers if one.name == name and SCORE_KEY in one.metadata]:
        viewer.layers.remove(old)
    leading = np.unravel_index(plane, target.leading) if target.leading else ()
    corner = (*(int(i) for i in leading), box[0], box[1])
    keywords: dict[str, Any] = placement(image)
    # Where the tile's first pixel lies, before the image's own affine is applied on top.
    keywords["translate"] = image.affine.inverse(np.asarray(image.data_to_world(corner)))
    data = heat.pixels.reshape((1,) * len(leading) + heat.pixels.shape)
    layer = Image(
        data,
        name=name,
        colormap="inferno",
        opacity=_OPACITY,
        contrast_limits=(0, 1),
        metadata={SCORE_KEY: True},
        **keywords,
    )
    active = viewer.layers.selection.active
    viewer.layers.append(layer)
    viewer.layers.selection.active = active
    return f"{heat.category}, {100 * heat.probability:.0f} % sure: bright parts speak for it most."
