"""The linear head: logistic regression on features of a frozen backbone, and the temperature that calibrates it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from napari_semclass.errors import SettingsError

LEAST_SPREAD = 1.0
"""`least_spread` for few samples: better on unseen specimens than 0 in all 42 draws of 14 to 1,967 tiles."""


@dataclass(frozen=True)
class LinearHead:
    """Scores = features @ weight.T + bias; `weight` (categories, features), `bias` (categories,)."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Unscaled scores (samples, categories) of features (samples, features)."""
        return np.asarray(features @ self.weight.T + self.bias)


def fit_linear_head(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    weights: NDArray[np.float64],
    categories: int,
    regularisation: float,
    *,
    least_spread: float = 0.0,
    weakest: float = 0.0,
) -> LinearHead:
    """Fit a multinomial logistic regression on standardised features; the standardisation is folded into the head.

    Parameters
    ----------
    features : array (samples, features)
    labels : array (samples,)
        Category of each sample, 0 to `categories` - 1. A category without samples never wins.
    weights : array (samples,)
        How much each sample counts; scaled here to a mean of 1.
    categories : int
    regularisation : float
        scikit-learn's C; smaller is smoother.
    least_spread : float
        Features that vary less than this share of the median feature's standard deviation are standardised as if they
        varied by it. With few samples some features hardly vary among them, and would else count as much as any
        where they do vary: 14 samples gave a macro-F1 of 0.58 on unseen specimens with 0, and of 0.76 with 1.
    weakest : float
        The same as a share of the root mean square of all standard deviations. A network that was tuned has switched
        most of its features nearly off: their median says nothing, and weights that make up for it (some ten thousand)
        follow whatever rounding leaves of them.

    Raises
    ------
    SettingsError
        With fewer than two categories among the labels there is nothing to tell apart.
    """
    present = np.unique(labels)
    if len(present) < 2:
        raise SettingsError("learning needs examples of at least two categories.")
    mean = features.mean(axis=0)
    deviations = features.std(axis=0)
    least = max(least_spread * float(np.median(deviations)), weakest * float(np.sqrt(np.mean(deviations**2))))
    spread = np.maximum(deviations, least) + 1e-6
    fitted = LogisticRegression(C=regularisation, max_iter=2000, tol=1e-4)
    # Thousands of small products: BLAS threads wait for each other far longer than one needs for all of them.
    with threadpool_limits(limits=1):
        fitted.fit((features - mean) / spread, labels, sample_weight=weights / weights.mean())
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(present) == 2:  # scikit-learn gives one row for two categories: the score of the second over the first
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight = np.zeros((categories, features.shape[1]))
    bias = np.full(categories, -1e4)
    weight[present] = coefficients / spread
    bias[present] = intercepts - weight[present] @ mean
    return LinearHead(weight, bias)


def group_weights(labels: NDArray[np.int64], groups: NDArray[np.int64], balance: float) -> NDArray[np.float64]:
    """Weight of each sample (samples,): every group counts once, then categories are evened out.

    `balance` 0 leaves a category the weight of its number of groups, 1 gives all categories the same.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return evened(1.0 / sizes[group], labels, balance)


def evened(weights: NDArray[np.float64], labels: NDArray[np.int64], balance: float) -> NDArray[np.float64]:
    """Weights (samples,) with those of each category scaled: `balance` 0 not at all, 1 to the same sum for each."""
    totals = np.bincount(labels, weights=weights)
    return np.asarray(weights * totals[labels] ** -balance)


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Temperature (0.05 to 20) that makes `logits / temperature` of held-out samples most likely.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """

    def loss(log_temperature: float) -> float:
        scores = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(scores[np.arange(len(labels)), labels].mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))
