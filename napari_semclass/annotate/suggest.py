"""Which tile to mark next: one that the model is unsure of, unlike those that are marked and those just suggested."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

# Only the less sure half competes, so that a strange but well-known tile does not come first.
_UNSURE = 0.5
_SAME = 0.01  # of 0 to 2: nearer tiles teach the same
# However large the mosaic: only the least sure tiles compete, and so many stand for the labelled ones and for all.
_MOST = 4096


def next_tiles(
    features: NDArray[np.float32], probabilities: NDArray[np.float32], labelled: NDArray[np.bool_], n: int = 1
) -> NDArray[np.int64]:
    """Indices of the tiles whose marks would teach most, best first.

    Each is the one with the largest product of uncertainty (one minus the gap between its two best categories) and
    distance, in standardised features, to the nearest tile that is labelled or suggested before it. Tiles that are
    nearly the same as one of these are left out. Of many tiles, the 4,096 that the model is least sure of compete, and
    4,096 of the labelled ones are compared with.

    Parameters
    ----------
    features : array (tiles, features)
    probabilities : array (tiles, categories)
    labelled : array (tiles,), bool
        Tiles that have a mark.
    n : int
        How many are wanted; fewer come back where fewer tiles are worth a mark.
    """
    free = np.flatnonzero(~labelled)
    if not len(free):
        return free
    best = np.sort(probabilities[free], axis=1)[:, ::-1]
    unsure = 1 - (best[:, 0] - best[:, 1])
    place = len(unsure) - min(_MOST, ceil(_UNSURE * len(unsure)))
    competing = _spread(np.flatnonzero(unsure >= np.partition(unsure, place)[place]))  # equal ones may be many
    free, unsure = free[competing], unsure[competing]
    sample = features[_spread(np.arange(len(features)))]
    mean, spread = sample.mean(axis=0), sample.std(axis=0) + 1e-6
    scaled = _scaled(features[free], mean, spread)
    distance = np.full(len(free), np.inf)
    known = _spread(np.flatnonzero(labelled))
    for start in range(0, len(known), 256):  # in parts, which bounds the memory
        near = _scaled(features[known[start : start + 256]], mean, spread)
        distance = np.minimum(distance, (1 - scaled @ near.T).min(axis=1))
    chosen: list[int] = []
    distance[np.isinf(distance)] = 1.0
    for _ in range(min(n, len(free))):
        worth = np.where(distance > _SAME, unsure * distance, -1.0)
        index = int(np.argmax(worth))
        if worth[index] < 0:
            break
        chosen.append(int(free[index]))
        distance = np.minimum(distance, 1 - scaled @ scaled[index])
        distance[index] = 0.0
    return np.array(chosen, dtype=np.int64)


def _spread(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """All of them, or some that are spread evenly over them."""
    return indices if len(indices) <= _MOST else indices[np.linspace(0, len(indices) - 1, _MOST).astype(np.int64)]


def _scaled(
    features: NDArray[np.float32], mean: NDArray[np.float32], spread: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Standardised features of length one, so that products are cosines."""
    scaled = (features - mean) / spread
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True) + 1e-12
    return scaled
