"""Tiles looked at where they lie, for models to which their surroundings count: features from maps of the pictures."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_semclass.classify.features import feature_steps, linear_classifier, scores
from napari_semclass.classify.forward import Forward
from napari_semclass.learn.answers import Features, answers_of
from napari_semclass.learn.dataset import Picture
from napari_semclass.learn.tiles import Cutting, Samples
from napari_semclass.micrograph import DataBar, Micrograph, open_micrographs
from napari_semclass.model import Model

_Progress = Callable[[int], None]


def answers_to(
    forward: Forward,
    pictures: Sequence[Picture],
    samples: Samples,
    cutting: Cutting,
    wanted: NDArray[np.bool_],
    progress: _Progress = lambda done: None,
) -> tuple[NDArray[np.float64], Features | None]:
    """Scores of tiles as classifying gives them, and the features of those wanted; see `answers_of`.

    Parameters
    ----------
    forward : Forward
    pictures : sequence of Picture
        That the tiles were cut from.
    samples : Samples
    cutting : Cutting
        How they were cut.
    wanted : array (tiles,), bool
    progress : callable
        Told the number of tiles done.
    """
    card = forward.model.card
    if not card.windows:
        return answers_of(forward, samples.pixels, wanted, progress)
    device = str(forward.device)
    features = features_in_place(
        forward.model, pictures, samples, cutting, context=card.context, device=device, progress=progress
    )
    return scores(features, forward.model), features[wanted]


def features_in_place(
    model: Model,
    pictures: Sequence[Picture],
    samples: Samples,
    cutting: Cutting,
    *,
    context: float,
    device: str = "auto",
    progress: _Progress = lambda done: None,
) -> Features:
    """What the classifier is given for each tile, (tiles, features), averaged from a feature map of its picture.

    Parameters
    ----------
    model : Model
        Whose network can share feature maps (`model.windows`).
    pictures, samples, cutting
        As `answers_to`. What surrounds a box of a file is the rest of the file.
    context : float
        Side of the area that is averaged, in tiles.
    device : str
    progress : callable

    Raises
    ------
    MicrographError
        A picture that can no longer be read.
    """
    found = np.zeros((len(samples), linear_classifier(model).in_features), dtype=np.float32)
    done, planes = 0, {}
    for index, own in _of_files(pictures, samples):
        picture = pictures[index]
        if picture.path not in planes:
            planes = {picture.path: open_micrographs(picture.path)}
        micrograph = planes[picture.path][int(samples.planes[own[0]])]
        boxes = samples.boxes[own]
        for step in feature_steps(
            _shown(micrograph, cutting).remembering(),
            model,
            boxes,
            tile=_side(boxes, picture.sized(micrograph), cutting),
            levels=picture.grey or cutting.levels(micrograph),
            device=device,
            windows=True,
            context=context,
        ):
            progress(done + step.done)
        found[own] = step.features
        done += len(own)
    return found


def _of_files(pictures: Sequence[Picture], samples: Samples) -> list[tuple[int, NDArray[np.int64]]]:
    """Tiles that lie in one plane of one file and are seen alike: a picture of theirs, and their indices."""
    found: dict[tuple[object, ...], tuple[int, list[int]]] = {}
    for row, (index, plane) in enumerate(zip(samples.pictures.tolist(), samples.planes.tolist(), strict=True)):
        picture = pictures[index]
        found.setdefault((picture.path, plane, picture.grey, picture.pixel_size), (index, []))[1].append(row)
    return [(index, np.array(rows)) for index, rows in found.values()]


def _shown(micrograph: Micrograph, cutting: Cutting) -> Micrograph:
    """The micrograph with no other specimen than the rows that tiles are cut from: surroundings end there."""
    if cutting.bars == "masked":
        return micrograph
    hidden = micrograph.specimen if cutting.bars == "alone" else ()
    return replace(micrograph, known_bars=tuple(DataBar(start, stop, confidence=1.0) for start, stop in hidden))


def _side(boxes: NDArray[np.int64], micrograph: Micrograph, cutting: Cutting) -> int:
    """Side in pixels that becomes the network's input."""
    largest = int((boxes[:, 2:] - boxes[:, :2]).max())
    return max(largest, cutting.on(micrograph).tile) if cutting.unit == "tile" else largest
