"""Before and after: two models judged on the same held-out tiles, where they know the same categories."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_semclass.classify.forward import Forward
from napari_semclass.errors import SettingsError
from napari_semclass.learn.dataset import Picture
from napari_semclass.learn.held_out import HeldOutTiles
from napari_semclass.learn.in_place import answers_to
from napari_semclass.learn.measure import measure
from napari_semclass.learn.metrics import Share, with_interval
from napari_semclass.learn.tiles import Cutting, Samples, cut_samples
from napari_semclass.model import Card, Model
from napari_semclass.names import paired

MOST = 1000  # tiles that both models are asked about
_SMALLEST = 1e-38


@dataclass(frozen=True)
class Comparison:
    """Two models on the same tiles.

    Parameters
    ----------
    before, after : (accuracy, macro-F1)
        Of the earlier model and of the new one; an answer of a category that the tiles do not show is wrong.
    gain : Share or None
        Accuracy after less that before, in [-1, 1], with its interval (bootstrap over groups, the same draws for
        both); None where all tiles are of one group.
    tiles, groups : int
        That both were asked about.
    categories : tuple of str
        That both know.
    """

    before: tuple[Share, Share]
    after: tuple[Share, Share]
    gain: Share | None
    tiles: int
    groups: int
    categories: tuple[str, ...]


def shared_categories(one: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    """Names that are in both, as the first one writes them; their case counts only where it tells two of them apart."""
    known = set(paired(other, one).values())
    return tuple(name for name in one if name in known)


def compare(
    base: Model,
    card: Card,
    tiles: HeldOutTiles,
    *,
    device: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Ask an earlier model about the tiles that a new one was tested on.

    Parameters
    ----------
    base : Model
        The earlier one.
    card : Card
        The new one's, by which the tiles were cut.
    tiles : HeldOutTiles
        With the new model's answers.
    device : str
        As for classifying.
    progress : callable
        Told the number of tiles done and their total.

    Raises
    ------
    SettingsError
        When the models share fewer than two categories with tiles, or no tile can be cut again.
    MicrographError
        When a file can no longer be read.
    """
    shared = shared_categories(tiles.categories, base.card.names)
    labels = [index for index, name in enumerate(tiles.categories) if name in shared]
    kept = np.flatnonzero(np.isin(tiles.labels, labels))
    if len(np.unique(tiles.labels[kept])) < 2:
        unknown = ", ".join(name for name in tiles.categories if name not in shared)
        raise SettingsError(f"“{base.card.title}” does not know {unknown}, so the two cannot be compared.")
    tiles = tiles.at(kept).drawn(MOST)
    pictures, samples, cutting = _cut_again(tiles, base.card, card)
    tiles = tiles.at(samples.pictures)
    nothing = np.zeros(len(samples), dtype=bool)
    logits, _ = answers_to(
        Forward.on(base, device), pictures, samples, cutting, nothing, lambda done: progress(done, len(samples))
    )
    pairs = paired(base.card.names, tiles.categories)
    names = (*tiles.categories, *(name for name in base.card.names if name not in pairs))
    place = [names.index(pairs.get(name, name)) for name in base.card.names]
    before = np.full((len(tiles), len(names)), np.log(_SMALLEST))
    before[:, place] = logits / base.card.temperature
    after = np.full((len(tiles), len(names)), np.log(_SMALLEST))
    after[:, : len(tiles.categories)] = np.log(np.maximum(tiles.probabilities, _SMALLEST))
    return _judged(before, after, tiles, names)


def _cut_again(tiles: HeldOutTiles, base: Card, card: Card) -> tuple[list[Picture], Samples, Cutting]:
    """Each tile as a picture, and the same boxes at the size and with the grey levels that the base model takes.

    Boxes of files with several planes are left out: the table does not say of which plane they are.
    """
    pictures = [
        Picture(path, tiles.categories[label], str(group), box=(y0, x0, y1, x1), grey=grey)
        for path, label, group, (y0, x0, y1, x1), grey in zip(
            tiles.paths, tiles.labels.tolist(), tiles.groups.tolist(), tiles.boxes.tolist(), tiles.grey, strict=True
        )
    ]
    # Tiles in micrometres have pixels of their own on each picture: their boxes are taken as they are.
    unit = "image" if card.tile_um is not None else card.unit
    cutting = Cutting(unit, card.tile, card.tile, base.input_size, base.preprocessing)
    with tempfile.TemporaryDirectory(prefix="semclass-", ignore_cleanup_errors=True) as folder:
        samples = cut_samples(
            pictures,
            range(len(pictures)),
            cutting,
            tiles.groups.tolist(),
            tiles.categories,
            folder=Path(folder),
        )
        single = np.flatnonzero(np.bincount(samples.pictures, minlength=len(pictures)) == 1)
        kept = samples.at(np.flatnonzero(np.isin(samples.pictures, single)))  # no longer in the folder
    if not len(single):
        raise SettingsError("The held-out tiles are of stacks, on which models are not compared.")
    return pictures, kept, cutting


def _judged(
    before: NDArray[np.float64], after: NDArray[np.float64], tiles: HeldOutTiles, names: Sequence[str]
) -> Comparison:
    found = []
    for logits in (before, after):
        scores = measure(logits, tiles.labels, tiles.pictures, tiles.groups, names, unit="tile").scores
        found.append((scores.accuracy, scores.macro_f1))
    gained = (after.argmax(axis=1) == tiles.labels).astype(np.float64)
    gained -= before.argmax(axis=1) == tiles.labels
    groups = len(np.unique(tiles.groups))
    gain = (
        with_interval(lambda chosen: float(gained[chosen].mean()), list(map(str, tiles.groups))) if groups > 1 else None
    )
    categories = tuple(name for index, name in enumerate(tiles.categories) if (tiles.labels == index).any())
    return Comparison(found[0], found[1], gain, len(tiles), groups, categories)
