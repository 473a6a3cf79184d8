"""Divides the pictures of one group in space, for a category that has no other group to be validated with."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TRAIN, VALID, DROPPED = 0, 1, 2
_DIRECTIONS = ("lower", "right")


@dataclass(frozen=True, eq=False)
class Sides:
    """Samples and on which side of a split they are; `side` (samples,) is changed while that is decided.

    `labels`, `groups`, `files` are (samples,) numbers; `boxes` (samples, 4) are `(y0, x0, y1, x1)` in their file.
    """

    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    files: NDArray[np.int64]
    boxes: NDArray[np.int64]
    side: NDArray[np.int8]

    def count(self, label: int, side: int) -> int:
        """Number of a category's samples on a side."""
        return int(np.sum((self.labels == label) & (self.side == side)))


def divide_group(
    sides: Sides, label: int, needy: NDArray[np.int64], share: float, random: np.random.Generator, reach: float = 0.0
) -> str:
    """Hold out about `share` of the samples of category `label` from its largest group; say what they are, or "".

    Each picture is cut across its longer side. What lies beyond the cut validates the categories in `needy`; other
    samples there, and those that the cut crosses, are dropped, so that no pixel is on both sides. Samples reach
    `reach` times their length beyond their edges (of what surrounds a tile is learned, too), unless then no picture
    can be cut. Where none can be cut at all, whole pictures are held out. No category loses its last sample to learn
    from.
    """
    if sides.count(label, VALID):  # it lay beyond the cut of another category
        return "other parts of the same pictures"
    own = (sides.labels == label) & (sides.side == TRAIN)
    numbers, counts = np.unique(sides.groups[own], return_counts=True)
    own &= sides.groups == numbers[np.argmax(counts)]
    files = random.permutation(np.unique(sides.files[own]))
    wanted = share * own.sum()
    for beyond in dict.fromkeys((reach, 0.0)):
        directions = {
            _cut(sides, own, int(file), needy, share, beyond) for file in files if sides.count(label, VALID) < wanted
        }
        directions.discard("")
        if directions:
            learned = ", of which some lie in surroundings that are learned from" if beyond < reach else ""
            return f"the {' or '.join(sorted(directions))} part of the same pictures{learned}"
    for file in files[: max(1, round(share * len(files)))]:
        _hold_out(sides, sides.files == file, np.zeros(len(own), dtype=bool), needy)
    return "other pictures of the same group" if sides.count(label, VALID) else ""


def _cut(sides: Sides, own: NDArray[np.bool_], file: int, needy: NDArray[np.int64], share: float, reach: float) -> str:
    """Cut one picture where about `share` of the category's `own` samples lie beyond; return the direction, or ""."""
    inside = (sides.files == file) & (sides.side == TRAIN)
    corners = sides.boxes[inside]
    axis = int(np.argmax(corners[:, 2:].max(axis=0) - corners[:, :2].min(axis=0)))
    starts, stops = sides.boxes[:, axis], sides.boxes[:, axis + 2]
    stops = stops + np.rint(reach * (stops - starts)).astype(np.int64)
    for cut in _cuts(starts[inside & own], stops[inside & own], share):
        if _hold_out(sides, inside & (starts >= cut), inside & (starts < cut) & (stops > cut), needy):
            return _DIRECTIONS[axis]
    return ""


def _cuts(starts: NDArray[np.int64], stops: NDArray[np.int64], share: float) -> Iterator[int]:
    """Places to cut that leave samples on both sides, the nearest to `share` beyond and crossing fewest first."""
    rated = []
    for cut in np.unique(starts):
        beyond, before = np.mean(starts >= cut), np.mean(stops <= cut)
        if before:
            rated.append((abs(beyond - share) + (1 - beyond - before), int(cut)))
    yield from (cut for _, cut in sorted(rated))


def _hold_out(sides: Sides, beyond: NDArray[np.bool_], crossing: NDArray[np.bool_], needy: NDArray[np.int64]) -> bool:
    """Take samples out of training, unless a category had nothing left there; tell whether that was done."""
    taken = (beyond | crossing) & (sides.side == TRAIN)
    kept = (sides.side == TRAIN) & ~taken
    if np.setdiff1d(sides.labels[taken], sides.labels[kept]).size:
        return False
    validating = taken & beyond & np.isin(sides.labels, needy)
    sides.side[taken] = DROPPED
    sides.side[validating] = VALID
    return True
