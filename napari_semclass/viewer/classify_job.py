"""What the classify button starts: everything slow, run in the background, told in small updates."""

import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import numpy as np
from napari.layers import Labels

from napari_semclass.classify.layers import LayerData, label_pixels, score_data, tile_points
from napari_semclass.classify.prediction import Cells, Prediction, Summary
from napari_semclass.classify.rejection import Rejection
from napari_semclass.classify.scale import scale_note
from napari_semclass.classify.settings import Settings
from napari_semclass.errors import SemclassError
from napari_semclass.micrograph import Micrograph
from napari_semclass.model.card import Card
from napari_semclass.viewer.layers import Overlay, Target
from napari_semclass.viewer.tempo import Tempo


@dataclass(frozen=True, eq=False)
class Update:
    """How far a run is. `data` are the labels to show for `target`; None when nothing new is to be drawn."""

    done: int
    total: int
    rate: float
    target: Target | None = None
    predictions: tuple[Prediction | None, ...] = ()
    summaries: tuple[Summary | None, ...] = ()
    data: Any = None
    problem: str = ""

    def overlay(self, target: Target, colors: Mapping[str, str], model: str) -> Overlay:
        """What to draw of a target, in these colours, as the result of a model (name or path)."""
        return Overlay(target, self.predictions, self.summaries, self.data, colors, model)


def classify_job(
    targets: Sequence[Target], model_name: str, settings: Settings, tempo: Tempo, stop: threading.Event
) -> Generator[Update, None, None]:
    """Classify targets one after the other; a problem with one does not stop the rest.

    `tempo` says how often to draw.
    """
    from napari_semclass.classify.engine import classification_steps
    from napari_semclass.model.store import load_model

    model = load_model(model_name)
    total = sum(count_tiles(target.micrographs, settings, model.card, stop) for target in targets)
    alike = sum(len(target.micrographs) for target in targets)
    before = 0
    begun = time.perf_counter()

    def rate(finished: int) -> float:
        return finished / (time.perf_counter() - begun)

    for target in targets:
        drawing = Drawing(target, tempo)
        predictions = drawing.predictions
        for plane, micrograph in enumerate(target.micrographs):
            if stop.is_set():
                break
            done = 0
            try:
                for step in classification_steps(micrograph, model, settings, stop, alike=alike):
                    done, predictions[plane] = step.done, step.prediction
                    finished = before + done
                    if drawing.is_due() and done < step.total:
                        yield from drawing.shown(plane, finished, total, rate(finished), stop)
                    else:
                        yield Update(finished, total, rate(finished))
            except SemclassError as error:
                yield Update(before + done, total, rate(before + done), problem=str(error))
            before += done
            drawing.finish(plane)
        if any(prediction is not None for prediction in predictions):
            yield from drawing.shown(None, before, total, rate(before), stop)


@dataclass(frozen=True, eq=False)
class Redrawn:
    """What a result layer shows under another rule for what is unknown."""

    labels: Labels
    predictions: tuple[Prediction | None, ...]
    summaries: tuple[Summary | None, ...]
    data: Any


def reject_job(
    shown: Sequence[tuple[Labels, Sequence[Prediction | None], tuple[int, ...]]],
    rejection: Rejection | None,
    stop: threading.Event,
) -> Generator[Redrawn, None, None]:
    """Yield every result layer's labels under this rule; `shown` has its predictions and its leading axes."""
    for labels, before, leading in shown:
        if stop.is_set():
            return
        predictions = tuple(None if one is None else one.rejecting(rejection) for one in before)
        cells = [None if one is None else one.cells() for one in predictions]
        summaries = tuple(
            None if one is None or on is None else Summary.of(one, on)
            for one, on in zip(predictions, cells, strict=True)
        )
        first = next(one for one in predictions if one is not None)
        data = label_pixels(cells, first.grid.shape, leading, len(first.answers))
        yield Redrawn(labels, predictions, summaries, data)


def count_tiles(micrographs: Sequence[Micrograph], settings: Settings, card: Card, stop: threading.Event) -> int:
    """Tiles that settings lay on these micrographs; reads pixels to find data bars, so not for the GUI thread."""
    total = 0
    for micrograph in micrographs:
        if stop.is_set():
            break
        # What cannot be read counts nothing here; classifying it says what is wrong.
        with suppress(SemclassError):
            total += len(settings.grid(micrograph, card).laid)
    return total


def estimate_job(
    targets: Sequence[Target], card: Card, settings: Settings, stop: threading.Event
) -> Generator[tuple[int, str], None, None]:
    """Yield the number of tiles of all targets, and what to know of their scale, for the line above the button."""
    tiles = sum(count_tiles(target.micrographs, settings, card, stop) for target in targets if not stop.is_set())
    yield tiles, next(filter(None, (scale_caution(target, settings, card) for target in targets)), "")


def scale_caution(target: Target, settings: Settings, card: Card) -> str:
    """Why the model may not know the scale of an image, or why tiles cannot be laid on it; empty when all is well."""
    first = target.micrographs[0]
    try:
        side = min(first.shape) if settings.mode == "whole" else settings.sides(first, card)[0]
    except SemclassError as error:
        return str(error)
    note = scale_note(first.pixel_size, side, card)
    return f"{target.name} is {note}." if note else ""


def models_job(stop: threading.Event) -> Generator[Any, None, None]:
    """Yield the cards of all models, then their measured speed in tiles per second on the automatic device."""
    from napari_semclass.model.store import available_models

    cards: Mapping[str, Card] = available_models()
    yield cards
    # What napari's first Labels layer and the first learning load, a second that would otherwise hold the GUI thread.
    # Only modules: making a layer here would race with the GUI thread for pint's registry of units.
    # dask loads distributed, where that is installed, to show the first part of a large overlay.
    for module in ("pandas", "skimage.color.colorconv", "skimage.draw", "distributed", "napari_semclass.learn.quick"):
        with suppress(ImportError):
            import_module(module)
    prepare_colors()
    if "starter" in cards and not stop.is_set():
        yield _speed("starter")


def prepare_colors() -> None:
    """Have ready, before the GUI thread needs it, what numba compiles and vispy computes for a first layer of labels.

    Only the table of colours: napari's loop over the labels is parallel, which not every numba allows in two threads.
    """
    with suppress(ImportError):  # napari does without numba
        from numba import typed, types

        table = typed.Dict.empty(key_type=types.uint8, value_type=types.uint8)
        table[np.uint8(1)] = np.uint8(1)
    with suppress(ImportError):  # a table of dashes, kept by vispy, for the outline that no overlay shows
        from vispy.visuals.line.dash_atlas import DashAtlas

        DashAtlas()


def _speed(model_name: str) -> tuple[str, float]:
    """Device in words, and tiles per second of a short trial."""
    from napari_semclass.classify.forward import Forward
    from napari_semclass.model.store import load_model

    model = load_model(model_name)
    forward = Forward.on(model)
    tiles = np.zeros((forward.batch, model.card.tile, model.card.tile), dtype=np.float32)
    forward(tiles)  # the first pass prepares kernels and buffers
    begun = time.perf_counter()
    forward(tiles)
    return forward.device_name, forward.batch / (time.perf_counter() - begun)


class Drawing:
    """The overlay of one target as it grows; what finished planes say is computed once."""

    def __init__(self, target: Target, tempo: Tempo | None = None) -> None:
        self._target = target
        self._tempo = tempo or Tempo()
        self.predictions: list[Prediction | None] = [None] * len(target.micrographs)
        self._cells: list[Cells | None] = [None] * len(target.micrographs)
        self._summaries: list[Summary | None] = [None] * len(target.micrographs)
        self._drawn = time.perf_counter()
        self._pause = 0.0
        self._is_new = True

    def is_due(self) -> bool:
        """Whether it is time for another update."""
        return time.perf_counter() - self._drawn > max(self._pause, self._tempo.pause)

    def finish(self, plane: int) -> None:
        """Take what is now known of a plane."""
        prediction = self.predictions[plane]
        if prediction is not None:
            cells = self._cells[plane] = prediction.cells()
            self._summaries[plane] = Summary.of(prediction, cells)

    def shown(
        self, plane: int | None, done: int, total: int, rate: float, stop: threading.Event
    ) -> Generator[Update, None, None]:
        """Yield what to show now, and wait until the first of a target, which needs a new layer, is in the viewer."""
        first, self._is_new = self._is_new, False
        if first:
            self._tempo.expect()
        yield self.update(plane, done, total, rate)
        if first:
            self._tempo.rest(stop)

    def update(self, plane: int | None, done: int, total: int, rate: float) -> Update:
        """What to show now; `plane` is the one that changed since the last time."""
        begun = time.perf_counter()
        if plane is not None:
            self.finish(plane)
        first = next(p for p in self.predictions if p is not None)
        data = label_pixels(self._cells, first.grid.shape, self._target.leading, len(first.answers))
        self._drawn = time.perf_counter()
        # Large stacks take long to draw: never more than a tenth of the time goes into it.
        self._pause = 10 * (self._drawn - begun)
        return Update(done, total, rate, self._target, tuple(self.predictions), tuple(self._summaries), data)


def score_job(
    predictions: Sequence[Prediction | None],
    leading: tuple[int, ...],
    category: int | Literal["tiles"] | None,
    stop: threading.Event,
) -> Generator[LayerData, None, None]:
    """Yield the Image layer of a category's probability, or of the confidence for None; for "tiles" one of Points."""
    if category == "tiles":
        yield tile_points(predictions, leading)
        return
    yield score_data(predictions, leading, category)
