"""Evaluation: a model's answers on labelled pictures, judged, with all that tells how far to trust the figures."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_semclass.classify.forward import Forward
from napari_semclass.classify.versions import versions
from napari_semclass.errors import OutputError, SettingsError, brief
from napari_semclass.learn.answers import Features
from napari_semclass.learn.audit import Audit, audit
from napari_semclass.learn.contact_sheet import Mistake, worst
from napari_semclass.learn.dataset import DataSet, data_sha256, name_below, read_dataset
from napari_semclass.learn.in_place import answers_to
from napari_semclass.learn.measure import Metrics, averaged, measure
from napari_semclass.learn.random_split import RandomSplit, random_split_claim
from napari_semclass.learn.shortcut import ShortcutCheck, check_shortcuts
from napari_semclass.learn.tiles import Cutting, Samples, cut_samples, cutting_of
from napari_semclass.model import Card, Model
from napari_semclass.names import confusable, differing, text_of_path

# Called with what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]
_COMPARED = 2000  # tiles or pictures on which splits are compared; more would take minutes
_FEW_GROUPS = 10


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out, and how.

    Parameters
    ----------
    card : Card
        The model's.
    metrics : Metrics
    random_split : RandomSplit or str
        What a random split would have claimed, or why that is not known.
    shortcut : ShortcutCheck
        Whether the model reads the data bar, and how good it is on pictures of each source.
    mistakes : tuple of Mistake
        The worst first.
    warnings : tuple of str
        Why the figures may be better than the model, and what of names in the data was assumed, in sentences.
    notes : tuple of str
        What else to know about the data, in sentences.
    made : mapping
        Model, data, device and versions.
    """

    card: Card
    metrics: Metrics
    random_split: RandomSplit | str
    shortcut: ShortcutCheck
    mistakes: tuple[Mistake, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    made: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `metrics.json` has them."""
        claim = self.random_split
        return {
            **self.metrics.to_json(),
            "random_split": {"skipped": claim} if isinstance(claim, str) else claim.to_json(),
            "shortcut_check": self.shortcut.to_json(),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            **self.made,
        }


def evaluate_model(
    model: Model,
    data: str | Path,
    out: str | Path,
    *,
    device: str = "auto",
    batch: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Evaluation:
    """Let a model answer for every labelled picture in a folder, cut as its card says, and judge the answers.

    Parameters
    ----------
    model : Model
    data : str or Path
        A data set (see `read_dataset`). Where it has parts for training and validation, only the latter is used.
    out : str or Path
        Folder for the results, made when it is not there; tiles lie in it for a while when memory is short.
    device, batch
        As for classifying.
    progress : callable

    Raises
    ------
    SettingsError
        When the data cannot be used or have categories that the model lacks.
    OutputError
        When the folder cannot be written to, which is found before anything is computed.
    """
    card = model.card
    with _scratch(Path(out)) as scratch:
        dataset = read_dataset(data).with_categories_of(card.names)
        _refuse_unknown(dataset, card)
        forward = Forward.on(model, device, batch)
        audited = audit(dataset, lambda done, total: progress("checking pictures", done, total))
        cutting = cutting_of(card)
        samples = _cut(dataset, audited, card, cutting, scratch, progress)
        owners = _owners(dataset, samples)
        units = owners if card.unit == "image" else np.arange(len(samples))
        compared = np.isin(units, _drawn(units))
        logits, features = answers_to(
            forward,
            dataset.pictures,
            samples,
            cutting,
            compared,
            lambda done: progress("classifying tiles", done, len(samples)),
        )
        metrics = measure(
            logits,
            samples.labels,
            owners,
            samples.groups,
            samples.categories,
            unit=card.unit,
            temperature=card.temperature,
        )
        progress("comparing splits", 0, 1)
        claim = _claim(features, units[compared], samples, np.flatnonzero(compared), card.unit)
        progress("comparing splits", 1, 1)
        shortcut = check_shortcuts(
            forward,
            dataset,
            audited,
            samples,
            owners,
            logits,
            cutting,
            folder=scratch,
            progress=lambda done, total: progress("checking data bars", done, total),
        )
        sha256 = data_sha256(dataset.pictures)
        warned = (*_warnings(card, dataset, sha256), *shortcut.warnings(), *dataset.notes)
        return Evaluation(
            card,
            metrics,
            claim,
            shortcut,
            _mistakes(softmax(logits / card.temperature, axis=1), samples, dataset),
            warned,
            (*(text for text in audited.sentences() if text not in warned), *_notes(dataset, metrics, claim, units)),
            _made(model, forward, dataset, sha256),
        )


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """A folder within `out` that goes away; being there proves that `out` can be written to."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        # Windows cannot delete what is still mapped into memory; its clean-up may come later.
        folder = tempfile.TemporaryDirectory(prefix=".tiles", dir=out, ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written to ({error.strerror or brief(error)}).") from error
    with folder as name:
        yield Path(name)


def _refuse_unknown(dataset: DataSet, card: Card) -> None:
    unknown = [name for name in dataset.categories if name not in card.names]
    if unknown:
        alike = map(differing, confusable([*card.names, *unknown]))
        raise SettingsError(
            f"{text_of_path(dataset.folder)}: has categories that the model {card.name} lacks: {', '.join(unknown)}; "
            f"it knows {', '.join(card.names)}{''.join(f'; {text}' for text in alike)}. Leave their pictures out or "
            "rename them."
        )


def _cut(dataset: DataSet, audited: Audit, card: Card, cutting: Cutting, scratch: Path, progress: Progress) -> Samples:
    """The tiles, or crops of whole pictures, that classifying with this model would look at."""
    parted = _is_parted(dataset)
    chosen = [index for index in audited.usable if not parted or dataset.pictures[index].part == "valid"]
    if not chosen:
        raise SettingsError(f"{dataset.folder}: has no picture that can be used; semclass audit says why.")
    return cut_samples(
        dataset.pictures,
        chosen,
        cutting,
        audited.groups,
        card.names,
        folder=scratch,
        progress=lambda done, total: progress("cutting pictures", done, total),
    )


def _is_parted(dataset: DataSet) -> bool:
    return any(picture.part == "valid" for picture in dataset.pictures)


def _owners(dataset: DataSet, samples: Samples) -> NDArray[np.int64]:
    """Number of the picture of each tile: boxes of one category in one file are one picture."""
    keys = [(dataset.pictures[index].path, dataset.pictures[index].category) for index in samples.pictures]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys])


def _drawn(units: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most so many of the units that learning on them is quick, drawn with a fixed seed."""
    every = np.unique(units)
    if len(every) <= _COMPARED:
        return every
    return np.random.default_rng(0).choice(every, _COMPARED, replace=False)


def _claim(
    features: Features | None,
    units: NDArray[np.int64],
    samples: Samples,
    indices: NDArray[np.int64],
    unit: str,
) -> RandomSplit | str:
    if features is None:
        return "What a random split would have claimed is not shown: the model's features cannot be taken."
    _, first, owner = np.unique(units, return_index=True, return_inverse=True)
    mean = averaged(features.astype(np.float64), owner).astype(np.float32)
    labels, groups = samples.labels[indices][first], samples.groups[indices][first]
    return random_split_claim(mean, labels, groups, samples.categories, unit)


def _mistakes(probabilities: NDArray[np.float64], samples: Samples, dataset: DataSet) -> tuple[Mistake, ...]:
    found = []
    for index in worst(probabilities, samples.labels, samples.pictures):
        row, truth = probabilities[index], int(samples.labels[index])
        y0, x0, y1, x1 = samples.boxes[index].tolist()
        found.append(
            Mistake(
                np.array(samples.pixels[index]),  # a copy: the tiles may lie in a file that goes away
                samples.categories[truth],
                samples.categories[int(row.argmax())],
                float(row.max()),
                name_below(dataset.folder, dataset.pictures[int(samples.pictures[index])].path),
                (y0, x0, y1, x1),
            )
        )
    return tuple(found)


def _warnings(card: Card, dataset: DataSet, sha256: str) -> tuple[str, ...]:
    """What the card gives away about having seen these data."""
    if sha256 not in card.provenance and all(test.data_sha256 != sha256 for test in card.tests):
        return ()
    known = f"The model's card names these very data (sha256 {sha256[:12]}…) among those it was made or tested with"
    if _is_parted(dataset):
        return (f"{known}: their validation part may have chosen its weights and its temperature.",)
    return (f"{known}: it may have been trained on these pictures, so this is not an independent test.",)


def _notes(dataset: DataSet, metrics: Metrics, claim: RandomSplit | str, units: NDArray[np.int64]) -> Sequence[str]:
    scores, notes = metrics.scores, []
    if _is_parted(dataset):
        notes.append("The data have parts for training and validation; only the validation part was judged.")
    if scores.groups == 1:
        notes.append("All pictures are one group: how good the model is on others cannot be told.")
    elif scores.groups < _FEW_GROUPS:
        notes.append(f"There are only {scores.groups} groups: the intervals are rough, and rather too narrow.")
    absent = [each.name for each in scores.categories if not each.support]
    if absent:
        notes.append(f"The model knows {', '.join(absent)}, too, which the data lack; macro averages leave them out.")
    if not isinstance(claim, str) and len(np.unique(units)) > _COMPARED:
        notes.append(
            f"Ways to split were compared on {_COMPARED:,} {scores.word}s drawn at random; as neighbours are missing "
            "among them, all of them would show a larger difference."
        )
    notes.append("A card tells only whether it was made with these data as a whole; it cannot tell about a part.")
    return notes


def _made(model: Model, forward: Forward, dataset: DataSet, sha256: str) -> dict[str, Any]:
    card = model.card
    return {
        "model": {"name": card.name, "sha256": model.sha256, "tile": card.tile, "input_size": card.input_size},
        "data": {"name": text_of_path(dataset.folder.resolve().name), "sha256": sha256},
        "device": forward.device_name,
        "precision": forward.precision_name,
        "versions": versions(),
    }
