"""A model's answers to tiles, and the features it gave them by, in one pass through its network."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from napari_semclass.classify.forward import Forward
from napari_semclass.model.network import overheard

_AT_ONCE = 64  # tiles made float at a time; the forward pass divides them further
_SMALLEST = 1e-38  # a probability that float32 still tells from 0

Features = NDArray[np.float32]


def answers_of(
    forward: Forward,
    pixels: NDArray[np.uint8],
    wanted: NDArray[np.bool_],
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[NDArray[np.float64], Features | None]:
    """Scores of tiles, and the features of those wanted.

    Parameters
    ----------
    forward : Forward
        Without dihedral averaging.
    pixels : array (tiles, side, side), uint8
        Normalised grey levels.
    wanted : array (tiles,), bool
    progress : callable
        Told the number of tiles done.

    Returns
    -------
    logits : array (tiles, categories)
        Unscaled scores, up to a constant per row: the model's probabilities are those classifying gives.
    features : array (wanted tiles, features) or None
        What the classifier was given; None where the network does not end in one linear classifier.
    """
    probabilities, features = [], []
    with overheard(forward.model.network) as heard:
        for start in range(0, len(pixels), _AT_ONCE):
            chunk = pixels[start : start + _AT_ONCE].astype(np.float32)
            chunk /= 255
            heard.clear()
            answers = forward(chunk)
            if heard and sum(map(len, heard)) > len(chunk):
                # Memory ran out, or float16 did not do, and parts were computed twice; now batch and format fit.
                heard.clear()
                answers = forward(chunk)
            probabilities.append(answers)
            if heard:
                features.append(torch.cat(heard).cpu().numpy()[wanted[start : start + len(chunk)]])
            progress(start + len(chunk))
    shares = np.concatenate(probabilities).astype(np.float64)
    logits = np.log(np.maximum(shares, _SMALLEST)) * forward.model.card.temperature
    return logits, np.concatenate(features) if features else None
