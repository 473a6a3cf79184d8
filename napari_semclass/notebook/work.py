"""What runs in the background: classifying, and learning the marks; each is handed an event that asks it to stop."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_semclass.annotate.learning import learn_labelled, predicted
from napari_semclass.annotate.suggest import next_tiles
from napari_semclass.classify import Prediction, Settings, classification_steps
from napari_semclass.classify.feature_cache import FeatureCache
from napari_semclass.classify.features import feature_steps
from napari_semclass.learn.quick import QuickResult
from napari_semclass.learn.units import time_text
from napari_semclass.micrograph import Micrograph
from napari_semclass.model import Model
from napari_semclass.notebook.marked import MarkedPlane
from napari_semclass.notebook.tables import BOX, Row

Progress = Callable[[int, int], None]
_EVERY_S = 0.5  # between two drawings of a growing overlay
_AHEAD = 12  # suggestions made at once


@dataclass(frozen=True, eq=False)
class Learned:
    """What learning the marks gave; `suggestions` are the tiles to mark next, best first, as rows."""

    result: QuickResult
    prediction: Prediction
    suggestions: tuple[Row, ...]
    sentence: str


def classify_work(
    micrograph: Micrograph,
    model: Model,
    settings: Settings,
    show: Callable[[Prediction], None],
    progress: Progress,
    stop: threading.Event,
) -> Prediction | None:
    """Classify; what is done is shown now and then, and returned even when it was stopped."""
    step, shown = None, time.monotonic()
    for step in classification_steps(micrograph, model, settings, stop):
        progress(step.done, step.total)
        if time.monotonic() - shown > _EVERY_S and step.done < step.total:
            show(step.prediction)
            shown = time.monotonic()
    return None if step is None else step.prediction


def learn_work(
    plane: MarkedPlane, base: Model, settings: Settings, progress: Progress, stop: threading.Event
) -> Learned | None:
    """Learn the marks of a plane and predict all of its tiles, as the viewer does; None when it was stopped."""
    begun, device = time.perf_counter(), settings.device
    cache = FeatureCache.shared()
    learning = learn_labelled(
        plane.labelled, base, name="quick", title="My marks (quick)", device=device, cache=cache, stop=stop
    )
    while True:
        try:
            looking = next(learning)
            progress(looking.done, looking.total)
        except StopIteration as ended:
            result: QuickResult | None = ended.value
            break
    if result is None:
        return None
    step, tile, windows = None, plane.grid.tile, result.model.card.windows
    laid = plane.grid.laid
    boxes = plane.grid.boxes()[laid]
    for step in feature_steps(
        plane.micrograph, base, boxes, tile=tile, device=device, cache=cache, stop=stop, windows=windows
    ):
        progress(step.done, step.total)
    if step is None or step.done < step.total:
        return None
    prediction = predicted(step.features, plane.grid, plane.micrograph, result.model, settings.reject)
    marked = np.zeros(len(plane.grid), dtype=bool)
    marked[plane.tiles.indices] = True
    chosen = laid[next_tiles(step.features, prediction.probabilities[laid], marked[laid], n=_AHEAD)]
    answers = prediction.probabilities[chosen].argmax(axis=1).tolist()
    suggestions = tuple(
        {**dict(zip(BOX, plane.grid.box(index), strict=True)), "category": prediction.names[answer]}
        for index, answer in zip(chosen.tolist(), answers, strict=True)
    )
    sentence = f"{result.sentence} Learned in {time_text(time.perf_counter() - begun)}."
    return Learned(result, prediction, suggestions, sentence)
