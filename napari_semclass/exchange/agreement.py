"""Whether an exported network answers as the original does, on micrographs made for the purpose."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from napari_semclass.errors import ModelError
from napari_semclass.model import Model
from napari_semclass.samples import CATEGORIES, synthetic_micrograph

LIMIT = 1e-3
"""Largest difference of a probability that is let pass."""

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
_LARGE_ENOUGH = 48


def generated_tiles(size: int) -> NDArray[np.float32]:
    """Tiles (12, 1, size, size) in [0, 1]: a synthetic micrograph of each category, noise, and black and white."""
    side = max(size, _LARGE_ENOUGH)
    tiles = [synthetic_micrograph(name, (side, side), seed=7)[:size, :size] / 255 for name in CATEGORIES]
    tiles.append(np.random.default_rng(7).random((size, size)))
    tiles.append(np.indices((size, size)).sum(axis=0) % 2)
    return np.stack(tiles).astype(np.float32)[:, None]


def largest_difference(model: Model, run: Run) -> float:
    """Largest absolute difference of a probability between a model and its export, on `generated_tiles`.

    Parameters
    ----------
    model : Model
        The original; computed in float32 on the CPU.
    run : callable
        The export in its own runtime: tiles (n, 1, size, size) in [0, 1] to probabilities (n, categories). It is
        asked for one tile and for many, as exports that hold for one size of batch only are a common fault.

    Raises
    ------
    ModelError
        When an answer has another shape than (n, categories).
    """
    tiles = generated_tiles(model.card.input_size)
    with torch.inference_mode():
        wanted = model.on(torch.device("cpu")).probabilities(torch.from_numpy(tiles[:, 0])).numpy()
    largest = 0.0
    for part in (slice(0, 1), slice(1, None)):
        found = run(tiles[part])
        if found.shape != wanted[part].shape:
            raise ModelError(
                f"{model.card.name}: its export answers {found.shape} where {wanted[part].shape} was expected."
            )
        difference = np.abs(found - wanted[part]).max()
        largest = max(largest, float(difference) if np.isfinite(difference) else np.inf)
    return largest
