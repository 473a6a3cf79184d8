"""Between a project on disk and an open viewer: what is open becomes a project, and a project is opened again."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes

from napari_semclass.annotate.categories import Categories
from napari_semclass.annotate.planes import VALUES
from napari_semclass.annotate.project import ImageEntry, MarkLayer, Project, ResultEntry
from napari_semclass.classify.layers import METADATA_KEY
from napari_semclass.errors import SettingsError, brief
from napari_semclass.viewer import mark_layers as marks
from napari_semclass.viewer.bar_layers import corrected_rows, restore_rows
from napari_semclass.viewer.layers import MARKS_KEY, RESULT_KEY, image_of, predictions_of, results
from napari_semclass.viewer.mark_snapshot import kept_layers

_ID_KEY = "semclass_id"
_PLACEMENT = ("scale", "translate", "rotate", "shear", "units", "axis_labels")


def id_of(image: Image) -> str:
    """What a project calls an image: the same in every session."""
    return str(image.metadata.get(_ID_KEY, image.unique_id))


def project_of(
    viewer: ViewerModel, categories: Categories, last: Project, images: Sequence[Image], model: str
) -> tuple[Project, dict[str, Any]]:
    """What is open, as a project, and the pixels of images that have no file yet; nothing is copied.

    `last` is the project as it was saved or read last: it knows paths and hashes. Images of it that are closed now stay
    in the project with their marks: to close a picture is not to take back what was marked on it.
    """
    known = {entry.id: entry for entry in last.images}
    concerned = [image for image in images if _is_concerned(viewer, image)]
    entries = tuple(_entry(image, known.get(id_of(image))) for image in concerned)
    layers = tuple(layer for image in concerned for layer in kept_layers(viewer, image, id_of(image)))
    found = []
    for labels in results(viewer):
        image = image_of(viewer, labels)
        if image in concerned and image is not None:
            found.append(_result(labels, image))
    pixels = {e.id: i.data for e, i in zip(entries, concerned, strict=True) if e.path is None}
    closed = closed_of(last, images)
    project = replace(
        last,
        categories=categories,
        images=(*entries, *closed.images),
        layers=(*layers, *closed.layers),
        results=(*found, *closed.results),
        model=model,
    )
    return project, pixels


def closed_of(last: Project, images: Sequence[Image]) -> Project:
    """What a project holds of images that are not open, as a project that nobody has saved."""
    there = {id_of(image) for image in images}
    return Project(
        images=tuple(entry for entry in last.images if entry.id not in there),
        layers=tuple(layer for layer in last.layers if layer.image not in there),
        results=tuple(result for result in last.results if result.image not in there),
    )


def open_image(viewer: ViewerModel, entry: ImageEntry, path: Path) -> Image:
    """Open an image of a project, or take the layer that shows it already.

    Raises
    ------
    SettingsError
        When the file no longer gives the image.
    """
    present = next((one for one in viewer.layers if isinstance(one, Image) and id_of(one) == entry.id), None)
    if present is not None:
        return present
    opened = _opened(viewer, path)
    found = [one for one in opened if isinstance(one, Image) and marks.image_shape(one) == tuple(entry.shape)]
    if not found:
        raise SettingsError(f"{path}: does not hold the image of {' x '.join(map(str, entry.shape))} px any more.")
    image = next((one for one in found if one.name == entry.name), found[0])
    image.name = entry.name
    image.metadata = {**image.metadata, _ID_KEY: entry.id, marks.SPECIMEN_KEY: entry.specimen}
    for key, value in entry.placement.items():
        setattr(image, key, np.asarray(value) if key == "affine" else value)
    if entry.data_bar is not None:
        restore_rows(viewer, image, entry.data_bar)
    return image


def open_file(viewer: ViewerModel, path: str) -> Image:
    """Open a file of one micrograph.

    Raises
    ------
    SettingsError
        When there is no such file, or napari cannot open it as an image.
    """
    if not Path(path).exists():
        raise SettingsError(f"{path}: is not there any more.")
    image = next((one for one in _opened(viewer, Path(path)) if isinstance(one, Image)), None)
    if image is None:
        raise SettingsError(f"{path}: does not hold an image.")
    return image


def open_marks(viewer: ViewerModel, layer: MarkLayer, image: Image, categories: Categories) -> None:
    """Show a layer of marks of a project."""
    added: Labels | Shapes | Points
    if layer.kind == "labels":
        added = marks.add_painting(viewer, image, categories, np.asarray(layer.data))
    elif layer.kind == "shapes":
        added = marks.add_regions(viewer, image, categories, tiles=layer.extra.get(marks.ROLE) == marks.TILES_ROLE)
        if len(layer.data):
            added.add(list(layer.data), shape_type=list(layer.shape_types))
    else:
        added = marks.add_points(viewer, image, categories)
        added.data = np.asarray(layer.data, dtype=float).reshape(-1, added.ndim)
    added.name = layer.name
    remembered = {**added.metadata[MARKS_KEY], **layer.extra}
    if VALUES in remembered:  # JSON has only words for keys
        remembered[VALUES] = {int(value): number for value, number in remembered[VALUES].items()}
    added.metadata = {**added.metadata, MARKS_KEY: remembered}
    if isinstance(added, Labels):
        marks.show_categories(added, categories)
    else:
        marks.set_numbers(added, range(len(layer.numbers)), list(layer.numbers), categories)


def _opened(viewer: ViewerModel, path: Path) -> list[Any]:
    """The layers of a file, by napari's own reader if it can: with several that could, it would ask which one to take.

    Where it lies and what it measures comes from the project, not from the reader.
    """
    try:
        return list(viewer.open(path, plugin="napari", layer_type="image"))
    except Exception:  # readers raise whatever they like
        try:
            return list(viewer.open(path, layer_type="image"))
        except Exception as error:
            raise SettingsError(f"{path}: napari cannot open it ({brief(error)}).") from error


def _is_concerned(viewer: ViewerModel, image: Image) -> bool:
    """Whether an image has marks or results; others are none of the project's business."""
    mine = any(image_of(viewer, labels) is image for labels in results(viewer))
    return mine or bool(marks.mark_layers(viewer, image))


def _entry(image: Image, known: ImageEntry | None) -> ImageEntry:
    level0 = image.data[0] if image.multiscale else image.data
    path = image.source.path
    bars = corrected_rows(image)
    if known is not None:
        now = {"name": image.name, "specimen": marks.specimen_of(image), "placement": _plain_placement(image)}
        return replace(known, **now, data_bar=bars)
    return ImageEntry(
        id_of(image),
        image.name,
        str(Path(path).absolute()) if path else None,
        tuple(marks.image_shape(image)),
        str(level0.dtype),
        bool(image.rgb),
        marks.specimen_of(image),
        _plain_placement(image),
        bars,
    )


def _result(labels: Labels, image: Image) -> ResultEntry:
    predictions = tuple(predictions_of(labels))
    first = next(p for p in predictions if p is not None)
    model = labels.metadata[METADATA_KEY].get(RESULT_KEY, "")
    return ResultEntry(id_of(image), model, (first.made or {}).get("model", {}).get("sha256", ""), predictions)


def _plain_placement(layer: Any) -> dict[str, Any]:
    """Where a layer lies, in plain numbers and words."""
    where: dict[str, Any] = {}
    for key in _PLACEMENT:
        if hasattr(layer, key):
            value = getattr(layer, key)
            where[key] = [str(v) for v in value] if key in ("units", "axis_labels") else np.asarray(value).tolist()
    return {**where, "affine": np.asarray(layer.affine.affine_matrix).tolist()}
