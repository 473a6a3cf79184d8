"""Which labels are likely wrong: those that a classifier, taught without their group, confidently contradicts.

Confident learning (Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels, Journal
of Artificial Intelligence Research 70, 1373 (2021)). Each sample gets the probabilities of linear heads on frozen
features that never saw its group. A category's threshold is the mean probability that its own samples get for it; here
it is one half at least, as a category of few groups is hardly recognised on another one and its mean would let
anything pass. A sample is doubted when another category reaches its threshold, and ranked by its normalised margin: the
probability of its label less that of the most likely other category.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_semclass.errors import SettingsError
from napari_semclass.learn.linear_head import LEAST_SPREAD, fit_linear_head, group_weights
from napari_semclass.learn.split import fold_samples

_FOLDS = 5
_REPEATS = 3  # ways of dividing the groups, whose answers are averaged
_MANY = 3000  # samples, for which one way is enough
_LEAST_THRESHOLD = 0.5
_REGULARISATION = 0.01  # as quick learning has it

_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Doubts:
    """What is doubted.

    Parameters
    ----------
    probabilities : array (n, categories)
        Of heads that never saw the sample's group; NaN for samples that could not be judged, because no such head
        knew their category.
    margins : array (n,)
        Probability of the label less that of the most likely other category, in [-1, 1]; NaN likewise.
    suggested : array (n,), int64
        Category that a doubted sample rather is; -1 for all others.
    """

    probabilities: NDArray[np.float64]
    margins: NDArray[np.float64]
    suggested: _Ints

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Which samples could be judged, (n,)."""
        return ~np.isnan(self.margins)

    @property
    def order(self) -> _Ints:
        """Indices of the doubted samples, the most doubtful first."""
        doubted = np.flatnonzero(self.suggested >= 0)
        return doubted[np.argsort(self.margins[doubted], kind="stable")]


def doubt_labels(
    features: NDArray[np.float32],
    labels: _Ints,
    groups: _Ints,
    *,
    learned: NDArray[np.bool_] | None = None,
) -> Doubts:
    """Find samples whose label is contradicted by what others of their kind look like.

    Parameters
    ----------
    features : array (n, features)
        Of a frozen network, before its classifier.
    labels, groups : array (n,)
        Number of the category, from 0; number of the group. A category with one group can neither be judged nor be
        suggested.
    learned : array (n,), bool, optional
        Samples that heads may learn from (all); the others are only judged.

    Raises
    ------
    SettingsError
        With fewer than two categories that have two groups, as nothing could be compared.
    """
    learned = np.ones(len(labels), dtype=bool) if learned is None else learned
    testable = [label for label in np.unique(labels) if len(np.unique(groups[learned & (labels == label)])) > 1]
    if len(testable) < 2:
        raise SettingsError(
            "labels can be checked where at least two categories have two groups (specimens, files) or more; "
            "add pictures of other specimens, or name the specimens in the group column of manifest.csv."
        )
    probabilities = _held_out(features, labels, groups, learned)
    every = np.arange(len(labels))
    own = probabilities[every, labels]
    others = probabilities.copy()
    others[every, labels] = -np.inf
    margins = own - others.max(axis=1)
    thresholds = np.full(probabilities.shape[1], np.inf)
    for label in testable:
        mine = own[(labels == label) & learned]
        thresholds[label] = max(_LEAST_THRESHOLD, np.nanmean(mine)) if np.isfinite(mine).any() else np.inf
    doubted = (others >= thresholds).any(axis=1)  # NaN compares as False; at most one category has a half
    return Doubts(probabilities, margins, np.where(doubted, others.argmax(axis=1), -1))


def _held_out(
    features: NDArray[np.float32], labels: _Ints, groups: _Ints, learned: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Mean probabilities (n, categories) of heads that never saw a sample's group, but did see its category."""
    categories = int(labels.max()) + 1
    sums, counts = np.zeros((len(labels), categories)), np.zeros(len(labels))
    most = min(_FOLDS, len(np.unique(groups)), int(np.bincount(labels).max()))
    for seed in range(_REPEATS if len(labels) <= _MANY else 1):
        folds = fold_samples(labels, groups, most, seed)
        for fold in np.unique(folds):
            taught = learned & (folds != fold)
            known = np.unique(labels[taught])
            if len(known) < 2:
                continue
            weights = group_weights(labels[taught], np.arange(int(taught.sum())), 1.0)
            head = fit_linear_head(
                features[taught], labels[taught], weights, categories, _REGULARISATION, least_spread=LEAST_SPREAD
            )
            asked = (folds == fold) & np.isin(labels, known)
            sums[asked] += softmax(head.logits(features[asked]), axis=1)
            counts[asked] += 1
    counts[counts == 0] = np.nan
    return np.asarray(sums / counts[:, None])
