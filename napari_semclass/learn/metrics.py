"""How good and how well calibrated answers are, with intervals that respect groups."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import recall_score


@dataclass(frozen=True)
class Share:
    """A share in [0, 1] with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, eq=False)
class Reliability:
    """Answers in bins of rising confidence, each holding as many answers as the next.

    Parameters
    ----------
    confidence, accuracy : array (bins,)
        Mean confidence of the answers in each bin, and the share of them that is right.
    count : array (bins,)
        Number of answers in each bin.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean gap between confidence and accuracy, bins weighted by their answers."""
        return float(np.average(np.abs(self.accuracy - self.confidence), weights=self.count))


def percent(share: float) -> str:
    """A share in [0, 1] in per cent, with one decimal."""
    return f"{100 * share:.1f} %"


def accuracy(truth: NDArray[np.int64], answers: NDArray[np.int64]) -> float:
    """Share of answers that are right."""
    return float(np.mean(truth == answers))


def balanced_accuracy(truth: NDArray[np.int64], answers: NDArray[np.int64]) -> float:
    """Mean over the categories present of the share found of each."""
    return float(recall_score(truth, answers, labels=np.unique(truth), average="macro", zero_division=0))


def recalls(truth: NDArray[np.int64], answers: NDArray[np.int64], names: Sequence[str]) -> dict[str, float]:
    """Share found of each category present, by name."""
    present = np.unique(truth)
    values = recall_score(truth, answers, labels=present, average=None, zero_division=0)
    return {names[label]: float(value) for label, value in zip(present, values, strict=True)}


def with_interval(
    statistic: Callable[[NDArray[np.int64]], float], groups: Sequence[str], repeats: int = 2000, seed: int = 0
) -> Share:
    """A statistic of samples and its 95 % percentile-bootstrap interval, drawing whole groups with replacement.

    Parameters
    ----------
    statistic : function of an index array
        Called with all indices for the value, and with those of the drawn groups for each repeat.
    groups : sequence of str
        Group of each sample.
    repeats, seed : int
        Number of draws, and what makes them the same each time.
    """
    _, number = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(number == group) for group in range(number.max() + 1)]
    random = np.random.default_rng(seed)
    draws = [
        statistic(np.concatenate([members[group] for group in random.integers(0, len(members), len(members))]))
        for _ in range(repeats)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    return Share(statistic(np.arange(len(number))), float(low), float(high))


def mean_with_interval(
    values: NDArray[np.float64], groups: NDArray[np.int64], repeats: int = 2000, seed: int = 0
) -> Share:
    """The mean of values in [-1, 1] (samples,) and its 95 % percentile-bootstrap interval, drawing whole groups.

    One group tells nothing of others: the interval then is from -1 to 1. As `with_interval`, but quick for
    thousands of groups.
    """
    _, number = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(number, weights=values), np.bincount(number)
    if len(sums) < 2:
        return Share(float(values.mean()), -1.0, 1.0)
    random = np.random.default_rng(seed)
    drawn = [random.integers(0, len(sums), len(sums)) for _ in range(repeats)]
    low, high = np.percentile([sums[each].sum() / counts[each].sum() for each in drawn], [2.5, 97.5])
    return Share(float(values.mean()), float(low), float(high))


def reliability(probabilities: NDArray[np.float64], truth: NDArray[np.int64], bins: int = 15) -> Reliability:
    """How often answers of about the same confidence are right.

    Parameters
    ----------
    probabilities : array (samples, categories)
        Rows sum to 1; the answer is the largest.
    truth : array (samples,)
    bins : int
        Of equal mass; fewer when there are fewer samples.

    Notes
    -----
    Bins of equal mass estimate the error with less bias than bins of equal width.
    Source: Nixon et al., Measuring Calibration in Deep Learning, CVPR workshops 2019.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    parts = np.array_split(np.argsort(confidence, kind="stable"), min(bins, len(truth)))
    return Reliability(
        np.array([confidence[part].mean() for part in parts]),
        np.array([right[part].mean() for part in parts]),
        np.array([len(part) for part in parts]),
    )
