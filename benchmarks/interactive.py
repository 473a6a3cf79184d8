"""How long it takes from a mark to new answers: 200 marked tiles, 2,000 tiles in view, features kept.

    python benchmarks/interactive.py

Prints the median and the largest of 20 rounds of what the Annotate tab does after a mark, except drawing: marks to
tiles, kept features, a new head with its cross-validated figures, probabilities of all tiles, votes, suggestions.
"""

import argparse
import time

import numpy as np

from napari_semclass.annotate import Categories, Marks, Point, Source, collect_tiles, mark_tiles
from napari_semclass.annotate.learning import learn_labelled
from napari_semclass.annotate.suggest import next_tiles
from napari_semclass.classify import Prediction, Settings
from napari_semclass.classify.feature_cache import FeatureCache
from napari_semclass.classify.features import feature_steps
from napari_semclass.classify.prediction import Summary
from napari_semclass.learn.quick import QuickResult, predict
from napari_semclass.micrograph import as_micrographs
from napari_semclass.model import load_model
from napari_semclass.samples import synthetic_mosaic

_ROUNDS, _MARKS = 20, 200


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    pixels, truth = synthetic_mosaic((5000, 5000), seed=2)[:2]
    micrograph = as_micrographs(pixels)[0]
    model, cache = load_model("starter"), FeatureCache(None)
    grid = Settings(stride=111).grid(micrograph, model.card)
    boxes = grid.boxes()
    begun = time.perf_counter()
    for _ in feature_steps(micrograph, model, boxes, tile=grid.tile, cache=cache, windows=True):
        pass
    print(f"{len(boxes):,} tiles looked at once: {time.perf_counter() - begun:.1f} s")
    categories = Categories()
    for name in ("A", "B", "C", "D"):
        categories = categories.add(name)
    middles = (boxes[:, :2] + boxes[:, 2:]) // 2
    kinds = truth[middles[:, 0], middles[:, 1]] % 4 + 1
    chosen = np.random.default_rng(0).permutation(len(boxes))
    seconds = []
    for extra in range(_ROUNDS):
        marked = chosen[: _MARKS + extra]
        points = tuple(Point(int(kinds[i]), *map(float, middles[i])) for i in marked)
        begun = time.perf_counter()
        tiles = mark_tiles(Marks(points=points), grid)
        labelled = collect_tiles([(Source("one", "one", micrograph), tiles)], categories, grid.tile)
        result = _end(learn_labelled(labelled, model, name="quick", title="quick", cache=cache))
        *_, last = feature_steps(micrograph, model, boxes, tile=grid.tile, cache=cache, windows=True)
        probabilities = predict(last.features, result.model)
        prediction = Prediction(probabilities, grid, result.model.card.categories, "one", None, {})
        Summary.of(prediction, prediction.cells())
        next_tiles(last.features, probabilities, np.isin(np.arange(len(boxes)), tiles.indices), n=12)
        seconds.append(time.perf_counter() - begun)
    print(f"{len(labelled):,} marked tiles, {len(boxes):,} in view, from mark to answers:")
    print(f"median {np.median(seconds):.2f} s, largest {max(seconds):.2f} s of {_ROUNDS}")


def _end(steps: "object") -> QuickResult:
    """What a learning returns."""
    while True:
        try:
            next(steps)  # type: ignore[call-overload]  # a generator, whichever
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # StopIteration holds Any


if __name__ == "__main__":
    main()
