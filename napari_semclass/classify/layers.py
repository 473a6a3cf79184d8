"""Predictions as napari layer data: labels exactly over the pixels, small in memory, without importing napari."""

from collections.abc import Mapping, Sequence
from math import ceil, prod
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from napari_semclass.classify.prediction import Cells, Prediction
from napari_semclass.errors import SettingsError

METADATA_KEY = "semclass"
PREDICTIONS_KEY = "predictions"

LayerData = tuple[Any, dict[str, Any], str]
# Up to this many pixels labels are a plain array; above it they are expanded from the cells where looked at.
_PLAIN_PX = 16_000_000
_CHUNK = 2048
# A pyramid level this small shows the whole field at once.
_COARSEST = 1024
# napari draws so many points, and keeps as many rows, without delay.
_MOST_POINTS = 100_000


def labels_data(
    predictions: Sequence[Prediction | None], leading: tuple[int, ...] = (), colors: Mapping[str, str] | None = None
) -> LayerData:
    """Labels layer of one micrograph, or of a stack.

    Parameters
    ----------
    predictions : sequence of Prediction or None
        One per plane in C order; None where a plane is not classified. At least one is a Prediction.
    leading : tuple of int
        Lengths of the axes before height and width; empty for a single micrograph.
    colors : mapping of category name to "#rrggbb" or "#rrggbbaa", optional
        In place of the categories' own colours.

    Returns
    -------
    (data, keywords, "labels")
        Label 0 is not classified; label i is category i - 1, the last may be "unknown".
        `features` name the category for napari's status bar.
    """
    first = next(p for p in predictions if p is not None)
    cells = [None if p is None else p.cells() for p in predictions]
    pixels = label_pixels(cells, first.grid.shape, leading, len(first.answers))
    return pixels, labels_keywords(predictions, colors), "labels"


def labels_keywords(
    predictions: Sequence[Prediction | None], colors: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Everything of a Labels layer but its pixels: colours, names for the status bar, the predictions themselves."""
    first = next(p for p in predictions if p is not None)
    return {
        "colormap": colormap(first, colors),
        "features": features(first),
        # One colour over a whole picture says little; it must not hide what it names.
        "opacity": 0.45 if len(first.grid) > 1 else 0.2,
        "metadata": {METADATA_KEY: {PREDICTIONS_KEY: list(predictions)}},
    }


def label_pixels(cells: Sequence[Cells | None], shape: tuple[int, int], leading: tuple[int, ...], answers: int) -> Any:
    """Labels of every pixel: an array (*leading, height, width), or a list of lazy pyramid levels above 16 MP."""
    dtype = np.uint8 if answers < 255 else np.uint16
    values = [None if c is None else c.labels().astype(dtype) for c in cells]
    return _pixels(cells, values, shape, leading, np.dtype(dtype))


def score_data(predictions: Sequence[Prediction | None], leading: tuple[int, ...], category: int | None) -> LayerData:
    """Image layer of one category's probability, or of the confidence (largest probability) for None.

    Values are float32 in [0, 1]; 0 where not classified.
    """
    first = next(p for p in predictions if p is not None)
    cells = [None if p is None else p.cells() for p in predictions]
    values = [
        None if c is None else np.nan_to_num(c.confidence() if category is None else c.probabilities[..., category])
        for c in cells
    ]
    name = "confidence" if category is None else f"probability of {first.names[category]}"
    keywords = {
        "name": name,
        "colormap": "viridis",
        "contrast_limits": (0, 1),
        "blending": "additive",
        "interpolation2d": "nearest",
    }
    return _pixels(cells, values, first.grid.shape, leading, np.dtype(np.float32)), keywords, "image"


def colormap(prediction: Prediction, colors: Mapping[str, str] | None = None) -> dict[int | None, str]:
    """Direct colours of the labels, in the form napari takes; background and unknown labels are transparent."""
    chosen = colors or {}
    return {
        None: "#00000000",
        0: "#00000000",
        **{i: chosen.get(c.name, c.color) for i, c in enumerate(prediction.answers, start=1)},
    }


def features(prediction: Prediction) -> dict[str, list[Any]]:
    """One row per label, 0 included; napari shows the row of the label under the cursor."""
    names = ["not classified", *(answer.name for answer in prediction.answers)]
    return {"index": list(range(len(names))), "category": names}


def tile_points(predictions: Sequence[Prediction | None], leading: tuple[int, ...]) -> LayerData:
    """A point in the middle of each classified tile; its `features` say what it was answered, as `.tiles.csv` does.

    Raises
    ------
    SettingsError
        When there are more tiles than a viewer shows well.
    """
    where, parts = [], []
    for plane, prediction in enumerate(predictions):
        if prediction is not None:
            boxes = prediction.grid.boxes()[prediction.done]
            centres = (boxes[:, :2] + boxes[:, 2:] - 1) / 2
            index = np.unravel_index(plane, leading) if leading else ()
            where.append(np.hstack([np.tile(np.array(index, dtype=float), (len(boxes), 1)), centres]))
            parts.append(prediction)
    points = np.concatenate(where)
    if len(points) > _MOST_POINTS:
        raise SettingsError(
            f"{len(points):,} tiles are too many to show as points ({_MOST_POINTS:,}); Save… writes them as a table."
        )
    first = parts[0]
    probabilities = np.concatenate([p.probabilities[p.done] for p in parts])
    answers = np.concatenate([p.tile_categories()[p.done] for p in parts])
    # napari-matplotlib begins with the first column, and cannot draw names.
    features = {
        "confidence": np.concatenate([p.tile_confidence()[p.done] for p in parts]),
        **{f"prob_{name}": probabilities[:, number] for number, name in enumerate(first.names)},
        "category": [first.answers[number].name for number in answers],
    }
    keywords = {
        "name": "tiles",
        "features": features,
        "face_color": [first.answers[number].color for number in answers],
        "border_color": "white",
        "size": max(1, first.grid.tile // 8),
    }
    return points, keywords, "points"


def _pixels(
    cells: Sequence[Cells | None],
    values: Sequence[NDArray[Any] | None],
    shape: tuple[int, int],
    leading: tuple[int, ...],
    dtype: np.dtype[Any],
) -> Any:
    def level(step: int, lazy: bool) -> Any:
        planes = [_plane(c, v, shape, step, dtype, lazy) for c, v in zip(cells, values, strict=True)]
        size = planes[0].shape
        if not leading:
            return planes[0]
        return (da if lazy else np).stack(planes).reshape(*leading, *size)

    if prod(shape) * prod(leading) <= _PLAIN_PX:
        return level(1, lazy=False)
    if prod(shape) <= _PLAIN_PX:
        return level(1, lazy=True)
    steps = [1]
    while max(shape) / steps[-1] > _COARSEST:
        steps.append(steps[-1] * 2)
    return [level(step, lazy=True) for step in steps]


def _plane(
    cells: Cells | None,
    values: NDArray[Any] | None,
    shape: tuple[int, int],
    step: int,
    dtype: np.dtype[Any],
    lazy: bool,
) -> Any:
    """Every `step`-th pixel of one plane."""
    size = ceil(shape[0] / step), ceil(shape[1] / step)
    if cells is None or values is None:
        return da.zeros(size, dtype=dtype, chunks=_CHUNK) if lazy else np.zeros(size, dtype=dtype)
    if not lazy:
        return cells.expand(values, np.arange(0, shape[0], step), np.arange(0, shape[1], step)).astype(dtype)

    def block(block_info: Any = None) -> NDArray[Any]:
        (y0, y1), (x0, x1) = block_info[None]["array-location"]
        y, x = np.arange(y0, y1) * step, np.arange(x0, x1) * step
        return cells.expand(values, y, x).astype(dtype)

    chunks = da.core.normalize_chunks(_CHUNK, size)
    return da.map_blocks(block, chunks=chunks, dtype=dtype, meta=np.empty((0, 0), dtype=dtype))
