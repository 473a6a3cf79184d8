"""Marks whose category is likely wrong: what the other marks, on other groups, confidently contradict."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_semclass.annotate.categories import MarkCategory
from napari_semclass.annotate.collect import LabelledTiles, Source
from napari_semclass.errors import SettingsError


@dataclass(frozen=True, eq=False)
class DoubtedTile:
    """A marked tile that rather is of another category.

    Parameters
    ----------
    source : Source
        The plane that it is on.
    box : (int, int, int, int)
        `(y0, x0, y1, x1)` in level-0 pixels, half-open.
    marked, suggested : MarkCategory
    confidence : float
        Probability of the suggested category, by a classifier that never saw the tile's group.
    """

    source: Source
    box: tuple[int, int, int, int]
    marked: MarkCategory
    suggested: MarkCategory
    confidence: float


def doubted_tiles(labelled: LabelledTiles, features: NDArray[np.float32]) -> tuple[DoubtedTile, ...]:
    """Marked tiles whose category is likely wrong, the most doubtful first.

    Parameters
    ----------
    labelled : LabelledTiles
        Imported examples help to judge, and are not listed themselves.
    features : array (tiles, features)
        As `annotate.learning.labelled_features` gives them.

    Raises
    ------
    SettingsError
        When fewer than two categories are marked in two places.

    Notes
    -----
    Method and source: `learn.doubts`.
    """
    from napari_semclass.learn.doubts import doubt_labels

    if sum(count > 1 for count in labelled.groups().values()) < 2:
        advice = " ".join(labelled.grouping.advice) or labelled.needs()
        raise SettingsError(f"Marks can be checked once two categories are marked in two places each. {advice}")
    used, imported = labelled.used, labelled.imported
    doubts = doubt_labels(features, labelled.labels, labelled.grouping.groups)
    found = []
    for index in doubts.order.tolist():
        if not imported[index]:
            y0, x0, y1, x1 = labelled.boxes[index].tolist()
            suggested = int(doubts.suggested[index])
            found.append(
                DoubtedTile(
                    labelled.sources[int(labelled.source_index[index])],
                    (y0, x0, y1, x1),
                    used[int(labelled.labels[index])],
                    used[suggested],
                    float(doubts.probabilities[index, suggested]),
                )
            )
    return tuple(found)
