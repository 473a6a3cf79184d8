"""Which tile to mark next: one that the model is unsure of, unlike those that are marked and those just suggested."""

import numpy as np
from numpy.typing import NDArray

# Only the less sure half competes, so that a strange but well-known tile does not come first.
_UNSURE = 0.5
_SAME = 0.01  # of 0 to 2: nearer tiles teach the same


def next_tiles(
    features: NDArray[np.float32], probabilities: NDArray[np.float32], labelled: NDArray[np.bool_], n: int = 1
) -> NDArray[np.int64]:
    """Indices of the tiles whose marks would teach most, best first.

    Each is the one with the largest product of uncertainty (one minus the gap between its two best categories) and
    distance, in standardised features, to the nearest tile that is labelled or suggested before it. Tiles that are
    nearly the same as one of these are left out.

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
    competing = unsure >= np.quantile(unsure, 1 - _UNSURE)
    free, unsure = free[competing], unsure[competing]
    spread = features.std(axis=0) + 1e-6
    scaled = (features - features.mean(axis=0)) / spread
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True) + 1e-12
    distance = np.full(len(free), np.inf)
    for start in range(0, int(labelled.sum()), 256):  # in parts, which bounds the memory
        near = scaled[np.flatnonzero(labelled)[start : start + 256]]
        distance = np.minimum(distance, (1 - scaled[free] @ near.T).min(axis=1))
    chosen: list[int] = []
    distance[np.isinf(distance)] = 1.0
    for _ in range(min(n, len(free))):
        worth = np.where(distance > _SAME, unsure * distance, -1.0)
        index = int(np.argmax(worth))
        if worth[index] < 0:
            break
        chosen.append(int(free[index]))
        distance = np.minimum(distance, 1 - scaled[free] @ scaled[free[index]])
        distance[index] = 0.0
    return np.array(chosen, dtype=np.int64)
