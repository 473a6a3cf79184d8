"""The held-out tiles of a run with the model's answers: a table that the trainer writes and the viewer looks at."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import GreyRange
from napari_semclass.names import path_of_text, text_of_path
from napari_semclass.writing import csv_writer, replacing

MOST = 20_000  # rows; more would be looked at by nobody

_COLUMNS = ("path", "y0", "x0", "y1", "x1", "picture", "group", "grey_low", "grey_high", "category")


@dataclass(frozen=True, eq=False)
class HeldOutTiles:
    """Tiles that were not learned from, and what the model says of them.

    Parameters
    ----------
    paths : tuple of Path, n
        File of each tile.
    boxes : array (n, 4), int64
        `(y0, x0, y1, x1)` in the file's level-0 pixels, half-open.
    pictures, groups : array (n,), int64
        Numbers of the labelled picture and of the group that each is of.
    grey : tuple of (GreyRange or None), n
        Grey levels that became 0 and 1, where the data set gives them.
    labels : array (n,), int64
        The truth, as index into `categories`.
    probabilities : array (n, categories), float64
        Calibrated; each row sums to 1.
    categories : tuple of str
    """

    paths: tuple[Path, ...]
    boxes: NDArray[np.int64]
    pictures: NDArray[np.int64]
    groups: NDArray[np.int64]
    grey: tuple[GreyRange | None, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    categories: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def answers(self) -> NDArray[np.int64]:
        """The most probable category of each tile, (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    def at(self, indices: NDArray[np.int64]) -> "HeldOutTiles":
        """The tiles at these indices."""
        return HeldOutTiles(
            tuple(self.paths[index] for index in indices.tolist()),
            self.boxes[indices],
            self.pictures[indices],
            self.groups[indices],
            tuple(self.grey[index] for index in indices.tolist()),
            self.labels[indices],
            self.probabilities[indices],
            self.categories,
        )

    def drawn(self, most: int) -> "HeldOutTiles":
        """At most so many of them, drawn with a fixed seed, in their order."""
        if len(self) <= most:
            return self
        return self.at(np.sort(np.random.default_rng(0).choice(len(self), most, replace=False)))

    def per_picture(self) -> "HeldOutTiles":
        """One row per picture: the box around its tiles, and the mean of their probabilities."""
        _, first, owner = np.unique(self.pictures, return_index=True, return_inverse=True)
        sums = np.zeros((len(first), len(self.categories)))
        np.add.at(sums, owner, self.probabilities)
        boxes = self.boxes[first]
        np.minimum.at(boxes[:, :2], owner, self.boxes[:, :2])
        np.maximum.at(boxes[:, 2:], owner, self.boxes[:, 2:])
        whole = self.at(first)
        means = sums / np.bincount(owner)[:, None]
        return HeldOutTiles(
            whole.paths, boxes, whole.pictures, whole.groups, whole.grey, whole.labels, means, self.categories
        )

    def mistakes(self) -> NDArray[np.int64]:
        """Indices of the tiles that are taken for something else, the most confident answers first."""
        return self._surest_first(np.flatnonzero(self.answers != self.labels))

    def taken_for(self, truth: int, answer: int) -> NDArray[np.int64]:
        """Indices of the tiles of one category that are taken for another (or the same), most confident first."""
        return self._surest_first(np.flatnonzero((self.labels == truth) & (self.answers == answer)))

    def _surest_first(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        return indices[np.argsort(-self.probabilities[indices].max(axis=1), kind="stable")]


def write_held_out(tiles: HeldOutTiles, path: Path) -> None:
    """Write at most `MOST` of the tiles, drawn at random.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    tiles = tiles.drawn(MOST)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv_writer(file)
        writer.writerow([*_COLUMNS, *tiles.categories])
        for index, shares in enumerate(tiles.probabilities):
            grey = tiles.grey[index]
            writer.writerow(
                [
                    *(text_of_path(tiles.paths[index].absolute()), *tiles.boxes[index].tolist()),
                    *(tiles.pictures[index], tiles.groups[index]),
                    *(("", "") if grey is None else (grey.low, grey.high)),
                    *(tiles.categories[tiles.labels[index]], *(f"{share:.6g}" for share in shares)),
                ]
            )


def read_held_out(path: Path) -> HeldOutTiles:
    """Read what `write_held_out` wrote.

    Raises
    ------
    SettingsError
        When it is not there or not such a table.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        if tuple(header[: len(_COLUMNS)]) != _COLUMNS:
            raise ValueError("other columns")
        return _table(tuple(header[len(_COLUMNS) :]), rows)
    except OSError as error:
        raise SettingsError(f"{path}: the held-out tiles cannot be read ({error.strerror}).") from error
    except (ValueError, IndexError, csv.Error) as error:
        raise SettingsError(f"{path}: is no table of held-out tiles ({error}).") from error


def _table(categories: tuple[str, ...], rows: Sequence[list[str]]) -> HeldOutTiles:
    numbers = np.array([row[1:7] for row in rows], dtype=np.int64).reshape(len(rows), 6)
    columns = len(_COLUMNS)
    return HeldOutTiles(
        tuple(Path(path_of_text(row[0])) for row in rows),
        numbers[:, :4],
        numbers[:, 4],
        numbers[:, 5],
        tuple(GreyRange(float(row[7]), float(row[8])) if row[7] else None for row in rows),
        np.array([categories.index(row[columns - 1]) for row in rows], dtype=np.int64),
        np.array([row[columns:] for row in rows], dtype=np.float64).reshape(len(rows), len(categories)),
        categories,
    )
