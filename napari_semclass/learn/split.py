"""Splits by group: what belongs together is never on both sides."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

from napari_semclass.errors import SettingsError
from napari_semclass.learn.dataset import Picture

Split = tuple[NDArray[np.int64], NDArray[np.int64]]


def stratified_group_folds(pictures: Sequence[Picture], folds: int, seed: int) -> NDArray[np.int64]:
    """Fold number of each picture, (pictures,); groups stay whole, categories are spread as evenly as they can be."""
    labels = [picture.category for picture in pictures]
    groups = [picture.group for picture in pictures]
    numbers = np.zeros(len(pictures), dtype=np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
        numbers[held_out] = number
    return numbers


def write_folds(pictures: Sequence[Picture], folder: Path, numbers: NDArray[np.int64], path: Path) -> None:
    """Write `path,fold` rows, paths relative to `folder`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "fold"])
        for picture, number in zip(pictures, numbers, strict=True):
            writer.writerow([picture.path.relative_to(folder).as_posix(), int(number)])


def read_folds(pictures: Sequence[Picture], folder: Path, path: Path) -> NDArray[np.int64]:
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


def splits_of_folds(numbers: NDArray[np.int64]) -> Iterator[Split]:
    """Training and held-out indices of every fold."""
    for number in np.unique(numbers):
        yield np.flatnonzero(numbers != number), np.flatnonzero(numbers == number)


def leave_one_group_out(pictures: Sequence[Picture]) -> Iterator[Split]:
    """Training and held-out indices with each group held out once."""
    yield from LeaveOneGroupOut().split(pictures, groups=[picture.group for picture in pictures])
