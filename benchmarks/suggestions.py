"""Whether marking the suggested tile teaches more than marking any tile.

    python benchmarks/suggestions.py --data ../shared/data/materials

Simulates a user who marks one tile after the other, a model being fitted after each: from one tile per category on,
by suggestion or at random, on the specimens of one fold, tested on those of the other (benchmarks/materials_folds.csv).
Prints the macro-F1 after some numbers of marks, and how many marks it takes to reach given values.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from napari_semclass.annotate.suggest import next_tiles
from napari_semclass.classify import Settings
from napari_semclass.classify.feature_cache import FeatureCache
from napari_semclass.classify.features import feature_steps
from napari_semclass.learn.dataset import read_manifest
from napari_semclass.learn.quick import fit_quick, predict
from napari_semclass.learn.split import read_folds
from napari_semclass.micrograph import open_micrographs
from napari_semclass.model import Category, Model, load_model

_MOST, _SHOWN, _WANTED = 60, (15, 30, 60), (0.75, 0.80, 0.85)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the materials pictures")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    model = load_model("starter")
    features, labels, folds, names = _tiles(options.data, model)
    print(f"{len(labels):,} tiles, {len(names)} categories, {options.seeds} seeds x 2 folds")
    curves: dict[str, list[list[float]]] = {"random": [], "suggested": []}
    for seed in range(options.seeds):
        for fold in (0, 1):
            pool, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            for way, found in curves.items():
                found.append(_curve(way, features, labels, pool, test, names, model, seed))
    _show(curves, len(names))


def _tiles(
    folder: Path, model: Model
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
    """Features, labels and folds of all tiles, and the names of the categories."""
    pictures = read_manifest(folder)
    numbers = read_folds(pictures, folder, Path(__file__).with_name("materials_folds.csv"))
    names = tuple(sorted({picture.category for picture in pictures}))
    cache = FeatureCache.shared()
    features, labels, folds = [], [], []
    for picture, number in zip(pictures, numbers, strict=True):
        micrograph = open_micrographs(picture.path)[0]
        grid = Settings().grid(micrograph, model.card)
        *_, last = feature_steps(micrograph, model, grid.boxes(), tile=grid.tile, cache=cache)
        features.append(last.features)
        labels += [names.index(picture.category)] * len(grid)
        folds += [int(number)] * len(grid)
    return np.concatenate(features), np.array(labels), np.array(folds), names


def _curve(
    way: str,
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    pool: NDArray[np.int64],
    test: NDArray[np.int64],
    names: tuple[str, ...],
    model: Model,
    seed: int,
) -> list[float]:
    """Macro-F1 on the test tiles after each mark."""
    random = np.random.default_rng(seed)
    marked = [int(random.choice(pool[labels[pool] == label])) for label in range(len(names))]
    categories = [Category(name, "#808080") for name in names]
    curve: list[float] = []
    while True:
        own = np.array(marked)
        nothing = np.zeros(len(own), dtype=np.int64)
        result = fit_quick(
            features[own], labels[own], nothing, nothing, categories, model,
            tile=model.card.tile, name="m", title="m", tested="not tested", testable=False,
        )  # fmt: skip
        answers = predict(features[test], result.model).argmax(axis=1)
        curve.append(float(f1_score(labels[test], answers, average="macro")))
        if len(marked) == _MOST:
            return curve
        is_marked = np.isin(pool, own)
        if way == "random":
            marked.append(int(random.choice(pool[~is_marked])))
        else:
            chosen = next_tiles(features[pool], predict(features[pool], result.model), is_marked)
            marked.append(int(pool[chosen[0]] if len(chosen) else random.choice(pool[~is_marked])))


def _show(curves: dict[str, list[list[float]]], first: int) -> None:
    marks = np.arange(first, _MOST + 1)
    plain = np.array(curves["random"])
    for way, found in curves.items():
        table = np.array(found)
        after = "  ".join(f"{n}: {table[:, n - first].mean():.3f}" for n in _SHOWN)
        print(f"{way:10} macro-F1 after marks  {after}")
        for wanted in _WANTED:
            needed = [int(marks[np.argmax(c >= wanted)]) if (c >= wanted).any() else _MOST + 1 for c in table]
            low, middle, high = np.percentile(needed, [5, 50, 95])
            most = f"more than {_MOST}" if high > _MOST else f"{high:.0f}"
            print(f"           {wanted:.2f} needs {middle:.0f} marks (5 to 95 % of runs: {low:.0f} to {most})")
    difference = np.array(curves["suggested"]).mean(axis=1) - plain.mean(axis=1)
    better = int((difference > 0).sum())
    spread = difference.std(ddof=1) / np.sqrt(len(difference))
    print(
        f"suggested - random, mean over all numbers of marks: {difference.mean():+.3f} (standard error {spread:.3f}), "
    )
    print(f"better in {better} of {len(difference)} runs")


if __name__ == "__main__":
    main()
