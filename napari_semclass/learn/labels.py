"""The label audit of a data set: labels that are likely wrong, ranked, and near-duplicates that disagree."""

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_semclass.classify.forward import Forward
from napari_semclass.classify.tables import write_csv
from napari_semclass.errors import ModelError, SettingsError
from napari_semclass.learn.answers import Features, answers_of
from napari_semclass.learn.audit import Audit, audit
from napari_semclass.learn.dataset import DataSet, Picture, name_below
from napari_semclass.learn.doubts import Doubts, doubt_labels
from napari_semclass.learn.measure import averaged
from napari_semclass.learn.metrics import percent
from napari_semclass.learn.tiles import cut_samples, cutting_of
from napari_semclass.model import Model

LABELS_NAME = "labels.csv"
DISAGREEMENT, COPY, NEAR = "confident disagreement", "copy with another label", "near-duplicate with another label"
_COLUMNS = ("path", "y0", "x0", "y1", "x1", "label", "suggested", "confidence", "margin", "reason", "near_duplicate_of")


@dataclass(frozen=True)
class Suspect:
    """A picture (or a box of one) whose label is likely wrong.

    Parameters
    ----------
    picture : Picture
    suggested : str
        Category that it rather is; of copies and near-duplicates the likelier of the other labels.
    confidence : float or None
        Probability of that category; None where the picture could not be judged.
    margin : float or None
        Probability of its label less that of the most likely other category, in [-1, 1]: what the list is ranked by.
    reason : str
        `DISAGREEMENT`, `COPY`, `NEAR`, or two of them joined by "; ".
    alike : tuple of str
        Names of the copies and near-duplicates with another label.
    """

    picture: Picture
    suggested: str
    confidence: float | None
    margin: float | None
    reason: str
    alike: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class LabelCheck:
    """What a label audit found.

    Parameters
    ----------
    dataset : DataSet
    audited : Audit
    suspects : tuple of Suspect
        The most doubtful first; those that could not be judged last.
    judged : int
        Pictures that were judged.
    agreement : float
        Share of them whose label is the most likely category.
    not_judged : tuple of str
        Categories with one group: no classifier that never saw their group knows them.
    """

    dataset: DataSet
    audited: Audit
    suspects: tuple[Suspect, ...]
    judged: int
    agreement: float
    not_judged: tuple[str, ...]

    def sentences(self) -> list[str]:
        """How much was judged, what was found and what cannot be judged."""
        count = len(self.suspects)
        of = Counter(suspect.picture.category for suspect in self.suspects)
        each = ", ".join(f"{number:,} of {name}" for name, number in of.most_common())
        said = [
            f"Labels: {self.judged:,} of {len(self.audited.usable):,} usable pictures judged by classifiers that never "
            f"saw their group, which agree with {percent(self.agreement)} of the labels.",
            f"{count:,} label{' is' if count == 1 else 's are'} likely wrong ({each}); look at each before changing it."
            if count
            else "No label is contradicted confidently.",
        ]
        if self.not_judged:
            said.append(
                f"Cannot be judged, nor be suggested, as all pictures are of one group: {', '.join(self.not_judged)}."
            )
        return said


def check_labels(
    dataset: DataSet,
    model: Model,
    *,
    audited: Audit | None = None,
    device: str = "auto",
    batch: int | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> LabelCheck:
    """Look for wrong labels in a data set.

    Parameters
    ----------
    dataset : DataSet
        Of whole pictures, or of boxes (tiles of annotated micrographs).
    model : Model
        Whose network's features are used; its categories do not matter. Its network must end in one linear classifier.
    audited : Audit, optional
        Of these data; made when it is not given.
    device, batch
        As for classifying.
    progress : callable
        Told what is being done, how much of it is done, and how much there is.

    Raises
    ------
    SettingsError
        When fewer than two categories have two groups.
    ModelError, MicrographError, DeviceError
        A network without a linear classifier; pixels that cannot be read; a device that fails.

    Notes
    -----
    Method and source: `learn.doubts`. Near-duplicates and copies: `learn.duplicates`; copies across categories teach
    nothing, and are listed though nothing else is held against them.
    """
    if audited is None:
        audited = audit(dataset, lambda done, total: progress("checking pictures", done, total))
    alike = _alike(dataset, audited)
    chosen = np.array(sorted({*audited.usable, *alike}), dtype=np.int64)
    if not len(chosen):
        raise SettingsError(f"{dataset.folder}: has no picture that can be used; semclass audit says why.")
    features = picture_features(dataset, chosen, audited, model, device=device, batch=batch, progress=progress)
    labels = np.array([dataset.categories.index(dataset.pictures[index].category) for index in chosen])
    groups = np.array(audited.groups)[chosen]
    progress("comparing labels", 0, 1)
    doubts = doubt_labels(features, labels, groups, learned=np.isin(chosen, audited.usable))
    progress("comparing labels", 1, 1)
    judged = doubts.judged
    return LabelCheck(
        dataset,
        audited,
        tuple(_suspects(dataset, chosen, labels, doubts, alike)),
        int(judged.sum()),
        float(np.mean(doubts.margins[judged] >= 0)),
        tuple(each.name for each in audited.categories if each.groups == 1),
    )


def picture_features(
    dataset: DataSet,
    chosen: NDArray[np.int64],
    audited: Audit,
    model: Model,
    *,
    device: str = "auto",
    batch: int | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Features:
    """Features (chosen, features) of the pictures at these indices: the mean over the tiles that the model looks at."""
    card = model.card
    cutting = cutting_of(card)
    with tempfile.TemporaryDirectory(prefix="semclass-", ignore_cleanup_errors=True) as folder:
        samples = cut_samples(
            dataset.pictures,
            chosen.tolist(),
            cutting,
            audited.groups,
            dataset.categories,
            folder=Path(folder),
            progress=lambda done, total: progress("cutting pictures", done, total),
        )
        _, seen = answers_of(
            Forward.on(model, device, batch),
            samples.pixels,
            np.ones(len(samples), dtype=bool),
            lambda done: progress("looking at tiles", done, len(samples)),
        )
        owners = np.searchsorted(chosen, samples.pictures)
    if seen is None:
        raise ModelError(
            f"model {card.name}: its network does not end in one linear classifier, so labels cannot be checked by it; "
            "choose another model."
        )
    return averaged(seen.astype(np.float64), owners).astype(np.float32)


def save_labels(check: LabelCheck, path: str | Path) -> None:
    """Write the suspects as CSV, ranked; paths are relative to the data set's folder, boxes in level-0 pixels.

    Columns: path, y0, x0, y1, x1 (empty for whole pictures), label, suggested, confidence, margin, reason and
    near_duplicate_of (names, joined by "; "). Text is safe for spreadsheets (see `classify.tables.write_csv`).

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    lines = []
    for suspect in check.suspects:
        picture = suspect.picture
        lines.append(
            (
                name_below(check.dataset.folder, picture.path),
                *(picture.box or (None,) * 4),
                picture.category,
                suspect.suggested,
                suspect.confidence,
                suspect.margin,
                suspect.reason,
                "; ".join(suspect.alike),
            )
        )
    write_csv(path, _COLUMNS, lines)


def _alike(dataset: DataSet, audited: Audit) -> dict[int, tuple[str, tuple[int, ...]]]:
    """For each picture that shows the same as one with another label: why, and which those are."""
    places: dict[str, list[int]] = {}
    for index, picture in enumerate(dataset.pictures):
        places.setdefault(dataset.name(picture), []).append(index)
    found: dict[int, tuple[str, tuple[int, ...]]] = {}
    for reason, sets in ((NEAR, audited.near), (COPY, audited.contradictory)):
        for one in sets:
            members = sorted({index for name in one.pictures for index in places[name]})
            for index in members:
                category = dataset.pictures[index].category
                others = tuple(other for other in members if dataset.pictures[other].category != category)
                if others:
                    found[index] = reason, others
    return found


def _suspects(
    dataset: DataSet,
    chosen: NDArray[np.int64],
    labels: NDArray[np.int64],
    doubts: Doubts,
    alike: dict[int, tuple[str, tuple[int, ...]]],
) -> list[Suspect]:
    found = []
    for place, index in enumerate(chosen.tolist()):
        picture, shares = dataset.pictures[index], doubts.probabilities[place]
        doubted, same = doubts.suggested[place] >= 0, alike.get(index)
        if not doubted and same is None:
            continue
        suggested, reasons = int(doubts.suggested[place]), [DISAGREEMENT] if doubted else []
        others: tuple[int, ...] = ()
        if same is not None:
            reasons.append(same[0])
            others = same[1]
            if not doubted:
                named = sorted({dataset.categories.index(dataset.pictures[other].category) for other in others})
                suggested = max(named, key=lambda label: np.nan_to_num(shares[label]))
        judged = not np.isnan(doubts.margins[place])
        found.append(
            Suspect(
                picture,
                dataset.categories[suggested],
                float(shares[suggested]) if judged else None,
                float(doubts.margins[place]) if judged else None,
                "; ".join(reasons),
                tuple(dataset.name(dataset.pictures[other]) for other in others),
            )
        )
    return sorted(found, key=lambda one: (one.margin is None, one.margin or 0.0))
