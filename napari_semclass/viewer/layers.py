"""Between napari's layers and the core: Image layers in, Labels and score layers out, aligned to the pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points
from pandas import DataFrame

from napari_semclass.classify import Prediction
from napari_semclass.classify.layers import METADATA_KEY, PREDICTIONS_KEY, LayerData, labels_keywords
from napari_semclass.classify.prediction import Summary
from napari_semclass.classify.settings import Settings
from napari_semclass.micrograph import Micrograph, as_micrographs
from napari_semclass.viewer.layer_facts import facts_state, with_facts

IMAGE_KEY = "image"
RESULT_KEY = "result"
# In the metadata of layers of marks; under IMAGE_KEY, both name the image they belong to.
MARKS_KEY = "semclass_marks"
SUMMARIES_KEY = "summaries"
COLORS_KEY = "colors"
# Marks the probability and confidence images we add, which are no micrographs, and tiles as points.
SCORE_KEY = "semclass_score"
_USUAL_CANVAS = (800, 600)
_PLACEMENT = ("scale", "translate", "rotate", "shear", "units", "axis_labels")


@dataclass(frozen=True, eq=False)
class Target:
    """An Image layer's micrographs as they were when asked for, and the stack axes before height and width."""

    layer: Image
    name: str
    micrographs: tuple[Micrograph, ...]
    leading: tuple[int, ...]

    @property
    def id(self) -> str:
        """Tells open layers apart, whatever they are renamed to."""
        return str(self.layer.unique_id)


def target_of(layer: Image) -> Target:
    """The micrographs of an Image layer, one per plane; no pixels are read.

    Raises
    ------
    MicrographError
        When its pixels cannot be a micrograph.
    """
    micrographs = as_micrographs(
        layer.data,
        source=layer.name,
        rgb=bool(layer.rgb),
    )
    level0 = layer.data[0] if layer.multiscale else layer.data
    leading = tuple(int(n) for n in level0.shape[: -3 if layer.rgb else -2])
    return Target(layer, layer.name, with_facts(layer, micrographs), leading)


class Targets:
    """Targets of layers, kept while a layer shows the same data, so that its data bars are searched for once.

    A layer that is closed must be forgotten, or its pixels stay in memory. `settings` say how micrographs are seen.
    """

    def __init__(self) -> None:
        self.settings = Settings()
        self._known: dict[Any, tuple[tuple[Any, ...], Target]] = {}

    def of(self, layers: Sequence[Image]) -> list[Target]:
        """The targets of these layers.

        Raises
        ------
        MicrographError
            When a layer's pixels cannot be a micrograph.
        """
        found = []
        for layer in layers:
            state = (layer.name, bool(layer.rgb), self.settings.keep_data_bar, *facts_state(layer))
            data, known = self._known.get(layer.unique_id, ((), None))
            if known is None or data[0] is not layer.data or data[1:] != state:
                data, known = (layer.data, *state), self._seen(target_of(layer))
            self._known[layer.unique_id] = data, known
            found.append(known)
        return found

    def _seen(self, target: Target) -> Target:
        return replace(target, micrographs=tuple(self.settings.seen(one) for one in target.micrographs))

    def forget(self, layer: Layer) -> None:
        """A layer was closed."""
        self._known.pop(layer.unique_id, None)


def placement(layer: Layer) -> dict[str, Any]:
    """Keywords that put a new layer exactly where `layer` is."""
    where = {key: getattr(layer, key) for key in _PLACEMENT if hasattr(layer, key)}
    return {**where, "affine": layer.affine.affine_matrix}


@dataclass(frozen=True, eq=False)
class Overlay:
    """What is to be shown of a target: a prediction, its summary and None where there is none, for each plane.

    `data` are the labels, `colors` those of the user by category, `model` is the name or path of what predicted.
    """

    target: Target
    predictions: Sequence[Prediction | None]
    summaries: Sequence[Summary | None]
    data: Any
    colors: Mapping[str, str]
    model: str


def show_result(viewer: ViewerModel, overlay: Overlay) -> None:
    """Add an overlay, or bring an earlier one of its target by the same model up to date."""
    if not update_result(viewer, overlay):
        insert_result(viewer, overlay, new_result(overlay))


def update_result(viewer: ViewerModel, overlay: Overlay) -> bool:
    """Bring the layer of a target and model up to date; False where a new one is needed."""
    target, data = overlay.target, overlay.data
    mine = (target.layer.unique_id, overlay.model)
    present = next((layer for layer in results(viewer) if _belongs(layer) == mine), None)
    if present is None:
        return False
    if present.multiscale != isinstance(data, list) or present.ndim != len(target.leading) + 2:
        viewer.layers.remove(present)
        return False
    now = placement(present)
    for key, value in placement(target.layer).items():
        if not np.array_equal(now[key], value):  # each of them makes napari draw all over again
            setattr(present, key, value)
    redraw(present, overlay.predictions, overlay.summaries, data, overlay.colors)
    return True


def new_result(overlay: Overlay) -> Labels:
    """The layer for it, which is in no viewer yet."""
    target = overlay.target
    keywords = labels_keywords(overlay.predictions, overlay.colors)
    keywords["metadata"][METADATA_KEY] |= {
        IMAGE_KEY: target.layer.unique_id,
        RESULT_KEY: overlay.model,
        SUMMARIES_KEY: list(overlay.summaries),
        COLORS_KEY: keywords["colormap"],
    }
    name = f"{target.name} · {Path(overlay.model).stem}"
    multiscale = isinstance(overlay.data, list)
    labels = Labels(overlay.data, name=name, multiscale=multiscale, **keywords, **placement(target.layer))
    labels.editable = False
    return labels


def insert_result(viewer: ViewerModel, overlay: Overlay, labels: Labels) -> None:
    """Put its layer right above its micrograph, with no other result of it in sight."""
    viewer.layers.insert(_above(viewer, overlay.target.layer), labels)
    show_only(viewer, overlay.target.layer, overlay.model)


def show_only(viewer: ViewerModel, image: Image, model: str) -> None:
    """Hide what other models said of an image, where there is a result of this one: colours over colours mislead."""
    said = [labels for labels in results(viewer) if _belongs(labels)[0] == image.unique_id]
    if any(model_of(labels) == model for labels in said):
        for labels in said:
            labels.visible = model_of(labels) == model


def redraw(
    labels: Labels,
    predictions: Sequence[Prediction | None],
    summaries: Sequence[Summary | None],
    data: Any,
    colors: Mapping[str, str],
) -> None:
    """Bring what a result layer shows up to date; it stays where it is."""
    keywords = labels_keywords(predictions, colors)
    held = labels.metadata[METADATA_KEY]
    labels.data = data
    now = {SUMMARIES_KEY: list(summaries), COLORS_KEY: keywords["colormap"]}
    labels.metadata = {**labels.metadata, METADATA_KEY: {**held, **keywords["metadata"][METADATA_KEY], **now}}
    if not labels.features.equals(DataFrame(keywords["features"])):
        labels.features = keywords["features"]
    if held.get(COLORS_KEY) != keywords["colormap"]:
        labels.colormap = keywords["colormap"]


def model_of(labels: Labels) -> str:
    """The model (name or path) whose result a layer shows."""
    return str(labels.metadata[METADATA_KEY][RESULT_KEY])


def _belongs(labels: Labels) -> tuple[Any, Any]:
    """Which image and which model's result a layer is; names can be changed by the user, these cannot."""
    remembered = labels.metadata[METADATA_KEY]
    return remembered.get(IMAGE_KEY), remembered.get(RESULT_KEY)


def show_scores(viewer: ViewerModel, labels: Labels, layer: LayerData) -> Layer:
    """Add a probability or confidence image of a result, or its tiles as points, in place of earlier ones."""
    data, keywords, kind = layer
    keywords = {**keywords, "name": f"{labels.name} · {keywords['name']}", "metadata": {SCORE_KEY: True}}
    old = keywords["name"]
    if old in viewer.layers and SCORE_KEY in viewer.layers[old].metadata:
        viewer.layers.remove(old)
    keywords |= placement(labels)
    made = Points(data, **keywords) if kind == "points" else Image(data, multiscale=isinstance(data, list), **keywords)
    viewer.layers.insert(_above(viewer, labels), made)
    return made


def results(viewer: ViewerModel) -> list[Labels]:
    """The layers that hold predictions, in the viewer's order."""
    return [layer for layer in viewer.layers if isinstance(layer, Labels) and METADATA_KEY in layer.metadata]


def predictions_of(labels: Labels) -> list[Prediction | None]:
    """The predictions a result layer shows, one per plane."""
    return list(labels.metadata[METADATA_KEY][PREDICTIONS_KEY])


def summaries_of(labels: Labels) -> list[Summary | None]:
    """What a result layer's predictions come to, one per plane."""
    return list(labels.metadata[METADATA_KEY][SUMMARIES_KEY])


def leading_of(labels: Labels) -> tuple[int, ...]:
    """Lengths of a result layer's axes before height and width."""
    shape = labels.data[0].shape if labels.multiscale else labels.data.shape
    return tuple(int(n) for n in shape[:-2])


def image_of(viewer: ViewerModel, labels: Labels) -> Image | None:
    """The Image layer a result belongs to, if it is still open."""
    wanted = labels.metadata[METADATA_KEY][IMAGE_KEY]
    return next((layer for layer in viewer.layers if isinstance(layer, Image) and layer.unique_id == wanted), None)


def image_behind(viewer: ViewerModel, layer: Layer) -> Image | None:
    """The micrograph that a layer is, shows a result of, or holds marks of."""
    if isinstance(layer, Image):
        return None if SCORE_KEY in layer.metadata else layer
    remembered = layer.metadata.get(METADATA_KEY) or layer.metadata.get(MARKS_KEY) or {}
    wanted = remembered.get(IMAGE_KEY)
    return next((one for one in viewer.layers if isinstance(one, Image) and one.unique_id == wanted), None)


def go_to(viewer: ViewerModel, labels: Labels, plane: int, box: tuple[int, int, int, int]) -> None:
    """Centre the camera on a tile `(y0, x0, y1, x1)` of a plane of a result."""
    go_to_box(viewer, labels, leading_of(labels), plane, box)


def go_to_box(
    viewer: ViewerModel, layer: Layer, leading: Sequence[int], plane: int, box: tuple[int, int, int, int]
) -> None:
    """Centre the camera on a tile `(y0, x0, y1, x1)` of a plane, filling about a third of the canvas."""
    y0, x0, y1, x1 = box
    index = np.unravel_index(plane, leading) if leading else ()
    corners = [layer.data_to_world((*index, y, x)) for y, x in ((y0, x0), (y1, x1))]
    centre = np.mean(corners, axis=0)
    offset = viewer.dims.ndim - len(centre)
    for axis in range(len(centre) - 2):
        viewer.dims.set_point(offset + axis, centre[axis])
    side = max(abs(np.subtract(*corners))[-2:])
    newest = hasattr(viewer, "scene")  # napari 0.9 moved the camera; before it, the canvas told its size to nobody
    camera = viewer.scene.camera if newest else viewer.camera
    camera.center = tuple(centre[-2:])
    camera.zoom = min(viewer.canvas.size if newest else _USUAL_CANVAS) / (3 * side)


def _above(viewer: ViewerModel, layer: Layer) -> int:
    return viewer.layers.index(layer) + 1 if layer in viewer.layers else len(viewer.layers)
