"""What a random split would have claimed: the same head on the same features, once split by tile, once by group."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from sklearn.model_selection import KFold, StratifiedGroupKFold

from napari_semclass.learn.linear_head import fit_linear_head
from napari_semclass.learn.metrics import accuracy, percent
from napari_semclass.learn.split import Split

_FOLDS = 5
_REGULARISATION = 0.01  # with which frozen features are compared throughout
_SEED = 0


@dataclass(frozen=True)
class Claim:
    """Figures of one way to split, shares in [0, 1]."""

    accuracy: float
    macro_f1: float


@dataclass(frozen=True)
class RandomSplit:
    """Two claims about the same `n` tiles or pictures, from the same number of folds.

    `left_out` names the categories with one group, which no split by group can test.
    """

    unit: str
    n: int
    groups: int
    folds: int
    random: Claim
    grouped: Claim
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `metrics.json` has them."""
        claims = {"random": self.random, "grouped": self.grouped}
        return {
            "unit": self.unit,
            "n": self.n,
            "n_groups": self.groups,
            "folds": self.folds,
            **{key: {"accuracy": claim.accuracy, "macro_f1": claim.macro_f1} for key, claim in claims.items()},
            "left_out": list(self.left_out),
        }

    def sentence(self) -> str:
        """Both claims side by side, in words."""
        word = "picture" if self.unit == "image" else "tile"
        left_out = f" (without {', '.join(self.left_out)}: one group each)" if self.left_out else ""
        return (
            f"Had {self.n:,} of these {word}s{left_out} been split at random, a linear classifier on this model's "
            f"features would have claimed {percent(self.random.accuracy)} right and macro-F1 "
            f"{self.random.macro_f1:.3f}; on groups kept apart it has {percent(self.grouped.accuracy)} and "
            f"{self.grouped.macro_f1:.3f} ({self.folds} folds each). The difference is what it learned about specimens "
            "rather than categories."
        )


def random_split_claim(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    categories: tuple[str, ...],
    unit: str,
) -> RandomSplit | str:
    """Compare a random split with a split by group, or say in a sentence why that cannot be done.

    Parameters
    ----------
    features : array (samples, features)
        Of a frozen network, before its classifier.
    labels, groups : array (samples,)
    categories : tuple of str
        Names of the labels.
    unit : str
        What a sample is, "tile" or "image".
    """
    counts = {label: len(np.unique(groups[labels == label])) for label in np.unique(labels)}
    testable = [label for label, count in counts.items() if count > 1]
    if len(testable) < 2:
        return (
            "What a random split would have claimed cannot be shown: fewer than two categories have two groups or more."
        )
    kept = np.isin(labels, testable)
    features, labels, groups = features[kept], labels[kept], groups[kept]
    folds = min(_FOLDS, *(counts[label] for label in testable))
    # As many folds for both: otherwise one would have learned from more tiles than the other.
    at_random = KFold(folds, shuffle=True, random_state=_SEED).split(labels)
    by_group = StratifiedGroupKFold(folds, shuffle=True, random_state=_SEED).split(labels, labels, groups)
    return RandomSplit(
        unit,
        len(labels),
        len(np.unique(groups)),
        folds,
        _claim(features, labels, at_random),
        _claim(features, labels, by_group),
        tuple(categories[label] for label in counts if label not in testable),
    )


def _claim(features: NDArray[np.float32], labels: NDArray[np.int64], splits: Iterable[Split]) -> Claim:
    answers = np.zeros_like(labels)
    for training, held_out in splits:
        weights = 1 / np.bincount(labels[training])[labels[training]]
        head = fit_linear_head(features[training], labels[training], weights, int(labels.max()) + 1, _REGULARISATION)
        answers[held_out] = head.logits(features[held_out]).argmax(axis=1)
    macro_f1 = f1_score(labels, answers, labels=np.unique(labels), average="macro", zero_division=0)
    return Claim(accuracy(labels, answers), float(macro_f1))
