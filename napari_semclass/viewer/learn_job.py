"""From marks to an overlay, in the background: count, look at the tiles, fit, predict, and say what to mark next."""

import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from napari_semclass.annotate.categories import Categories
from napari_semclass.annotate.collect import LabelledTiles, Source, collect_tiles
from napari_semclass.annotate.tiles import MarkedTiles, mark_tiles
from napari_semclass.classify.grid import TileGrid
from napari_semclass.classify.prediction import Prediction
from napari_semclass.classify.settings import Settings
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import Micrograph
from napari_semclass.model.card import Card, Category
from napari_semclass.viewer.classify_job import Drawing, Update
from napari_semclass.viewer.layers import Target
from napari_semclass.viewer.mark_snapshot import Snapshot

if TYPE_CHECKING:
    from napari_semclass.classify.feature_cache import FeatureCache
    from napari_semclass.learn.quick import QuickResult
    from napari_semclass.model import Model

QUICK = "quick"
_TITLE = "My marks (quick)"
_AHEAD = 12  # suggestions made at once


@dataclass(frozen=True, eq=False)
class Wish:
    """What to do with which marks.

    `snapshots` are of all images with marks, `view` what to predict on; `folder` is where the model is kept.
    """

    snapshots: tuple[Snapshot, ...]
    view: tuple[Target, ...]
    categories: Categories
    base: str
    card: Card
    settings: Settings
    specimens: dict[str, str]
    folder: Path
    learn: Literal["no", "if possible", "now"]


@dataclass(frozen=True, eq=False)
class Counted:
    """The tiles that the marks give, and the grids of all images concerned by the image's id, one per plane."""

    labelled: LabelledTiles
    grids: dict[str, list[TileGrid]]


@dataclass(frozen=True)
class Looked:
    """How many of the tiles the network has looked at."""

    done: int
    total: int


@dataclass(frozen=True, eq=False)
class Learned:
    """The model that was fitted, its file, and how long it took from the marks on, in seconds."""

    result: "QuickResult"
    path: Path
    seconds: float


@dataclass(frozen=True, eq=False)
class Suggestion:
    """A tile to mark next, and the index of the category that the model gives it."""

    target: Target
    plane: int
    box: tuple[int, int, int, int]
    category: int


@dataclass
class LearnMemory:
    """What is kept from one learning to the next, so that only what is new is computed."""

    _model: "tuple[str, float, Model] | None" = None
    _cache: "FeatureCache | None" = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def model(self, name: str) -> "Model":
        """The base model, loaded once while its file does not change."""
        from napari_semclass.model.store import load_model

        with self._lock:
            path = Path(name)
            changed = path.stat().st_mtime if path.is_file() else 0.0
            if self._model is None or self._model[:2] != (name, changed):
                self._model = (name, changed, load_model(name))
            return self._model[2]

    def cache(self) -> "FeatureCache":
        """The cache of features."""
        from napari_semclass.classify.feature_cache import FeatureCache, cache_folder

        with self._lock:
            if self._cache is None:
                self._cache = FeatureCache(cache_folder())
            return self._cache


News = Counted | Looked | Learned | Update | tuple[Suggestion, ...]


def learn_job(wish: Wish, memory: LearnMemory, stop: threading.Event) -> Generator[News, None, None]:
    """Count the marked tiles; if wished, learn them, predict what is in view and suggest what to mark next."""
    begun = time.perf_counter()
    settings = replace(wish.settings, mode="tiles")
    grids: dict[str, list[TileGrid]] = {}
    for target in (*(one.target for one in wish.snapshots), *wish.view):
        if target.id not in grids:
            grids[target.id] = [settings.grid(m, wish.card) for m in target.micrographs]
    marked = [pair for one in wish.snapshots for pair in _marked(one, grids[one.target.id], wish)]
    labelled = collect_tiles(marked, wish.categories, settings.tile or wish.card.tile)
    yield Counted(labelled, grids)
    if wish.learn == "no" or stop.is_set():
        return
    if len(labelled.used) < 2:
        if wish.learn == "if possible":
            return
        raise SettingsError(f"There is nothing to learn yet. {labelled.needs()}")
    work = _Learning(wish, memory, settings, stop)
    parts: list[NDArray[np.float32]] = []
    for index, source in enumerate(labelled.sources):
        own = labelled.boxes[labelled.source_index == index]
        part = yield from work.features(source.micrograph, own, labelled.tile)
        if part is None:
            return
        parts.append(part)
    result = work.fit(np.concatenate(parts), labelled)
    yield from work.predict(result, grids, marked, labelled.tile)
    if not stop.is_set():
        seconds = time.perf_counter() - begun
        yield Learned(result, work.keep(result), seconds)


def _marked(one: Snapshot, grids: list[TileGrid], wish: Wish) -> list[tuple[Source, MarkedTiles]]:
    target = one.target
    path = target.layer.source.path
    found = []
    for plane, marks in enumerate(one.marks()):
        tiles = mark_tiles(marks, grids[plane])
        if len(tiles) or tiles.mixed or tiles.unused:
            source = Source(
                target.id,
                target.name,
                target.micrographs[plane],
                Path(path) if path else None,
                plane,
                wish.specimens.get(target.id, ""),
            )
            found.append((source, tiles))
    return found


class _Learning:
    """The steps of learning, with what they share."""

    def __init__(self, wish: Wish, memory: LearnMemory, settings: Settings, stop: threading.Event) -> None:
        self._wish, self._settings, self._stop = wish, settings, stop
        self._base, self._cache = memory.model(wish.base), memory.cache()

    def features(
        self, micrograph: Micrograph, boxes: NDArray[np.int64], tile: int
    ) -> Generator[Looked, None, NDArray[np.float32] | None]:
        """Features of boxes; None when it was stopped before they were complete."""
        from napari_semclass.classify.features import feature_steps

        step = None
        steps = feature_steps(
            micrograph,
            self._base,
            boxes,
            tile=tile,
            device=self._settings.device,
            cache=self._cache,
            stop=self._stop,
        )
        for step in steps:
            yield Looked(step.done, step.total)
        if self._stop.is_set() or step is None or step.done < step.total:
            return None
        return step.features

    def fit(self, features: NDArray[np.float32], labelled: LabelledTiles) -> "QuickResult":
        """Fit the model."""
        from napari_semclass.learn.quick import fit_quick

        grouping = labelled.grouping
        return fit_quick(
            features,
            labelled.labels,
            grouping.groups,
            labelled.source_index,
            [Category(item.name, item.color) for item in labelled.used],
            self._base,
            tile=labelled.tile,
            name=QUICK,
            title=_TITLE,
            tested=grouping.sentence,
            testable=grouping.level != "none",
        )

    def keep(self, result: "QuickResult") -> Path:
        """Write the model beside the marks, so that the Classify tab and the command line can use it."""
        from napari_semclass.model import save_model

        path = self._wish.folder / f"{QUICK}.safetensors"
        self._wish.folder.mkdir(parents=True, exist_ok=True)
        save_model(result.model.network, result.model.card, path, half=False)
        return path

    def predict(
        self,
        result: "QuickResult",
        grids: dict[str, list[TileGrid]],
        marked: list[tuple[Source, MarkedTiles]],
        tile: int,
    ) -> Generator[Update | Looked | tuple[Suggestion, ...], None, None]:
        """Predict everything in view and draw it; then suggest."""
        from napari_semclass.annotate.suggest import next_tiles
        from napari_semclass.learn.quick import predict

        places: list[tuple[Target, int, TileGrid]] = []
        seen: list[NDArray[np.float32]] = []
        for target in self._wish.view:
            drawing = Drawing(target)
            for plane, micrograph in enumerate(target.micrographs):
                grid = grids[target.id][plane]
                features = yield from self.features(micrograph, grid.boxes(), tile)
                if features is None:
                    return
                probabilities = predict(features, result.model)
                drawing.predictions[plane] = Prediction(
                    probabilities,
                    grid,
                    result.model.card.categories,
                    micrograph.name,
                    micrograph.pixel_size,
                    {"model": {"name": QUICK, "sha256": result.model.sha256}},
                )
                drawing.finish(plane)
                places.append((target, plane, grid))
                seen.append(features)
            yield drawing.update(None, 1, 1, 1.0)
        labelled = np.zeros(sum(map(len, seen)), dtype=bool)
        starts = np.cumsum([0, *map(len, seen)])
        for source, tiles in marked:
            for place, start in zip(places, starts, strict=False):
                if (place[0].id, place[1]) == (source.id, source.plane):
                    labelled[start + tiles.indices] = True
        features = np.concatenate(seen)
        probabilities = predict(features, result.model)
        chosen = next_tiles(features, probabilities, labelled, n=_AHEAD)
        yield tuple(self._suggestion(int(index), starts, places, probabilities) for index in chosen)

    @staticmethod
    def _suggestion(
        index: int,
        starts: NDArray[np.int64],
        places: list[tuple[Target, int, TileGrid]],
        probabilities: NDArray[np.float32],
    ) -> Suggestion:
        which = int(np.searchsorted(starts, index, side="right")) - 1
        target, plane, grid = places[which]
        return Suggestion(target, plane, grid.box(index - int(starts[which])), int(probabilities[index].argmax()))
