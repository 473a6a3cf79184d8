"""The shortcut check: whether a model reads the data bar, and whether it is as good on pictures of each source.

Captions, scale bars and logos differ between instruments, and instruments between categories: a network that saw them
may tell categories by them and look right on pictures of the same origin (Geirhos et al., Shortcut learning in deep
neural networks, Nature Machine Intelligence 2, 665 (2020)). So the same pictures are asked about with their data bar
masked (as classifying has it), kept, and as the bar alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_semclass.classify.forward import Forward
from napari_semclass.learn.audit import Audit
from napari_semclass.learn.dataset import DataSet
from napari_semclass.learn.in_place import answers_to
from napari_semclass.learn.measure import Scores, averaged, measure
from napari_semclass.learn.metrics import Share, mean_with_interval, percent
from napari_semclass.learn.sources import UNKNOWN, Coincidence
from napari_semclass.learn.tiles import Cutting, Samples, cut_samples

_BRIEF = (
    *("n", "n_groups", "accuracy", "accuracy_interval", "macro_f1", "macro_f1_interval"),
    *("balanced_accuracy", "balanced_accuracy_interval"),
)
_MOST = 500  # pictures that are asked about again; their accuracy is then known to about 4 per cent
_Way = Literal["kept", "alone"]
_WAYS: tuple[_Way, ...] = ("kept", "alone")


@dataclass(frozen=True)
class SourceScore:
    """Share of right answers on the pictures of one source, with its interval over groups."""

    source: str
    images: int
    groups: int
    accuracy: Share


@dataclass(frozen=True, eq=False)
class Bars:
    """The same pictures asked about in three ways.

    Parameters
    ----------
    masked, kept, alone : Scores
        Of pictures (mean over their tiles), bootstrapped by group: data bar left out, kept, and nothing else shown.
    gain : Share
        Accuracy with the bar kept less that with it masked, in [-1, 1], with its interval over groups (the same
        draws for both); from -1 to 1 where there is one group.
    majority : float
        Share of the most frequent category among them: what always answering it would get.
    """

    masked: Scores
    kept: Scores
    alone: Scores
    gain: Share
    majority: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        ways = {"masked": self.masked, "kept": self.kept, "alone": self.alone}
        return {
            **{way: {key: scores.to_json()[key] for key in _BRIEF} for way, scores in ways.items()},
            "kept_minus_masked": self.gain.value,
            "kept_minus_masked_interval": [self.gain.low, self.gain.high],
            "majority_share": self.majority,
        }

    def warnings(self) -> list[str]:
        """Sentences, where the figures show that the model reads the bar."""
        alone, said = self.alone.accuracy, []
        if alone.low > self.majority:
            said.append(
                f"The model reads the data bar: from the bar alone it is right on {percent(alone.value)} of "
                f"{self.alone.n:,} pictures (95 % interval {percent(alone.low)} to {percent(alone.high)}), where the "
                f"most frequent category always answered gets {percent(self.majority)}. Leave data bars out when "
                "classifying, and train with them left out."
            )
        if self.gain.low > 0:
            said.append(
                f"Keeping the data bar makes the model look better by {percent(self.gain.value)} (95 % interval "
                f"{percent(self.gain.low)} to {percent(self.gain.high)}): it uses the bar. Judge it with bars left out."
            )
        return said


@dataclass(frozen=True, eq=False)
class ShortcutCheck:
    """What was found.

    Parameters
    ----------
    images, with_bar, compared : int
        Pictures judged; those of them with a data bar; those asked about again (at most 500, drawn at random).
    bars : Bars or None
        None where no picture has a bar.
    sources : tuple of SourceScore
        The one with most pictures first.
    coincidence : Coincidence
        Of category and source in the whole data set.
    """

    images: int
    with_bar: int
    compared: int
    bars: Bars | None
    sources: tuple[SourceScore, ...]
    coincidence: Coincidence

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `metrics.json` has them under `shortcut_check`."""
        return {
            "n_images": self.images,
            "n_with_bar": self.with_bar,
            "n_compared": self.compared,
            "data_bar": None if self.bars is None else self.bars.to_json(),
            "per_source": {
                one.source: {
                    "n_images": one.images,
                    "n_groups": one.groups,
                    "accuracy": one.accuracy.value,
                    "accuracy_interval": [one.accuracy.low, one.accuracy.high],
                }
                for one in self.sources
            },
            "category_and_source": self.coincidence.to_json(),
            "warnings": self.warnings(),
        }

    def warnings(self) -> list[str]:
        """Sentences that a user must not miss."""
        coincide = self.coincidence.sentence()
        return [*(self.bars.warnings() if self.bars else []), *([coincide] if coincide else [])]

    def sentences(self) -> list[str]:
        """The figures in words: of the data bar, and of sources where there are several."""
        return [self._on_bars(), *self._on_sources()]

    def _on_bars(self) -> str:
        if self.bars is None:
            return "No picture has a data bar, so whether the model reads it is not checked."
        masked, kept, alone = (
            percent(scores.accuracy.value) for scores in (self.bars.masked, self.bars.kept, self.bars.alone)
        )
        of = f"{self.compared:,} of {self.with_bar:,}" if self.compared < self.with_bar else f"{self.compared:,}"
        without = self.images - self.with_bar
        rest = f"; the other {without:,} have none" if without else ""
        return (
            f"Data bar: of {of} pictures with one{rest}, {masked} are right with it masked, {kept} with it kept, "
            f"{alone} from the bar alone (the most frequent category always answered: {percent(self.bars.majority)})."
        )

    def _on_sources(self) -> list[str]:
        if len(self.sources) < 2:
            return []
        worst, best = (pick(self.sources, key=lambda one: one.accuracy.value) for pick in (min, max))
        return [
            f"Over {len(self.sources):,} sources accuracy goes from {percent(worst.accuracy.value)} ({worst.source}, "
            f"{worst.images:,} pictures) to {percent(best.accuracy.value)} ({best.source}, {best.images:,})."
        ]


def check_shortcuts(
    forward: Forward,
    dataset: DataSet,
    audited: Audit,
    samples: Samples,
    owners: NDArray[np.int64],
    logits: NDArray[np.float64],
    cutting: Cutting,
    *,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ShortcutCheck:
    """Ask a model about pictures with data bars again, with the bar and by it alone; and sum up by source.

    Parameters
    ----------
    forward : Forward
    dataset : DataSet
    audited : Audit
        Of these data.
    samples : Samples
        Tiles that were judged, with data bars masked.
    owners : array (tiles,)
        Number of the picture that each is from, counted from 0; boxes of a file can be one picture.
    logits : array (tiles, categories)
        The model's answers to them, unscaled.
    cutting : Cutting
        How the tiles were cut.
    folder : Path
        Where tiles lie for a while when memory is short.
    progress : callable
        Told the number of ways of showing that are done, and their total.
    """
    barred = np.intersect1d(samples.pictures, np.array(audited.barred, dtype=np.int64))
    drawn = barred
    if len(barred) > _MOST:
        drawn = np.sort(np.random.default_rng(0).choice(barred, _MOST, replace=False))
    bars = None
    if len(drawn):
        answers = [_of(np.isin(samples.pictures, drawn), samples, samples.pictures, logits)]
        for number, way in enumerate(_WAYS):
            progress(number, 2)
            answers.append(_asked(forward, dataset, audited, drawn, cutting, way, folder / way))
        progress(2, 2)
        bars = _compared(answers, samples.categories, forward.model.card.temperature)
    return ShortcutCheck(
        images=int(owners.max()) + 1,
        with_bar=len(barred),
        compared=len(drawn),
        bars=bars,
        sources=_by_source(audited, samples, owners, logits, forward.model.card.temperature),
        coincidence=audited.coincidence,
    )


@dataclass(frozen=True, eq=False)
class _Answers:
    """Scores of tiles (tiles, categories) with label, picture and group of each (tiles,)."""

    logits: NDArray[np.float64]
    labels: NDArray[np.int64]
    pictures: NDArray[np.int64]
    groups: NDArray[np.int64]

    def scores(self, categories: tuple[str, ...], temperature: float) -> Scores:
        """Figures of whole pictures."""
        return measure(
            self.logits, self.labels, self.pictures, self.groups, categories, unit="image", temperature=temperature
        ).per_image

    def right(self, temperature: float) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Whether each picture's answer is right, and its group (pictures,), in the order of their numbers."""
        _, first, owner = np.unique(self.pictures, return_index=True, return_inverse=True)
        shares = softmax(self.logits / temperature, axis=1)
        return averaged(shares, owner).argmax(axis=1) == self.labels[first], self.groups[first]


def _of(own: NDArray[np.bool_], samples: Samples, owners: NDArray[np.int64], logits: NDArray[np.float64]) -> _Answers:
    return _Answers(logits[own], samples.labels[own], owners[own], samples.groups[own])


def _asked(
    forward: Forward,
    dataset: DataSet,
    audited: Audit,
    pictures: NDArray[np.int64],
    cutting: Cutting,
    way: _Way,
    folder: Path,
) -> _Answers:
    folder.mkdir()
    names = forward.model.card.names
    shown = replace(cutting, bars=way)
    cut = cut_samples(dataset.pictures, pictures.tolist(), shown, audited.groups, names, folder=folder)
    logits, _ = answers_to(forward, dataset.pictures, cut, shown, np.zeros(len(cut), dtype=bool))
    return _Answers(logits, cut.labels, cut.pictures, cut.groups)


def _compared(answers: list[_Answers], categories: tuple[str, ...], temperature: float) -> Bars:
    masked, kept, alone = (one.scores(categories, temperature) for one in answers)
    (before, groups), (after, _) = (one.right(temperature) for one in answers[:2])
    support = masked.confusion.sum(axis=1)
    gain = mean_with_interval(after.astype(np.float64) - before, groups)
    return Bars(masked, kept, alone, gain, float(support.max() / support.sum()))


def _by_source(
    audited: Audit,
    samples: Samples,
    owners: NDArray[np.int64],
    logits: NDArray[np.float64],
    temperature: float,
) -> tuple[SourceScore, ...]:
    """Accuracy of pictures for each source, most pictures first; a source that is not known comes last."""
    of_tile = np.array([audited.sources[index] for index in samples.pictures])
    found = []
    for source in np.unique(of_tile).tolist():
        own = of_tile == source
        scores = _of(own, samples, owners, logits).scores(samples.categories, temperature)
        found.append(SourceScore(source, scores.n, scores.groups, scores.accuracy))
    return tuple(sorted(found, key=lambda one: (one.source == UNKNOWN, -one.images, one.source)))
