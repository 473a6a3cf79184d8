"""How good answers are, with intervals that respect groups."""

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
