"""Splits by group: what belongs together is never on both sides, and where it must be, that is said."""

import csv
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

from napari_semclass.errors import SettingsError
from napari_semclass.learn.dataset import Picture
from napari_semclass.learn.spatial import DROPPED, TRAIN, VALID, Sides, divide_group
from napari_semclass.writing import csv_writer

Indices = NDArray[np.int64]
Split = tuple[Indices, Indices]

_TRIES = 32  # orders in which groups are tried
_GROUPS_TRIED = 20_000  # in all orders together; with more groups the first order comes as near as any
_NEAR_ENOUGH = 0.02  # of the share asked for


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A split of samples into indices to learn from, to validate with, and of neither.

    `notes` are sentences for the user. `optimistic` names categories whose validation samples are from groups that
    are learned from too, so that their scores promise too much; no other category has such samples.
    """

    train: Indices
    valid: Indices
    notes: tuple[str, ...]
    dropped: Indices
    optimistic: tuple[str, ...] = ()


def split_samples(
    labels: Indices,
    groups: Indices,
    files: Indices,
    boxes: Indices,
    share: float,
    seed: int,
    *,
    categories: Sequence[str],
    reach: float = 0.0,
) -> HeldOut:
    """Hold out whole groups, about `share` of the samples of every category.

    A category none of whose groups can be held out, as it would leave nothing to learn it from, is validated with a
    spatially separate part of the pictures of its largest group, or with whole pictures where each holds one sample.

    Parameters
    ----------
    labels, groups, files : array (samples,)
        Index into `categories`; number of the group; number of the file that `boxes` refer to.
    boxes : array (samples, 4)
        `(y0, x0, y1, x1)`, half-open, level-0 pixels.
    share : float
        In (0, 1).
    seed : int
        Equal seeds give equal splits.
    categories : sequence of str
        For the notes.
    reach : float
        How far beyond its edges a sample is learned from, in lengths of it: with a context of 3 tiles, 1.

    Raises
    ------
    SettingsError
        When `share` is out of range or there are no samples.
    """
    if not 0 < share < 1:
        raise SettingsError(f"the share to hold out is {share:g}; it must lie between 0 and 1.")
    if not len(labels):
        raise SettingsError("there are no samples to split.")
    random = np.random.default_rng(seed)
    side = np.where(np.isin(groups, _groups_to_hold_out(labels, groups, share, random)), VALID, TRAIN).astype(np.int8)
    sides = Sides(labels, groups, files, boxes, side)
    needy = np.setdiff1d(labels, labels[side == VALID])
    notes = []
    for label in needy.tolist():
        what = divide_group(sides, label, needy, share, random, reach)
        several = len(np.unique(groups[labels == label])) > 1
        why = f"{categories[label]} has {'no group that can be held out' if several else 'one group'}"
        if what:
            counts = f"{sides.count(label, VALID):,} of {int(np.sum(labels == label)):,}"
            notes.append(f"{why}; its validation tiles ({counts}) are {what}, so its score is optimistic.")
        else:
            notes.append(f"{why} and cannot be divided; nothing validates it, so its score is unknown.")
    optimistic = tuple(categories[label] for label in needy.tolist() if sides.count(label, VALID))
    train, valid, dropped = (np.flatnonzero(side == where) for where in (TRAIN, VALID, DROPPED))
    return HeldOut(train, valid, tuple(notes), dropped, optimistic)


def split_by_parts(parts: Sequence[str], groups: Indices) -> HeldOut:
    """Split as the data set asks for: samples of the part "valid" are held out, all others learned from.

    Samples to learn from whose group is held out too are dropped.

    Raises
    ------
    SettingsError
        When nothing is left to learn from, or nothing is held out.
    """
    held = np.array([part == "valid" for part in parts], dtype=bool)
    straddling = ~held & np.isin(groups, groups[held])
    train = ~held & ~straddling
    if not held.any():
        raise SettingsError("the data set's part for validation holds nothing that can be used.")
    if not train.any():
        raise SettingsError(
            "nothing is left to learn from: every group of the training part is in the validation part as well."
        )
    notes: tuple[str, ...] = ()
    if straddling.any():
        notes = (
            f"{int(straddling.sum()):,} training tiles are left out, as their groups, copies or near-duplicates are "
            "in the validation part.",
        )
    return HeldOut(np.flatnonzero(train), np.flatnonzero(held), notes, np.flatnonzero(straddling))


def fold_samples(labels: Indices, groups: Indices, folds: int, seed: int) -> Indices:
    """Fold number of each sample, (samples,); groups stay whole, categories are spread as evenly as they can be.

    Raises
    ------
    SettingsError
        With fewer than two folds, or fewer groups or samples than folds.
    """
    available = len(np.unique(groups))
    if not 2 <= folds <= available:
        raise SettingsError(f"{folds} folds were asked for; with {available} groups there can be 2 to {available}.")
    numbers = np.zeros(len(labels), dtype=np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    try:
        with warnings.catch_warnings():  # a category with fewer groups than folds is for the audit to report
            warnings.simplefilter("ignore", UserWarning)
            for number, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
                numbers[held_out] = number
    except ValueError as error:
        raise SettingsError(f"{folds} folds were asked for, but every category has fewer samples than that.") from error
    return numbers


def stratified_group_folds(pictures: Sequence[Picture], folds: int, seed: int) -> Indices:
    """Fold number of each picture, (pictures,), as `fold_samples` has them."""
    labels = np.unique([picture.category for picture in pictures], return_inverse=True)[1]
    groups = np.unique([picture.group for picture in pictures], return_inverse=True)[1]
    return fold_samples(labels, groups, folds, seed)


def _groups_to_hold_out(labels: Indices, groups: Indices, share: float, random: np.random.Generator) -> Indices:
    """Groups that together hold about `share` of every category; each category keeps a group to learn from.

    Groups are added and taken back one by one, in random order, as long as that helps; the best of several orders
    is taken.
    """
    names, group = np.unique(groups, return_inverse=True)
    present, label = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(names), len(present)), dtype=np.int64)
    np.add.at(counts, (group, label), 1)
    totals = counts.sum(axis=0)
    free = np.flatnonzero(~(counts == totals).any(axis=1))  # the others hold all there is of a category
    lacking = len(present) + 1.0  # what a category without a held-out group costs: more than any uneven shares

    def cost(held: Indices) -> float:
        if (held == totals).any():
            return np.inf
        return float(((held / totals - share) ** 2).sum() + lacking * (held == 0).sum())

    best, least = np.zeros(0, dtype=np.int64), np.inf
    for _ in range(min(_TRIES, 1 + _GROUPS_TRIED // max(1, len(free)))):
        chosen, held = _improved(counts, random.permutation(free), cost)
        if cost(held) < least:
            best, least = np.flatnonzero(chosen), cost(held)
        if np.abs(held / totals - share).max() <= _NEAR_ENOUGH * share:
            break
    return names[best]


def _improved(counts: Indices, order: Indices, cost: Callable[[Indices], float]) -> tuple[NDArray[np.bool_], Indices]:
    """Which groups to hold out (groups,) and how many samples of each category these have."""
    chosen = np.zeros(len(counts), dtype=bool)
    held = np.zeros(counts.shape[1], dtype=np.int64)
    now, changed = cost(held), True
    while changed:
        changed = False
        for group in order:
            changed_held = held - counts[group] if chosen[group] else held + counts[group]
            if (then := cost(changed_held)) < now:
                chosen[group] = ~chosen[group]
                held, now, changed = changed_held, then, True
    return chosen, held


def write_folds(pictures: Sequence[Picture], folder: Path, numbers: Indices, path: Path) -> None:
    """Write `path,fold` rows, paths relative to `folder`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv_writer(file)
        writer.writerow(["path", "fold"])
        for picture, number in zip(pictures, numbers, strict=True):
            writer.writerow([picture.path.relative_to(folder).as_posix(), int(number)])


def read_folds(pictures: Sequence[Picture], folder: Path, path: Path) -> Indices:
    """Fold number of each picture from a file of `write_folds`.

    Raises
    ------
    SettingsError
        When the file cannot be read or does not name every picture.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        if rows and not {"path", "fold"} <= set(rows[0]):
            raise SettingsError(f"{path}: has no columns path and fold.")
        known = {row["path"]: int(row["fold"]) for row in rows}
        return np.array([known[picture.path.relative_to(folder).as_posix()] for picture in pictures])
    except OSError as error:
        raise SettingsError(f"{path}: the folds cannot be read ({error.strerror}).") from error
    except SettingsError:
        raise
    except (KeyError, ValueError) as error:
        raise SettingsError(f"{path}: gives no fold for {error}; it belongs to other data.") from error


def splits_of_folds(numbers: Indices) -> Iterator[Split]:
    """Training and held-out indices of every fold."""
    for number in np.unique(numbers):
        yield np.flatnonzero(numbers != number), np.flatnonzero(numbers == number)


def leave_one_group_out(pictures: Sequence[Picture]) -> Iterator[Split]:
    """Training and held-out indices with each group held out once."""
    yield from LeaveOneGroupOut().split(pictures, groups=[picture.group for picture in pictures])
