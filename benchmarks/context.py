"""What a tile's surroundings are worth to frozen features: window features with a mean of the neighbouring tiles.

    python benchmarks/overlap.py --data ../shared/data/materials --out RESULTS
    python benchmarks/context.py --data ../shared/data/materials --out RESULTS

Reads the features that overlap.py keeps in RESULTS. *ring* is the mean of a tile's window features and those of its up
to eight neighbours in the grid (tiles of 224 px, stride 224), *ring of tiles* the same of tiles looked at one by one,
*picture* the mean over its micrograph. Which way is
taken is chosen inside each training fold, by groups; the test figures of all ways are printed beside the choice.
"""

import argparse
from pathlib import Path

import numpy as np
from materials import TILE, difference, folds_of, macro_f1
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_semclass.learn.dataset import DataSet, read_dataset
from napari_semclass.learn.tiles import Cutting, sample_boxes
from napari_semclass.micrograph import open_micrographs
from napari_semclass.model import load_model

_INNER = 3  # folds of the training half, by group
_Features = NDArray[np.float32]
_Numbers = NDArray[np.int64]


def surroundings(data: DataSet, windows: _Features, cutting: Cutting) -> dict[str, _Features]:
    """Mean features (n, channels) of each tile's neighbourhood of 3 x 3 tiles, and of its picture."""
    ring, whole, begin = np.empty_like(windows), np.empty_like(windows), 0
    for picture in data.pictures:
        boxes = np.array(sample_boxes(open_micrographs(picture.path)[0], None, cutting))
        own = slice(begin, begin + len(boxes))
        # The last row and column may lie closer than a stride: still neighbours.
        apart = np.abs(boxes[:, None, :2] - boxes[None, :, :2]).max(axis=2)
        near = (apart <= TILE).astype(np.float32)
        ring[own] = near @ windows[own] / near.sum(axis=1, keepdims=True)
        whole[own] = windows[own].mean(axis=0)
        begin += len(boxes)
    if begin != len(windows):
        raise SystemExit("The kept features are of other pictures: run overlap.py again.")
    return {"ring": ring, "picture": whole}


def answers(features: _Features, labels: _Numbers, learned: _Numbers, test: _Numbers) -> _Numbers:
    """Categories (n,) that a logistic regression learned on some rows gives to others."""
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=500))
    found: _Numbers = head.fit(features[learned], labels[learned]).predict(features[test])
    return found


def inner_score(features: _Features, labels: _Numbers, groups: _Numbers, learned: _Numbers) -> float:
    """Macro-F1 inside the training half: each group answered by a head that has not seen it."""
    found = np.empty(len(learned), dtype=np.int64)
    splits = StratifiedGroupKFold(_INNER, shuffle=True, random_state=0)
    for one, other in splits.split(learned, labels[learned], groups[learned]):
        found[other] = answers(features, labels, learned[one], learned[other])
    return float(macro_f1(labels[learned], found))


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True, help="folder in which overlap.py kept features")
    options = arguments.parse_args()
    data, known = read_dataset(options.data), dict(np.load(options.out / "features.npz"))
    cutting = Cutting("tile", TILE, TILE, TILE, load_model("starter").card.preprocessing)
    wider = surroundings(data, known["window"], cutting)
    wider_tiles = surroundings(data, known["tile"], cutting)
    ways = {
        "tile": known["tile"],
        "ring of tiles": wider_tiles["ring"],
        "window": known["window"],
        "ring": wider["ring"],
        "window + ring": np.hstack([known["window"], wider["ring"]]),
        "window + picture": np.hstack([known["window"], wider["picture"]]),
    }
    labels, groups = known["label"].astype(np.int64), known["group"].astype(np.int64)
    fold, pairs = folds_of(data)[known["picture"]], {name: [] for name in ways}
    for number in (0, 1):
        learned, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        base = None
        for name, features in ways.items():
            found = answers(features, labels, learned, test)
            run = {"labels": labels[test].tolist(), "groups": groups[test].tolist(), "answers": found.tolist()}
            base = base or run
            pairs[name].append((run, base))
            inner = inner_score(features, labels, groups, learned)
            print(f"fold {number}: {name}: inner {inner:.3f}, test {macro_f1(labels[test], found):.3f}", flush=True)
    for name in list(ways)[1:]:
        print(f"macro-F1, {name} minus tile, mean of both folds: {difference(pairs[name])}", flush=True)


if __name__ == "__main__":
    main()
