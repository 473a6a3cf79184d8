"""Overlapping tiles, through the engine: windows of one feature map against tiles one by one, how fast and how good.

    python benchmarks/overlap.py --data ../shared/data/materials --out RESULTS
    python benchmarks/overlap.py --large 4096 [--runtime openvino]

Tiles of 224 px of real micrographs, the starter's frozen network, stratified group 2-fold (benchmarks/
materials_folds.csv). On the same tiles of one fold, `fit_quick` fits two models: one on features of each tile by
itself, one on windows, which are averages over the tiles' places of the feature map of the whole micrograph.
`classify_micrograph` asks both about every picture of the other fold. The heads are also asked about the other kind of
features, which the engine never does. Features are kept in RESULTS; about twelve processor minutes. The speed is that
of `classify_micrograph` at a stride of a quarter tile, in processor time: of pictures drawn for it, once with each
model, interleaved. With --large, only the speed, on a generated micrograph of so many pixels a side, at strides of a
quarter tile, half a tile and a tile, twice.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from materials import TILE, difference, folds_of, macro_f1
from numpy.typing import NDArray

from napari_semclass.classify import Settings
from napari_semclass.classify.engine import classify_micrograph
from napari_semclass.classify.feature_cache import FeatureCache
from napari_semclass.classify.features import feature_steps
from napari_semclass.learn.dataset import DataSet, Picture, read_dataset
from napari_semclass.learn.quick import fit_quick, predict
from napari_semclass.memory import keep_freed_memory
from napari_semclass.micrograph import Micrograph, open_micrographs
from napari_semclass.model import Category, Model, load_model
from napari_semclass.samples import synthetic_mosaic

_TIMED = 7  # pictures
_KINDS = ("tile", "window")
_SETTINGS = Settings(tile=TILE, stride=TILE, device="cpu", precision="fp32", reject="off")


@dataclass(frozen=True, eq=False)
class Tiles:
    """Both kinds of features (n, channels) of all tiles; each tile's label, picture and group (n,)."""

    features: dict[str, NDArray[np.float32]]
    labels: NDArray[np.int64]
    pictures: NDArray[np.int64]
    groups: NDArray[np.int64]


def opened(picture: Picture) -> Micrograph:
    """The picture as a micrograph."""
    return open_micrographs(picture.path)[0]


def look(data: DataSet, base: Model, cache: FeatureCache) -> Tiles:
    """Look at all tiles in both ways; what an earlier run looked at is read from the cache."""
    groups = sorted({picture.group for picture in data.pictures})
    features: dict[str, list[NDArray[np.float32]]] = {kind: [] for kind in _KINDS}
    rows: list[tuple[int, int, int]] = []
    for index, picture in enumerate(data.pictures):
        micrograph = opened(picture)
        boxes = _SETTINGS.grid(micrograph, base.card).boxes()
        for kind in _KINDS:
            *_, last = feature_steps(
                micrograph, base, boxes, tile=TILE, device="cpu", cache=cache, windows=kind == "window"
            )
            features[kind].append(last.features)
        rows += [(data.categories.index(picture.category), index, groups.index(picture.group))] * len(boxes)
    labels, pictures, numbers = np.array(rows, dtype=np.int64).T
    return Tiles({kind: np.concatenate(parts) for kind, parts in features.items()}, labels, pictures, numbers)


def fitted(data: DataSet, tiles: Tiles, kind: str, learned: NDArray[np.bool_], base: Model) -> Model:
    """The model that quick learning makes of some tiles."""
    return fit_quick(
        tiles.features[kind][learned],
        tiles.labels[learned],
        tiles.groups[learned],
        tiles.pictures[learned],
        [Category(name, "#0072b2") for name in data.categories],
        base,
        tile=TILE,
        name=f"benchmark-{kind}",
        title="Benchmark",
        tested="not tested here",
        testable=False,
        windows=kind == "window",
    ).model


def compare(data: DataSet, tiles: Tiles, fold_of: NDArray[np.int64], base: Model) -> None:
    """Print accuracy and macro-F1 of each model on the other fold, and the gain of windows."""
    fold, pairs = fold_of[tiles.pictures], []
    for number in (0, 1):
        test, answers = fold == number, {}
        labels, groups = tiles.labels[test], tiles.groups[test]
        for kind in _KINDS:
            model = fitted(data, tiles, kind, ~test, base)
            pictures = [data.pictures[index] for index in np.unique(tiles.pictures[test])]
            found = [classify_micrograph(opened(picture), model, _SETTINGS).probabilities for picture in pictures]
            answers[kind] = np.concatenate(found).argmax(axis=1)
            right = float(np.mean(answers[kind] == labels))
            score = macro_f1(labels, answers[kind])
            print(f"fold {number}: {kind}s through the engine: accuracy {right:.3f}, macro-F1 {score:.3f}", flush=True)
            for on in _KINDS:
                said = predict(tiles.features[on][test], model).argmax(axis=1)
                right, score = float(np.mean(said == labels)), macro_f1(labels, said)
                print(f"fold {number}: head of {kind}s on {on}s: accuracy {right:.3f}, macro-F1 {score:.3f}")
        same = float(np.mean(answers["tile"] == answers["window"]))
        print(f"fold {number}: the two answer alike on {same:.1%} of {int(test.sum()):,} tiles")
        run, other = (
            {"labels": labels.tolist(), "groups": groups.tolist(), "answers": answers[kind].tolist()}
            for kind in reversed(_KINDS)
        )
        pairs.append((run, other))
    print(f"macro-F1, windows minus tiles, mean of both folds: {difference(pairs)}")


def speed(data: DataSet, models: dict[str, Model], stride: int) -> None:
    """Print how much faster windows are at a stride."""
    ratios, numbers = [], 0
    settings = Settings(tile=TILE, stride=stride, device="cpu", precision="fp32")
    for picture in np.random.default_rng(0).permutation(np.array(data.pictures, dtype=object))[:_TIMED]:
        micrograph, took = opened(picture), []
        for kind in _KINDS:
            begun = time.process_time()
            numbers += len(classify_micrograph(micrograph, models[kind], settings).grid)
            took.append(time.process_time() - begun)
        ratios.append(took[0] / took[1])
    print(f"stride {stride} px: windows are {np.median(ratios):.1f} times faster ({min(ratios):.1f} to "
          f"{max(ratios):.1f}; {_TIMED} pictures, {numbers // 2:,} tiles)", flush=True)  # fmt: skip


def large(side: int, base: Model, runtime: str) -> None:
    """Print how much faster windows are in a large micrograph, where they need borders of their own."""
    keep_freed_memory()
    mosaic, _ = synthetic_mosaic(seed=0)
    repeats = -(-side // min(mosaic.shape))
    pixels = np.tile(mosaic, (repeats, repeats))[:side, :side]
    micrograph = Micrograph(pixels, source="mosaic", known_bars=())
    models = (base, replace(base, card=replace(base.card, windows=True)))
    for stride in (TILE, TILE // 2, TILE // 4):
        settings = replace(_SETTINGS, stride=stride, runtime=runtime)
        for _ in range(2):
            took = []
            for model in models:
                begun = time.process_time()
                tiles = len(classify_micrograph(micrograph, model, settings).grid)
                took.append(time.process_time() - begun)
            print(f"{side} px, {runtime}, stride {stride} px, {tiles:,} tiles: one by one {took[0]:.1f} s, "
                  f"windows {took[1]:.1f} s, {took[0] / took[1]:.1f} times faster", flush=True)  # fmt: skip


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path)
    arguments.add_argument("--out", type=Path, help="folder in which features are kept")
    arguments.add_argument("--large", type=int, help="side in pixels; measures the speed only")
    arguments.add_argument("--runtime", default="torch", choices=("torch", "openvino"), help="of --large")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    if options.large:
        large(options.large, load_model("starter"), options.runtime)
        return
    if options.data is None or options.out is None:
        arguments.error("--data and --out are needed, or --large")
    data, base = read_dataset(options.data), load_model("starter")
    tiles = look(data, base, FeatureCache(options.out))
    models = {kind: fitted(data, tiles, kind, np.ones(len(tiles.labels), dtype=bool), base) for kind in _KINDS}
    for stride in (TILE // 2, TILE // 4):
        speed(data, models, stride)
    compare(data, tiles, folds_of(data), base)


if __name__ == "__main__":
    main()
