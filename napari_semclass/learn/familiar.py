"""Fits what tells strange tiles: statistics of the training's features, scaled on tiles held out of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from napari_semclass.model import Answered
from napari_semclass.model.familiar import Familiar

KEPT = 0.95  # of held-out tiles of the training
FEWEST = 60  # held-out tiles; of fewer, the farthest 5 % are three tiles or less
_DIMENSIONS = 64
_SHRINKAGE = 0.05
_POINTS = 20  # of the coverage-accuracy curve

_Floats = NDArray[np.float64]


def fit_familiar(features: NDArray[np.float32], labels: NDArray[np.int64]) -> Familiar:
    """Statistics of training tiles, not yet scaled.

    Parameters
    ----------
    features : array (n, features)
    labels : array (n,)

    Notes
    -----
    Features are standardised and projected to their principal components. There the covariances of the tiles around
    the mean of their category, and of all tiles, are made diagonal together, the first one 1.
    """
    mean, deviations = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    deviations = np.maximum(deviations, 0.1 * np.median(deviations)) + 1e-6
    standard = (features - mean) / deviations
    dimensions = min(_DIMENSIONS, max(2, len(features) // 4), *features.shape)
    components = randomized_svd(standard, dimensions, random_state=0)[2].T
    at = standard @ components
    present = np.unique(labels)
    centred = at.copy()
    for label in present:
        centred[labels == label] -= at[labels == label].mean(axis=0)
    within_values, within = np.linalg.eigh(_covariance(centred))
    whitened = within / np.sqrt(within_values)
    spread, turn = np.linalg.eigh(whitened.T @ _covariance(at) @ whitened)
    components = components @ whitened @ turn
    projection = components / deviations[:, None]
    means = np.stack([(standard[labels == label] @ components).mean(axis=0) for label in present])
    values = (projection, mean @ projection, means, spread, np.array([0.5, 0.5, 0.0]))
    return Familiar(*(torch.from_numpy(np.ascontiguousarray(value)).float() for value in values))


def parts_of(familiar: Familiar, features: NDArray[np.float32], logits: _Floats) -> _Floats:
    """What strangeness is made of, (n, 2); see `Familiar.parts`."""
    return familiar.parts(torch.from_numpy(features), torch.from_numpy(logits)).double().numpy()


def scaled(familiar: Familiar, held_out: _Floats) -> tuple[Familiar, NDArray[np.float32]]:
    """The statistics with weights so that the share `KEPT` of held-out tiles lies below 1, and on average they at 0.

    Parameters
    ----------
    familiar : Familiar
    held_out : array (n, 2)
        Parts of tiles that the statistics they are measured with have not seen.

    Returns
    -------
    (familiar, strangeness)
        The strangeness (n,) of the held-out tiles.
    """
    mean, deviation = held_out.mean(axis=0), held_out.std(axis=0) + 1e-9
    limit = float(np.quantile(((held_out - mean) / deviation).sum(axis=1), KEPT))
    weights = 1 / (deviation * max(limit, 1e-6))
    every = torch.from_numpy(np.append(weights, -(mean * weights).sum())).float()
    return replace(familiar, weights=every), (held_out @ weights - (mean * weights).sum()).astype(np.float32)


def answered(
    probabilities: _Floats, truth: NDArray[np.int64], strangeness: NDArray[np.float32] | None
) -> tuple[Answered, ...]:
    """Coverage and accuracy of held-out tiles as the least confidence rises; strange tiles are not answered.

    Parameters
    ----------
    probabilities : array (n, categories)
        Calibrated.
    truth : array (n,)
    strangeness : array (n,), optional
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    familiar = np.ones(len(truth), dtype=bool) if strangeness is None else strangeness <= 1
    if not familiar.any():
        return ()
    found: list[Answered] = []
    for threshold in _thresholds(confidence[familiar]):
        kept = familiar & (confidence >= threshold)
        if kept.any() and (not found or threshold > found[-1].confidence):
            found.append(Answered(threshold, round(float(kept.mean()), 4), round(float(right[kept].mean()), 4)))
    return tuple(found)


def _thresholds(confidence: _Floats) -> Sequence[float]:
    """0, then confidences that leave out about as many more tiles each, down to half of them."""
    quantiles = np.quantile(confidence, np.linspace(0, 0.5, _POINTS)[1:])
    return [0.0, *(float(value) for value in np.floor(quantiles * 1e4) / 1e4)]


def _covariance(centred: _Floats) -> _Floats:
    """Covariance of rows around 0, drawn a little towards a sphere."""
    found = centred.T @ centred / len(centred)
    sphere = np.trace(found) / len(found) * np.eye(len(found)) + 1e-9 * np.eye(len(found))
    return np.asarray((1 - _SHRINKAGE) * found + _SHRINKAGE * sphere)
