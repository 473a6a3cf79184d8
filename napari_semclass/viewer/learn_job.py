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
from napari_semclass.annotate.imported import ExampleReader
from napari_semclass.annotate.learning import Looking, learn_labelled, predicted
from napari_semclass.annotate.tiles import MarkedTiles, mark_tiles
from napari_semclass.classify.grid import TileGrid
from napari_semclass.classify.settings import Settings
from napari_semclass.model.card import Card
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
    `imported` are folders of labelled pictures to learn from as well, and `reader` keeps what is in them.
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
    imported: tuple[str, ...] = ()
    reader: ExampleReader = field(default_factory=ExampleReader)


@dataclass(frozen=True, eq=False)
class Counted:
    """The tiles that the marks give, and the grids of all images concerned by the image's id, one per plane.

    `labelled` are the tiles to learn from, imported examples included; `marked` those marked here.
    """

    labelled: LabelledTiles
    marked: LabelledTiles
    grids: dict[str, list[TileGrid]]


@dataclass(frozen=True, eq=False)
class Learned:
    """The model that was fitted, its file, and how long it took from the marks on, in seconds."""

    result: "QuickResult"
    path: Path
    seconds: float


@dataclass(frozen=True, eq=False)
class Suggestion:
    """A tile to mark next, and the name of the category that the model gives it."""

    target: Target
    plane: int
    box: tuple[int, int, int, int]
    category: str


News = Counted | Looking | Learned | Update | tuple[Suggestion, ...]


def learn_job(wish: Wish, stop: threading.Event) -> Generator[News, None, None]:
    """Count the marked tiles; if wished, learn them, predict what is in view and suggest what to mark next."""
    from napari_semclass.classify.feature_cache import FeatureCache
    from napari_semclass.model.store import load_model

    begun = time.perf_counter()
    settings = replace(wish.settings, mode="tiles")
    grids: dict[str, list[TileGrid]] = {}
    for target in (*(one.target for one in wish.snapshots), *wish.view):
        if target.id not in grids:
            grids[target.id] = [settings.grid(m, wish.card) for m in target.micrographs]
    marked = [pair for one in wish.snapshots for pair in _marked(one, grids[one.target.id], wish)]
    tile, tile_um = settings.tile or wish.card.tile, settings.tile_length(wish.card)
    own = labelled = collect_tiles(marked, wish.categories, tile, tile_um=tile_um)
    if not wish.reader.is_ready(wish.imported, wish.card, tile, tile_um):
        yield Counted(own, own, grids)
        yield Looking(0, 1)
    examples = wish.reader.read(wish.imported, wish.card, tile, tile_um)
    if examples is not None:
        labelled = collect_tiles(marked, wish.categories, tile, examples, tile_um=tile_um)
    yield Counted(labelled, own, grids)
    if wish.learn == "no" or stop.is_set():
        return
    if wish.learn == "if possible" and len(labelled.used) < 2:
        return
    base, cache, device = load_model(wish.base), FeatureCache.shared(), settings.device
    learning = learn_labelled(labelled, base, name=QUICK, title=_TITLE, device=device, cache=cache, stop=stop)
    result = yield from learning
    if result is None:
        return
    yield from _predict(wish, result, base, cache, grids, marked, stop)
    if not stop.is_set():
        seconds = time.perf_counter() - begun
        yield Learned(result, _keep(result, wish.folder), seconds)


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
                tile=grids[plane].tile,
                stride=grids[plane].stride,
            )
            found.append((source, tiles))
    return found


def _keep(result: "QuickResult", folder: Path) -> Path:
    """Write the model beside the marks, so that the Classify tab and the command line can use it."""
    from napari_semclass.model import save_model

    path = folder / f"{QUICK}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    save_model(result.model.network, result.model.card, path, half=False, familiar=result.model.familiar)
    return path


@dataclass(frozen=True, eq=False)
class _Place:
    """A plane in view with its grid, and where its laid tiles begin among those of all planes."""

    target: Target
    plane: int
    grid: TileGrid
    start: int


def _predict(
    wish: Wish,
    result: "QuickResult",
    base: "Model",
    cache: "FeatureCache",
    grids: dict[str, list[TileGrid]],
    marked: list[tuple[Source, MarkedTiles]],
    stop: threading.Event,
) -> Generator[Update | Looking | tuple[Suggestion, ...], None, None]:
    """Predict everything in view and draw it; then suggest what to mark next."""
    from napari_semclass.classify.features import feature_steps

    device, windows = wish.settings.device, result.model.card.windows
    places: list[_Place] = []
    seen: list[NDArray[np.float32]] = []
    for target in wish.view:
        drawing = Drawing(target)
        for plane, micrograph in enumerate(target.micrographs):
            grid = grids[target.id][plane]
            if not len(grid.laid):  # a plane without data
                continue
            step, boxes = None, grid.boxes()[grid.laid]
            looks = feature_steps(
                micrograph, base, boxes, tile=grid.tile, device=device, cache=cache, stop=stop, windows=windows
            )
            for step in looks:
                yield Looking(step.done, step.total)
            if step is None or step.done < step.total:
                return
            drawing.predictions[plane] = predicted(step.features, grid, micrograph, result.model, wish.settings.reject)
            drawing.finish(plane)
            places.append(_Place(target, plane, grid, sum(map(len, seen))))
            seen.append(step.features)
        yield drawing.update(None, 1, 1, 1.0)
    if seen:
        yield _suggestions(places, np.concatenate(seen), result, marked)


def _suggestions(
    places: list[_Place],
    features: NDArray[np.float32],
    result: "QuickResult",
    marked: list[tuple[Source, MarkedTiles]],
) -> tuple[Suggestion, ...]:
    from napari_semclass.annotate.suggest import next_tiles
    from napari_semclass.learn.quick import predict

    labelled = np.zeros(len(features), dtype=bool)
    for source, tiles in marked:
        for place in places:
            if (place.target.id, place.plane) == (source.id, source.plane):
                labelled[place.start + np.searchsorted(place.grid.laid, tiles.indices)] = True
    probabilities = predict(features, result.model)
    found = []
    for index in next_tiles(features, probabilities, labelled, n=_AHEAD).tolist():
        place = next(one for one in reversed(places) if one.start <= index)
        box = place.grid.box(int(place.grid.laid[index - place.start]))
        name = result.model.card.names[int(probabilities[index].argmax())]
        found.append(Suggestion(place.target, place.plane, box, name))
    return tuple(found)
