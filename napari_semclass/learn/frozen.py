"""Learning on a frozen backbone: look at every picture once, then fit and test linear heads on what was seen."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from napari_semclass.learn.dataset import Picture
from napari_semclass.learn.head_plan import HeadPlan, View
from napari_semclass.learn.linear_head import LinearHead, fit_linear_head, group_weights
from napari_semclass.learn.split import Split
from napari_semclass.learn.views import features_of, tile_crops, turned, view_crops
from napari_semclass.micrograph import grey_range, open_micrographs
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


def look_at(pictures: Sequence[Picture], network: nn.Module, card: Card, plan: HeadPlan) -> Iterator[Looks]:
    """Features of each picture, in order; each crop to learn from is seen as it is and turned, and averaged.

    `network` is a timm network in evaluation mode with its classifier taken off. A picture with several planes
    gives its first.
    """
    for number, picture in enumerate(pictures):
        random = np.random.default_rng([plan.seed, number])
        micrograph = open_micrographs(picture.path)[0]
        levels = grey_range(micrograph, card.preprocessing.low_percentile, card.preprocessing.high_percentile)
        views = []
        for view in plan.views:
            crops = view_crops(micrograph, levels, view, plan.input_size, random)
            both = features_of(network, torch.cat([crops, turned(crops, random)]), card)
            views.append(both.reshape(2, len(crops), -1).mean(axis=0))
        whole = view_crops(micrograph, levels, WHOLE, plan.input_size, random)
        tiles = tile_crops(micrograph, levels, plan.tile)
        yield Looks(tuple(views), features_of(network, whole, card), features_of(network, tiles, card))


def fit_on(
    indices: Iterable[int],
    looks: Sequence[Looks],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    categories: int,
    plan: HeadPlan,
) -> LinearHead:
    """The linear head learned from the pictures at `indices`; every view of every group has the same weight.

    `labels` and `groups` (pictures,) number the category and the group of each picture.
    """
    features, owners, kinds = [], [], []
    for index in indices:
        for kind, view in enumerate(looks[index].views):
            features.append(view)
            owners += [index] * len(view)
            kinds += [kind] * len(view)
    owner = np.array(owners)
    views_of_groups = groups[owner] * len(plan.views) + np.array(kinds)
    weights = group_weights(labels[owner], views_of_groups, plan.balance)
    return fit_linear_head(np.concatenate(features), labels[owner], weights, categories, plan.regularisation)


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
) -> Iterator[tuple[NDArray[np.int64], LinearHead]]:
    """For each split: the held-out indices, and the head that never saw them."""
    for training, held_out in splits:
        yield held_out, fit_on(training.tolist(), looks, labels, groups, categories, plan)
