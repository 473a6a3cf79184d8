"""Windows pooled from shared feature maps against tiles one by one: how fast, how alike, how good on unseen specimens.

    python benchmarks/overlap.py --data ../shared/data/materials --out RESULTS

Tiles of 224 px of real micrographs, the starter's frozen network, stratified group 2-fold (benchmarks/
materials_folds.csv). *Tile* features are those of each tile alone; *window* features are the average, over the tile's
place, of the feature map of the whole micrograph, whose borders alone are mirrored. On each a logistic regression
(C = 0.01, categories balanced) is fitted, and tested on both kinds from the other fold. Features are kept in RESULTS;
about ten processor minutes. The speed is that of tiles at a stride of a quarter tile, in processor time: of pictures
drawn for it, once tile by tile and once by windows, interleaved.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from materials import TILE, difference, folds_of, macro_f1
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_semclass.learn.dataset import DataSet, Picture, read_dataset
from napari_semclass.learn.tiles import Cutting, sample_boxes
from napari_semclass.micrograph import grey_range, open_micrographs
from napari_semclass.model import Model, load_model

_STRIDE = 32  # of the network: pixels of the input per cell of its last feature map
_BATCH = 16
_TIMED = 7  # pictures

_Features = NDArray[np.float32]


def normalised(picture: Picture, model: Model) -> NDArray[np.float32]:
    """The whole picture as the network sees grey levels, (h, w) in [0, 1]."""
    micrograph, steps = open_micrographs(picture.path)[0], model.card.preprocessing
    height, width = micrograph.shape
    levels = grey_range(micrograph, steps.low_percentile, steps.high_percentile)
    return levels.normalise(micrograph.read(0, height, 0, width))


def feature_map(tiles: NDArray[np.float32], model: Model) -> torch.Tensor:
    """The network's last feature map (n, channels, y, x) of grey tiles (n, h, w)."""
    steps = model.card.preprocessing
    # Not by `network_input`, which would shrink a whole micrograph to the size of a tile.
    batch = ((torch.from_numpy(tiles)[:, None] - steps.mean) / steps.std).expand(-1, 3, -1, -1)
    batch = batch.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        found: torch.Tensor = model.network.forward_features(batch)  # type: ignore[operator]
    return found


def by_tile(grey: NDArray[np.float32], boxes: NDArray[np.int64], model: Model) -> _Features:
    """Features (n, channels) of each tile alone."""
    parts = []
    for begin in range(0, len(boxes), _BATCH):
        tiles = np.stack([grey[y0:y1, x0:x1] for y0, x0, y1, x1 in boxes[begin : begin + _BATCH]])
        parts.append(feature_map(tiles, model).mean(dim=(2, 3)).numpy())
    return np.concatenate(parts)


def by_window(grey: NDArray[np.float32], boxes: NDArray[np.int64], model: Model) -> _Features:
    """Features (n, channels) of each tile, averaged from one map; cells cut by its edge count by their share."""
    height, width = (-(-side // _STRIDE) * _STRIDE for side in grey.shape)
    wider = np.pad(grey, ((0, height - grey.shape[0]), (0, width - grey.shape[1])), mode="reflect")
    cells = feature_map(wider[None], model)[0].numpy()
    rows = shares(boxes[:, 0], boxes[:, 2], cells.shape[1])
    columns = shares(boxes[:, 1], boxes[:, 3], cells.shape[2])
    # Rows first, once for each row of tiles: neighbours along it share them.
    unique, place = np.unique(rows, axis=0, return_inverse=True)
    strips = np.einsum("ry,cyx->rcx", unique, cells, optimize=True)
    found = np.empty((len(boxes), cells.shape[0]), dtype=np.float32)
    for row, strip in enumerate(strips):
        own = place.ravel() == row
        found[own] = columns[own] @ strip.T
    return found


def shares(begin: NDArray[np.int64], end: NDArray[np.int64], cells: int) -> NDArray[np.float32]:
    """How much each cell counts for each interval of pixels, (n, cells); rows sum to 1."""
    edges = np.arange(cells + 1) * _STRIDE
    over = np.minimum(edges[1:], end[:, None]) - np.maximum(edges[:-1], begin[:, None])
    held = np.clip(over, 0, None).astype(np.float32)
    return held / held.sum(axis=1, keepdims=True)


def look(data: DataSet, model: Model, kept: Path) -> dict[str, NDArray[np.generic]]:
    """Both kinds of features of all tiles, with label, picture and group; as kept from an earlier run."""
    if kept.exists():
        return dict(np.load(kept))
    groups = sorted({picture.group for picture in data.pictures})
    columns: dict[str, list[NDArray[np.generic]]] = {
        name: [] for name in ("tile", "window", "label", "picture", "group")
    }
    cutting = Cutting("tile", TILE, TILE, TILE, model.card.preprocessing)
    for index, picture in enumerate(data.pictures):
        grey, micrograph = normalised(picture, model), open_micrographs(picture.path)[0]
        boxes = np.array(sample_boxes(micrograph, None, cutting))
        columns["tile"].append(by_tile(grey, boxes, model))
        columns["window"].append(by_window(grey, boxes, model))
        row = (data.categories.index(picture.category), index, groups.index(picture.group))
        for name, value in zip(("label", "picture", "group"), row, strict=True):
            columns[name].append(np.full(len(boxes), value))
    found = {name: np.concatenate(parts) for name, parts in columns.items()}
    np.savez(kept, **found)  # type: ignore[arg-type]
    return found


def compare(known: dict[str, NDArray[np.generic]], fold_of: NDArray[np.int64]) -> None:
    """Print accuracy and macro-F1 of each head on each kind of features, and the gain of windows."""
    fold, labels, pairs = fold_of[known["picture"]], known["label"].astype(np.int64), []
    for number in (0, 1):
        learned, test = fold != number, fold == number
        answers = {}
        for head in ("tile", "window"):
            fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000))
            fitted.fit(known[head][learned], labels[learned])
            answers |= {(head, on): fitted.predict(known[on][test]) for on in ("tile", "window")}
        for (head, on), found in answers.items():
            right = float(np.mean(found == labels[test]))
            score = macro_f1(labels[test], found)
            print(f"fold {number}: head of {head}s on {on}s: accuracy {right:.3f}, macro-F1 {score:.3f}")
        same = float(np.mean(answers["tile", "tile"] == answers["window", "window"]))
        print(f"fold {number}: the two answer alike on {same:.1%} of {int(test.sum()):,} tiles")
        run, base = (
            {"labels": labels[test].tolist(), "groups": known["group"][test].tolist(), "answers": found.tolist()}
            for found in (answers["window", "window"], answers["tile", "tile"])
        )
        pairs.append((run, base))
    print(f"macro-F1, windows minus tiles, mean of both folds: {difference(pairs)}")


def speed(data: DataSet, model: Model) -> None:
    """Print how much faster windows are at a stride of a quarter tile."""
    ratios, numbers = [], 0
    for picture in np.random.default_rng(0).permutation(np.array(data.pictures, dtype=object))[:_TIMED]:
        grey = normalised(picture, model)
        starts = [range(0, side - TILE + 1, TILE // 4) for side in grey.shape]
        boxes = np.array([(y, x, y + TILE, x + TILE) for y in starts[0] for x in starts[1]])
        took = []
        for way in (partial(by_tile, grey, boxes), partial(by_window, grey, boxes)):
            begun = time.process_time()
            way(model)
            took.append(time.process_time() - begun)
        ratios.append(took[0] / took[1])
        numbers += len(boxes)
    print(f"stride {TILE // 4} px: windows are {np.median(ratios):.1f} times faster ({min(ratios):.1f} to "
          f"{max(ratios):.1f}; {_TIMED} pictures, {numbers:,} tiles)")  # fmt: skip


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True, help="folder in which features are kept")
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data, model = read_dataset(options.data), load_model("starter")
    model.network.eval().to(memory_format=torch.channels_last)
    speed(data, model)
    compare(look(data, model, options.out / "features.npz"), folds_of(data))


if __name__ == "__main__":
    main()
