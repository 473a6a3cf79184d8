"""Learning on a frozen backbone: look at every picture once, then fit and test linear heads on what was seen."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from napari_semclass.errors import SettingsError
from napari_semclass.learn.dataset import Picture
from napari_semclass.learn.head_plan import HeadPlan, View
from napari_semclass.learn.linear_head import LinearHead, evened, fit_linear_head, group_weights
from napari_semclass.learn.split import Split
from napari_semclass.learn.views import features_of, tile_crops, turned, view_crops
from napari_semclass.micrograph import GreyRange, Micrograph, grey_range, open_micrographs
from napari_semclass.model import Card

Features = NDArray[np.float32]
# What classifying a whole picture sees.
WHOLE = View(field=1.0)


@dataclass(frozen=True, eq=False)
class Looks:
    """Features of one picture: of each view to learn from, and of what classifying it whole or by tiles sees.

    `views` has one array (crops, features) per view of the plan; `whole` and `tiles` are (crops, features).
    """

    views: tuple[Features, ...]
    whole: Features
    tiles: Features


@dataclass(frozen=True, eq=False)
class DrawnLooks:
    """Features of generated micrographs: `views` as in `Looks` of each, `labels` (micrographs,) their categories."""

    views: tuple[tuple[Features, ...], ...]
    labels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Seen:
    """Views one below the other: features (samples, features), of each sample its category and weight."""

    features: Features
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]


def look_at(pictures: Sequence[Picture], network: nn.Module, card: Card, plan: HeadPlan) -> Iterator[Looks]:
    """Features of each picture, in order; each crop to learn from is seen as it is and turned, and averaged.

    `network` is a timm network in evaluation mode with its classifier taken off. A picture with several planes
    gives its first.
    """
    for number, picture in enumerate(pictures):
        random = np.random.default_rng([plan.seed, number])
        micrograph = open_micrographs(picture.path)[0]
        levels = grey_range(micrograph, card.preprocessing.low_percentile, card.preprocessing.high_percentile)
        views = views_of(micrograph, levels, network, card, plan, random)
        whole = view_crops(micrograph, levels, WHOLE, plan.input_size, random)
        tiles = tile_crops(micrograph, levels, plan.tile)
        yield Looks(views, features_of(network, whole, card), features_of(network, tiles, card))


def views_of(
    micrograph: Micrograph,
    levels: GreyRange,
    network: nn.Module,
    card: Card,
    plan: HeadPlan,
    random: np.random.Generator,
) -> tuple[Features, ...]:
    """Features of each view of the plan (crops, features); each crop is seen as it is and turned, and averaged."""
    views = []
    for view in plan.views:
        crops = view_crops(micrograph, levels, view, plan.input_size, random)
        both = features_of(network, torch.cat([crops, turned(crops, random)]), card)
        views.append(both.reshape(2, len(crops), -1).mean(axis=0))
    return tuple(views)


def fit_on(
    indices: Iterable[int],
    looks: Sequence[Looks],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    categories: int,
    plan: HeadPlan,
    drawn: DrawnLooks | None = None,
) -> LinearHead:
    """The linear head learned from the pictures at `indices`; every view of every group has the same weight.

    `labels` and `groups` (pictures,) number the category and the group of each picture. With `drawn`, generated
    micrographs are learned from, too, as the plan says; their features are shifted first so that their mean over the
    categories is that of the real ones: what all drawings have in common tells nothing.

    Raises
    ------
    SettingsError
        The plan asks for generated micrographs and none are given, or a single category is shown.
    """
    chosen = list(indices)
    seen = _below([looks[index].views for index in chosen], labels[chosen], groups[chosen])
    if plan.drawn is not None:
        if drawn is None:
            raise SettingsError("the plan learns from generated micrographs; none were given.")
        seen = _joined(seen, _below(drawn.views, drawn.labels, np.arange(len(drawn.labels))), plan.drawn.weight)
    weights = evened(seen.weights, seen.labels, plan.balance)
    return fit_linear_head(seen.features, seen.labels, weights, categories, plan.regularisation)


def _below(views: Sequence[tuple[Features, ...]], labels: NDArray[np.int64], groups: NDArray[np.int64]) -> _Seen:
    """All views of pictures (pictures,), each group with a weight of 1, shared evenly by the kinds of view."""
    counts = np.array([[len(view) for view in kinds] for kinds in views])
    owner = np.repeat(np.arange(len(views)), counts.sum(axis=1))
    kind = np.repeat(np.tile(np.arange(counts.shape[1]), len(views)), counts.ravel())
    weights = group_weights(labels[owner], groups[owner] * counts.shape[1] + kind, 0.0)
    features = np.concatenate([view for kinds in views for view in kinds])
    return _Seen(features, labels[owner], weights / counts.shape[1])


def _joined(real: _Seen, drawn: _Seen, weight: float) -> _Seen:
    """Real and generated views together; those of each generated category weigh as many groups as `weight` says."""
    common = np.intersect1d(real.labels, drawn.labels)
    shift = _centre(real, common) - _centre(drawn, common)
    weights = weight * evened(drawn.weights, drawn.labels, 1.0)
    return _Seen(
        np.concatenate([real.features, drawn.features + shift]),
        np.concatenate([real.labels, drawn.labels]),
        np.concatenate([real.weights, weights]),
    )


def _centre(seen: _Seen, categories: NDArray[np.int64]) -> Features:
    """Mean (features,) of the views of these categories, in which each counts the same."""
    of = np.isin(seen.labels, categories)
    weights = evened(seen.weights[of], seen.labels[of], 1.0)
    return np.average(seen.features[of], axis=0, weights=weights).astype(np.float32)


def whole_probabilities(head: LinearHead, looks: Looks) -> NDArray[np.float64]:
    """Probabilities (categories,) of the whole picture: the mean over its crops, as classifying gives them."""
    mean: NDArray[np.float64] = softmax(head.logits(looks.whole), axis=1).mean(axis=0)
    return mean


def held_out_heads(
    splits: Iterable[Split],
    looks: Sequence[Looks],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    categories: int,
    plan: HeadPlan,
    drawn: DrawnLooks | None = None,
) -> Iterator[tuple[NDArray[np.int64], LinearHead]]:
    """For each split: the held-out indices, and the head that never saw them."""
    for training, held_out in splits:
        yield held_out, fit_on(training.tolist(), looks, labels, groups, categories, plan, drawn)
