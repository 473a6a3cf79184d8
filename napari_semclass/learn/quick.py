"""Quick learning: a new linear head on features of a network that stays as it is, tested by group, in a second."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from napari_semclass.classify.features import scores
from napari_semclass.errors import ModelError, SettingsError
from napari_semclass.learn.familiar import FEWEST, KEPT, answered, fit_familiar, parts_of, scaled
from napari_semclass.learn.linear_head import LEAST_SPREAD, LinearHead, fit_linear_head, fit_temperature, group_weights
from napari_semclass.learn.measure import Metrics, measure
from napari_semclass.learn.metrics import Share, percent
from napari_semclass.learn.show import scores_html
from napari_semclass.learn.split import fold_samples
from napari_semclass.model import Answered, Category, Model, TestResult
from napari_semclass.model.familiar import Familiar
from napari_semclass.model.file import model_hash, stored_tensors
from napari_semclass.showing import paragraph

# Of 0.001 to 10, best or nearly so in macro-F1 and likelihood on unseen specimens with 14 to 1,000 tiles to learn from.
_REGULARISATION = 0.01
_MOST_FOLDS = 5
_FEWEST_GROUPS = 5  # with fewer, drawing them again says nothing about the spread
_NO_ANSWERS: tuple[Answered, ...] = ()
_QUICKLY = "Quick learning on the network of"
_TEMPERATURES = (0.25, 4.0)  # beyond, a few lucky or unlucky tiles decide


@dataclass(frozen=True, eq=False)
class QuickResult:
    """A model, its figures on tiles that it did not learn from (None where there were none), and a sentence on them."""

    model: Model
    metrics: Metrics | None
    sentence: str

    def __repr__(self) -> str:
        """How good the model is, in words."""
        return f"<QuickResult: {self.sentence}>"

    def _repr_html_(self) -> str:
        return paragraph(self.sentence) + ("" if self.metrics is None else scores_html(self.metrics.scores))


def fit_quick(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    pictures: NDArray[np.int64],
    categories: Sequence[Category],
    base: Model,
    *,
    tile: int,
    tile_um: float | None = None,
    pixel_sizes: Sequence[float] = (),
    name: str,
    title: str,
    tested: str,
    testable: bool = True,
    windows: bool = False,
) -> QuickResult:
    """Fit a linear head, and test how well such a head does on groups it has not seen.

    Parameters
    ----------
    features : array (n, features)
        Of marked tiles, as `classify.features` gives them with `base`.
    labels, groups, pictures : array (n,)
        Index into `categories`; number of the group; number of the micrograph.
    categories : sequence of Category
    base : Model
        Whose network stays as it is.
    tile : int
        Side of a tile in pixels, for the card.
    tile_um : float, optional
        In micrometres, where all tiles were laid so.
    pixel_sizes : sequence of float
        Metres per pixel of the network's input, as far as they are known.
    name, title : str
        Of the new card.
    tested : str
        What a group is, in words such as "tested on other images", or why nothing can be tested.
    testable : bool
        False shows no figures.
    windows : bool
        Whether `features` are those of windows, so that classifying has to take windows, too.

    Raises
    ------
    SettingsError
        Fewer than two categories among the labels.
    ModelError
        When the network does not end in one linear classifier.
    """
    if len(np.unique(labels)) < 2:
        raise SettingsError("learning needs examples of at least two categories.")
    names = tuple(category.name for category in categories)
    held_out = _held_out(features, labels, groups, len(names)) if testable else None
    metrics = None if held_out is None else _measured(held_out.logits, labels, pictures, groups, names)
    head = _fit(features, labels, len(categories))
    familiar, reliability = None, _NO_ANSWERS
    if held_out is not None and metrics is not None:
        familiar, strangeness = _familiar(features, labels, held_out)
        reliability = answered(softmax(held_out.logits / metrics.temperature, axis=1), labels, strangeness)
    sentence = f"{tested[:1].upper()}{tested[1:]}."
    if testable and metrics is None:
        sentence = "Not tested: the marks cannot be divided so that every category is learned without its test tiles."
    if metrics is not None:
        shown = metrics.scores
        sentence = (
            f"{percent(shown.accuracy.value)} of {shown.n:,} marked tiles right"
            f"{_interval(shown.accuracy, shown.groups)}, macro-F1 {shown.macro_f1.value:.2f}, {tested}."
        )
    card = replace(
        base.card,
        name=name,
        title=title,
        description=f"A linear head learned from {len(labels):,} marked tiles. {sentence}",
        categories=tuple(categories),
        unit="tile",
        tile=tile,
        tile_um=tile_um,
        pixel_size_range=(min(pixel_sizes), max(pixel_sizes)) if pixel_sizes else None,
        temperature=1.0 if metrics is None else round(metrics.temperature, 4),
        unknown_threshold=None,
        familiar_kept=None if familiar is None else KEPT,
        reliability=reliability,
        tests=() if metrics is None else (_test_result(metrics, tested),),
        provenance=_provenance(base),
        windows=windows,
        context=1.0,  # marks are of places, whose neighbours may be something else
    )
    network = _with_head(base.network, head)
    sha256 = model_hash(stored_tensors(network, familiar), card)
    return QuickResult(Model(network, card, sha256, familiar), metrics, sentence)


def predict(features: NDArray[np.float32], model: Model) -> NDArray[np.float32]:
    """Probabilities (n, categories) of features (n, features), as classifying the tiles would give them."""
    shares = softmax(scores(features, model) / model.card.temperature, axis=1)
    return np.asarray(shares, dtype=np.float32)


def strangeness(features: NDArray[np.float32], model: Model) -> NDArray[np.float32] | None:
    """How unlike the training tiles are (n,), from their features (n, features); None where the model cannot tell."""
    if model.familiar is None:
        return None
    logits = torch.from_numpy(scores(features, model))
    return model.familiar.strangeness(torch.from_numpy(features), logits).numpy()


def _provenance(base: Model) -> str:
    """Where the network is from; of a model that was learned quickly, what its own card says of that."""
    if base.card.provenance.startswith(_QUICKLY):
        return base.card.provenance
    return f"{_QUICKLY} {base.card.name} ({base.sha256[:12]}). {base.card.provenance}"


def _fit(features: NDArray[np.float32], labels: NDArray[np.int64], categories: int) -> LinearHead:
    weights = group_weights(labels, np.arange(len(labels)), 1.0)
    return fit_linear_head(features, labels, weights, categories, _REGULARISATION, least_spread=LEAST_SPREAD)


def _interval(share: Share, groups: int) -> str:
    """The 95 % interval in words, where there are enough groups for one."""
    if groups < _FEWEST_GROUPS:
        return f" ({groups} groups only, so this is rough)"
    return f" (95 % interval {percent(share.low)} to {percent(share.high)})"


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """Scores (tiles, categories) and parts of strangeness (tiles, 2) from fits that never saw the tile's group."""

    logits: NDArray[np.float64]
    parts: NDArray[np.float64]


def _held_out(
    features: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int64], categories: int
) -> _HeldOut | None:
    """What fits say of groups that they never saw; None where the groups cannot be divided for that."""
    least = min(len(np.unique(groups[labels == label])) for label in np.unique(labels))
    if least < 2:
        return None
    folds = fold_samples(labels, groups, min(_MOST_FOLDS, least), seed=0)
    found = _HeldOut(np.full((len(labels), categories), np.nan), np.full((len(labels), 2), np.nan))
    for fold in np.unique(folds):
        held_out = folds == fold
        if len(np.unique(labels[~held_out])) < len(np.unique(labels)):
            return None  # no way of dividing leaves every category something to learn from
        seen, asked = features[~held_out], features[held_out]
        found.logits[held_out] = _fit(seen, labels[~held_out], categories).logits(asked)
        if len(labels) >= FEWEST:
            familiar = fit_familiar(seen, labels[~held_out])
            found.parts[held_out] = parts_of(familiar, asked, found.logits[held_out])
    return found


def _familiar(
    features: NDArray[np.float32], labels: NDArray[np.int64], held_out: _HeldOut
) -> tuple[Familiar | None, NDArray[np.float32] | None]:
    """Statistics of all tiles, scaled on held-out ones, and the strangeness of these; None of too few."""
    if len(labels) < FEWEST:
        return None, None
    return scaled(fit_familiar(features, labels), held_out.parts)


def _measured(
    logits: NDArray[np.float64],
    labels: NDArray[np.int64],
    pictures: NDArray[np.int64],
    groups: NDArray[np.int64],
    names: tuple[str, ...],
) -> Metrics:
    """Figures of held-out scores, with the temperature that suits them."""
    temperature = float(np.clip(fit_temperature(logits, labels), *_TEMPERATURES))
    return measure(logits, labels, pictures, groups, names, unit="tile", temperature=temperature)


def _with_head(network: nn.Module, head: LinearHead) -> nn.Module:
    """A copy of a network with another linear classifier."""
    changed = copy.deepcopy(network)
    classifier = changed.get_classifier()  # type: ignore[operator]
    if not isinstance(classifier, nn.Linear):
        raise ModelError("this network does not end in one linear classifier, so it cannot learn quickly.")
    changed.reset_classifier(len(head.bias))  # type: ignore[operator]
    new = changed.get_classifier()  # type: ignore[operator]
    with torch.no_grad():
        new.weight.copy_(torch.from_numpy(head.weight))
        new.bias.copy_(torch.from_numpy(head.bias))
    return changed.eval()


def _test_result(metrics: Metrics, tested: str) -> TestResult:
    shown = metrics.scores

    def interval(share: Share) -> tuple[float, float]:
        return round(share.low, 4), round(share.high, 4)

    return TestResult(
        unit="tile",
        protocol=f"Marked tiles, cross-validated by group: {tested}. The temperature was fitted on the same answers.",
        n=shown.n,
        n_images=shown.images,
        n_groups=shown.groups,
        accuracy=round(shown.accuracy.value, 4),
        accuracy_interval=interval(shown.accuracy),
        balanced_accuracy=round(shown.balanced_accuracy.value, 4),
        balanced_accuracy_interval=interval(shown.balanced_accuracy),
        recall={each.name: round(each.recall.value, 4) for each in shown.categories if each.recall is not None},
    )
