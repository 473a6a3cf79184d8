"""Every figure by which a classifier is judged, for tiles and for whole pictures, from its scores and the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_semclass.learn.metrics import Reliability, Share, reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REPEATS = 2000
_AT_ONCE = 50  # draws of groups; bounds the memory when every picture is its own group

Unit = Literal["tile", "image"]


@dataclass(frozen=True)
class CategoryScores:
    """How well one category is told: shares in [0, 1] with 95 % intervals from a bootstrap over groups.

    Of a category that is not among the truth `recall` and `f1` are None; so is `precision` when it was never answered.
    An interval from 0 to 1 means that one group tells nothing about others.
    """

    name: str
    precision: Share | None
    recall: Share | None
    f1: Share | None
    support: int
    groups: int

    def to_json(self) -> dict[str, Any]:
        """Plain values; an interval stands beside each share."""
        shares = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        found: dict[str, Any] = {}
        for key, share in shares.items():
            found |= _plain(key, share)
        return found | {"support": self.support, "n_groups": self.groups}


@dataclass(frozen=True, eq=False)
class Scores:
    """All figures for one unit.

    Parameters
    ----------
    unit : "tile" or "image"
    n, images, groups : int
        Number of that unit, of pictures and of groups.
    accuracy, macro_f1, macro_precision, balanced_accuracy : Share
        Macro averages are over the categories among the truth; balanced accuracy is the mean recall.
    categories : tuple of CategoryScores
        In the order of the model's outputs.
    confusion : array (categories, categories)
        Counts; rows are the truth, columns the answers.
    before, after : Reliability
        Before and after temperature scaling.
    """

    unit: Unit
    n: int
    images: int
    groups: int
    accuracy: Share
    macro_f1: Share
    macro_precision: Share
    balanced_accuracy: Share
    categories: tuple[CategoryScores, ...]
    confusion: NDArray[np.int64]
    before: Reliability
    after: Reliability

    def __repr__(self) -> str:
        """The figures in one line."""
        from napari_semclass.learn.show import scores_text

        return f"<Scores: {scores_text(self)}>"

    def _repr_html_(self) -> str:
        from napari_semclass.learn.show import scores_html

        return scores_html(self)

    def plot(self) -> "Figure":
        """The confusion matrix; `learn.charts` has more."""
        from napari_semclass.learn.charts import confusion_chart

        return confusion_chart(self)

    @property
    def word(self) -> str:
        """The unit in a reader's words."""
        return "picture" if self.unit == "image" else "tile"

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `metrics.json` has them."""
        return {
            "unit": self.unit,
            "n": self.n,
            "n_images": self.images,
            "n_groups": self.groups,
            **_plain("accuracy", self.accuracy),
            **_plain("macro_f1", self.macro_f1),
            **_plain("precision_macro", self.macro_precision),
            **_plain("recall_macro", self.balanced_accuracy),
            **_plain("balanced_accuracy", self.balanced_accuracy),
            "ece": self.after.error,
            "ece_uncalibrated": self.before.error,
            "per_class": {scores.name: scores.to_json() for scores in self.categories},
            "confusion_matrix": self.confusion.tolist(),
            "categories": [scores.name for scores in self.categories],
        }


@dataclass(frozen=True, eq=False)
class Metrics:
    """Figures for the model's unit, and for pictures with the probabilities of their tiles averaged."""

    scores: Scores
    per_image: Scores
    temperature: float

    def __repr__(self) -> str:
        """The figures of the model's unit in one line."""
        from napari_semclass.learn.show import scores_text

        return f"<Metrics: {scores_text(self.scores)}>"

    def _repr_html_(self) -> str:
        from napari_semclass.learn.show import scores_html

        return scores_html(self.scores)

    def plot(self) -> "Figure":
        """The confusion matrix of the model's unit; `learn.charts` has more."""
        return self.scores.plot()

    def to_json(self) -> dict[str, Any]:
        """Plain values: those of the model's unit, and the same for pictures under `per_image`."""
        return {**self.scores.to_json(), "temperature": self.temperature, "per_image": self.per_image.to_json()}


def measure(
    logits: NDArray[np.float64],
    labels: NDArray[np.int64],
    pictures: NDArray[np.int64],
    groups: NDArray[np.int64],
    categories: Sequence[str],
    *,
    unit: Unit,
    temperature: float = 1.0,
) -> Metrics:
    """Judge the scores of tiles (or of the crops of whole pictures) whose truth is known.

    Parameters
    ----------
    logits : array (tiles, categories)
        Unscaled scores, up to a constant per row.
    labels, pictures, groups : array (tiles,)
        Category, picture and group of each tile; all tiles of a picture have the same category.
    categories : sequence of str
        The model's, in the order of its outputs.
    unit : "tile" or "image"
        What the figures are of; crops of a picture are always averaged for "image".
    temperature : float
        Logits are divided by it; the figures before it are kept for comparison.
    """
    before: NDArray[np.float64] = softmax(logits, axis=1)
    after: NDArray[np.float64] = softmax(logits / temperature, axis=1)
    _, first, owner = np.unique(pictures, return_index=True, return_inverse=True)
    per_image = _scores(
        averaged(before, owner), averaged(after, owner), labels[first], owner[first], groups[first], categories, "image"
    )
    scores = per_image if unit == "image" else _scores(before, after, labels, pictures, groups, categories, unit)
    return Metrics(scores, per_image, temperature)


def averaged(values: NDArray[np.float64], owner: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean of the rows of `values` of each owner (owners, columns); owners are numbered from 0 without gaps."""
    sums = np.zeros((owner.max() + 1, values.shape[1]))
    np.add.at(sums, owner, values)
    return np.asarray(sums / np.bincount(owner)[:, None])


def _scores(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    truth: NDArray[np.int64],
    pictures: NDArray[np.int64],
    groups: NDArray[np.int64],
    categories: Sequence[str],
    unit: Unit,
) -> Scores:
    answers = after.argmax(axis=1)
    names, group = np.unique(groups, return_inverse=True)
    confusion = np.zeros((len(categories), len(categories)), dtype=np.int64)
    np.add.at(confusion, (truth, answers), 1)
    counts = _counts(truth, answers, group, len(categories))
    present = counts[2].sum(axis=0) > 0
    overall, each = _with_intervals(counts[:, :, present])
    whose = (counts[2] > 0).sum(axis=0)
    shares = iter(each)
    scored = [
        CategoryScores(name, *next(shares), int(confusion[index].sum()), int(whose[index]))
        if present[index]
        # All answers of a category that is not there are false alarms.
        else CategoryScores(name, Share(0.0, 0.0, 0.0) if confusion[:, index].any() else None, None, None, 0, 0)
        for index, name in enumerate(categories)
    ]
    return Scores(
        unit=unit,
        n=len(truth),
        images=len(np.unique(pictures)),
        groups=len(names),
        accuracy=overall[0],
        macro_f1=overall[1],
        macro_precision=overall[2],
        balanced_accuracy=overall[3],
        categories=tuple(scored),
        confusion=confusion,
        before=reliability(before, truth),
        after=reliability(after, truth),
    )


def _counts(
    truth: NDArray[np.int64], answers: NDArray[np.int64], group: NDArray[np.int64], categories: int
) -> NDArray[np.float64]:
    """Hits, answers and truths of each group and category (3, groups, categories): all shares follow from them."""
    counts = np.zeros((3, group.max() + 1, categories))
    right = truth == answers
    np.add.at(counts[0], (group[right], truth[right]), 1)
    np.add.at(counts[1], (group, answers), 1)
    np.add.at(counts[2], (group, truth), 1)
    return counts


def _with_intervals(
    counts: NDArray[np.float64],
) -> tuple[list[Share], list[tuple[Share, Share, Share]]]:
    """Overall shares, and precision, recall and F1 of each category, from counts of the categories present."""
    groups = counts.shape[1]
    random = np.random.default_rng(0)
    draws = []
    for _ in range(0, _REPEATS, _AT_ONCE):
        drawn = random.multinomial(groups, np.full(groups, 1 / groups), _AT_ONCE)
        draws.append(_shares(np.stack([drawn @ count for count in counts])))
    overall, each = _shares(counts.sum(axis=1)[:, None])
    low, high = np.nanpercentile(np.concatenate([drawn[0] for drawn in draws]), [2.5, 97.5], axis=0)
    low_each, high_each = np.nanpercentile(np.concatenate([drawn[1] for drawn in draws]), [2.5, 97.5], axis=0)
    with_it = (counts[2] > 0).sum(axis=0)
    return (
        [_share(*values, groups) for values in zip(overall[0], low, high, strict=True)],
        [
            (
                _share(each[0, 0, index], low_each[0, index], high_each[0, index], with_it[index]),
                _share(each[0, 1, index], low_each[1, index], high_each[1, index], with_it[index]),
                _share(each[0, 2, index], low_each[2, index], high_each[2, index], with_it[index]),
            )
            for index in range(counts.shape[2])
        ],
    )


def _shares(counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """From hits, answers and truths (3, draws, categories).

    Returns accuracy, macro-F1, macro precision and macro recall (draws, 4), and precision, recall and F1 of each
    category (draws, 3, categories), NaN where a draw has no sample of a category.
    """
    hits, answered, support = counts
    with np.errstate(invalid="ignore", divide="ignore"):
        there = np.where(support > 0, 1.0, np.nan)
        precision = np.where(answered > 0, hits / answered, 0.0) * there
        recall = hits / support
        f1 = 2 * hits / (answered + support) * there
    macro = [np.nanmean(values, axis=1) for values in (f1, precision, recall)]
    accuracy = hits.sum(axis=1) / support.sum(axis=1)
    return np.stack([accuracy, *macro], axis=1), np.stack([precision, recall, f1], axis=1)


def _share(value: float, low: float, high: float, groups: int) -> Share:
    """A share of so many groups, with an interval that is never without width.

    Drawing one group again and again says nothing of others. Where all of several groups are right throughout (or
    wrong), every draw is, too; then the groups are taken for single answers (Clopper and Pearson, Biometrika 1934).
    """
    if groups < 2:
        low, high = 0.0, 1.0
    elif low == high == 1:
        low = 0.025 ** (1 / groups)
    elif low == high == 0:
        high = 1 - 0.025 ** (1 / groups)
    return Share(float(value), float(low), float(high))


def _plain(key: str, share: Share | None) -> dict[str, Any]:
    if share is None:
        return {key: None, f"{key}_interval": None}
    return {key: share.value, f"{key}_interval": [share.low, share.high]}
