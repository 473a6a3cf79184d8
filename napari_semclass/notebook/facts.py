"""What the browser is told, as plain values: overlay, legend, probabilities at a place, how a training goes."""

from typing import Any

import numpy as np

from napari_semclass.annotate.collect import LabelledTiles
from napari_semclass.classify.caption import percent
from napari_semclass.classify.grid import TileGrid
from napari_semclass.classify.layers import colormap, features
from napari_semclass.classify.prediction import Cells, Prediction
from napari_semclass.classify.show import shares
from napari_semclass.learn.run_watch import RunWatch
from napari_semclass.micrograph import Micrograph, length_text

Facts = dict[str, Any]
_MOST_POINTS = 200  # of a curve


def picture_facts(micrograph: Micrograph, depth: int, side: int) -> Facts:
    """Name and size of the micrograph, and of the pyramid of tiles it comes as."""
    height, width = micrograph.shape
    size = micrograph.pixel_size
    return {
        "name": micrograph.name,
        "width": width,
        "height": height,
        "depth": depth,
        "side": side,
        "pixel": "" if size is None else f"{length_text(size)} per pixel",
    }


def grid_facts(grid: TileGrid) -> Facts:
    """Row and column extents of the tiles."""
    return {"rows": [list(row) for row in grid.rows], "columns": [list(column) for column in grid.columns]}


def overlay_facts(prediction: Prediction, cells: Cells) -> Facts:
    """Edges of the cells, the label of each (16 bit, little-endian, row by row), and the labels' names and colours."""
    colors = colormap(prediction)
    names = features(prediction)["category"]
    return {
        "y": cells.y_edges.tolist(),
        "x": cells.x_edges.tolist(),
        "labels": cells.labels().astype("<u2").tobytes(),
        "names": names,
        "colors": [colors[label][:7] for label in range(len(names))],
    }


def legend_facts(prediction: Prediction) -> list[Facts]:
    """Name, colour and share (in words) of each answer that there is, the largest first."""
    return [
        {"name": name, "color": color[:7], "share": percent(share)}
        for name, color, share in shares(prediction)
        if share > 0
    ]


def place_facts(prediction: Prediction, cells: Cells, y: float, x: float) -> Facts:
    """The answer at a position in pixels and all probabilities there, the largest first; empty where there is none."""
    row = int(np.searchsorted(cells.y_edges, y, side="right")) - 1
    column = int(np.searchsorted(cells.x_edges, x, side="right")) - 1
    labels = cells.labels()
    if not (0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]) or not labels[row, column]:
        return {}
    found = cells.probabilities[row, column].tolist()
    ordered = sorted(zip(prediction.names, found, strict=True), key=lambda entry: -entry[1])
    return {
        "answer": features(prediction)["category"][int(labels[row, column])],
        "probabilities": [[name, percent(share)] for name, share in ordered],
    }


def count_facts(labelled: LabelledTiles) -> Facts:
    """Tiles of each category that the marks give, whether they can be learned, and what to mark next."""
    counts = labelled.counts()
    return {
        "tiles": {item.name: counts[item.number] for item in labelled.categories.items},
        "ready": len(labelled.used) > 1,
        "needs": labelled.needs(),
    }


def training_facts(watch: RunWatch, name: str, *, going: bool, resumable: bool = False) -> Facts:
    """Where a training is, and its curves."""
    step = max(1, len(watch.points) // _MOST_POINTS)
    return {
        "name": name,
        "going": going,
        "resumable": resumable,
        "where": watch.where() if going else "",
        "speed": watch.speed() if going else "",
        "done": watch.done,
        "total": watch.total,
        "points": [list(point) for point in watch.points[::step]],
        "epochs": [
            [number, done.train_loss, done.valid_loss, done.accuracy, done.macro_f1]
            for number, done in sorted(watch.epochs.items())
        ],
    }
