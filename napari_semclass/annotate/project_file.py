"""The form of a project on disk: project.json, which names the files that hold its arrays."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from napari_semclass.annotate.arrays import (
    load_arrays,
    painted_blocks,
    plain,
    prediction_arrays,
    predictions_from,
    put_block,
    save_arrays,
)
from napari_semclass.annotate.categories import Categories
from napari_semclass.annotate.entries import ImageEntry, LayerKind, MarkLayer, ResultEntry
from napari_semclass.classify.settings import Settings
from napari_semclass.errors import SettingsError
from napari_semclass.names import path_of_text, text_of_path
from napari_semclass.writing import json_text

PROJECT_NAME, MARKS, RESULTS, IMAGES = "project.json", "marks", "results", "images"
SUFFIX = ".semclass"
FORMAT: Literal[1] = 1
# Names are our own hashes, so that no project leads out of its folder.
FILE_NAME = r"[0-9a-f]{40}\.npz"

_STRICT = ConfigDict(extra="forbid")
_File = Annotated[str, Field(pattern=f"^{FILE_NAME}$")]


@dataclass(frozen=True, config=_STRICT)
class StoredLayer:
    """A `MarkLayer` whose arrays are in `files`; of labels these are blocks whose first pixels are at `corners`."""

    image: str
    kind: LayerKind
    name: str
    files: tuple[_File, ...]
    corners: tuple[tuple[int, ...], ...] = ()
    shape: tuple[int, ...] = ()
    dtype: str = ""
    numbers: tuple[int, ...] = ()
    shape_types: tuple[str, ...] = ()
    placement: dict[str, JsonValue] = Field(default_factory=dict)
    extra: dict[str, JsonValue] = Field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT)
class StoredResult:
    """A `ResultEntry` whose predictions are in `file`."""

    image: str
    model: str
    sha256: str
    file: _File


@dataclass(frozen=True, config=_STRICT)
class Stored:
    """All of project.json; `marks` is the number of marks, for lists of projects."""

    saved: str
    marks: int
    categories: Categories
    images: tuple[ImageEntry, ...]
    layers: tuple[StoredLayer, ...]
    results: tuple[StoredResult, ...]
    model: str
    settings: Settings
    plan_name: str
    plan: str
    imported: tuple[str, ...]
    format: Literal[1] = FORMAT


_STORED = TypeAdapter(Stored)


def to_json(stored: Stored) -> bytes:
    """project.json; what JSON cannot hold is written as its text rather than not at all."""
    return json_text(asdict(stored), indent=1, default=plain).encode()


def from_json(text: bytes, source: Path) -> Stored:
    """Read project.json and check every field.

    Raises
    ------
    SettingsError
        When it is damaged, or was written by another version of this program.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{source}: the project is damaged (it is not JSON); nothing in it was changed.") from error
    version = raw.get("format") if isinstance(raw, Mapping) else None
    if version != FORMAT:
        raise SettingsError(
            f"{source}: the project is of format {version!r}, this program knows format {FORMAT}; update "
            "napari-semclass, or open it with the version that wrote it."
        )
    try:
        return _STORED.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "project"
        raise SettingsError(f"{source}: the project is damaged ({where}: {first['msg']}).") from error


def store_layer(layer: MarkLayer, folder: Path) -> StoredLayer:
    """Write what is new of a layer's arrays.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    corners: tuple[tuple[int, ...], ...] = ()
    shape: tuple[int, ...] = ()
    dtype = ""
    if layer.kind == "labels":
        labels = layer.data
        assert not isinstance(labels, tuple)  # noqa: S101 - what its kind says
        blocks = [(corner, save_arrays({"block": block}, folder / MARKS)) for corner, block in painted_blocks(labels)]
        corners, files = tuple(corner for corner, _ in blocks), tuple(file for _, file in blocks)
        shape, dtype = tuple(int(n) for n in labels.shape), np.dtype(labels.dtype).str
    else:
        files = (save_arrays(_positions(layer), folder / MARKS),)
    return StoredLayer(
        layer.image,
        layer.kind,
        layer.name,
        files,
        corners,
        shape,
        dtype,
        tuple(int(number) for number in layer.numbers),
        tuple(str(kind) for kind in layer.shape_types),
        _plain(layer.placement),
        _plain(layer.extra),
    )


def load_layer(stored: StoredLayer, folder: Path) -> MarkLayer:
    """Read a layer.

    Raises
    ------
    SettingsError
        When a file is missing or damaged.
    """
    arrays = [load_arrays(folder / MARKS / file) for file in stored.files]
    try:
        data = _labels(stored, arrays) if stored.kind == "labels" else _placed(stored, arrays[0])
    except (KeyError, IndexError, ValueError, TypeError, MemoryError, SyntaxError) as error:  # the last of a dtype
        raise SettingsError(f"{folder / MARKS}: the files of the layer {stored.name} do not fit together.") from error
    return MarkLayer(
        stored.image,
        stored.kind,
        stored.name,
        data,
        stored.numbers,
        stored.shape_types,
        dict(stored.placement),
        dict(stored.extra),
    )


def store_result(result: ResultEntry, folder: Path) -> StoredResult:
    """Write a result, unless it is there.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    file = save_arrays(prediction_arrays(result.predictions), folder / RESULTS)
    return StoredResult(result.image, result.model, result.sha256, file)


def load_result(stored: StoredResult, folder: Path) -> ResultEntry:
    """Read a result.

    Raises
    ------
    SettingsError
        When its file is missing or damaged.
    """
    path = folder / RESULTS / stored.file
    try:
        predictions = predictions_from(load_arrays(path))
    except ValueError as error:
        raise error if isinstance(error, SettingsError) else SettingsError(f"{path}: is damaged ({error}).") from error
    return ResultEntry(stored.image, stored.model, stored.sha256, predictions)


def with_stored_path(entry: ImageEntry, folder: Path) -> ImageEntry:
    """The image as project.json has it: files inside the project or beside it are named relative to it."""
    if entry.path is None:
        return entry
    path, own = Path(entry.path).absolute(), folder.absolute()
    near = path.is_relative_to(own.parent)
    return replace(entry, path=text_of_path(Path(os.path.relpath(path, own)).as_posix() if near else path))


def with_full_path(entry: ImageEntry, folder: Path) -> ImageEntry:
    """The reverse of `with_stored_path`, wherever the folder is now."""
    if entry.path is None:
        return entry
    return replace(entry, path=os.path.normpath(folder.absolute() / path_of_text(entry.path)))


def _positions(layer: MarkLayer) -> dict[str, NDArray[Any]]:
    if isinstance(layer.data, tuple):
        shapes = [np.asarray(shape, dtype=np.float64) for shape in layer.data]
        lengths = np.array([len(shape) for shape in shapes], dtype=np.int64)
        return {"corners": np.concatenate(shapes) if shapes else np.zeros((0, 2)), "lengths": lengths}
    return {"points": np.array(layer.data, dtype=np.float64)}


def _placed(stored: StoredLayer, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Shapes or points, as many as there are numbers."""
    if stored.kind == "points":
        data: Any = arrays["points"]
        fits = data.ndim == 2
    else:
        lengths = arrays["lengths"]
        data = tuple(np.split(arrays["corners"], np.cumsum(lengths)[:-1])) if len(lengths) else ()
        fits = len(stored.shape_types) == len(data) and lengths.sum() == len(arrays["corners"])
    if not fits or len(data) != len(stored.numbers):
        raise ValueError("numbers and marks differ")
    return data


def _labels(stored: StoredLayer, arrays: list[dict[str, NDArray[Any]]]) -> NDArray[Any]:
    dtype = np.dtype(stored.dtype)
    if dtype.kind not in "ui":
        raise ValueError("labels are no whole numbers")
    labels = np.zeros(stored.shape, dtype=dtype)
    for corner, found in zip(stored.corners, arrays, strict=True):
        put_block(labels, corner, found["block"])
    return labels


def _plain(values: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Values as JSON has them: numpy's numbers and arrays become numbers and lists."""
    plain_values: dict[str, JsonValue] = json.loads(json.dumps(dict(values), default=plain))
    return plain_values
