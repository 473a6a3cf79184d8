"""Reads and writes projects, so that nothing marked is lost: not by a crash, nor by another window or version."""

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from napari_semclass.annotate.content import content_of
from napari_semclass.annotate.entries import ImageEntry, LayerKind, MarkLayer, Project, ResultEntry
from napari_semclass.annotate.pixels import write_tiff
from napari_semclass.annotate.project_file import (
    FILE_NAME,
    IMAGES,
    MARKS,
    PROJECT_NAME,
    RESULTS,
    SUFFIX,
    Stored,
    from_json,
    load_layer,
    load_result,
    store_layer,
    store_result,
    to_json,
    with_full_path,
    with_stored_path,
)
from napari_semclass.annotate.runs import count_marks
from napari_semclass.errors import OutputError, SettingsError, brief
from napari_semclass.names import existing
from napari_semclass.writing import clear_leftovers, replacing

__all__ = ["ImageEntry", "LayerKind", "MarkLayer", "Project", "ResultEntry", "read_project", "write_project"]

# Saves of one process follow each other, and know each other's states: the last one may come while one is written.
_lock = threading.Lock()
# Temporary files of a process that was killed; younger ones may be of another window that is saving now.
_LEFTOVER_S = 3600.0
_written: dict[Path, str] = {}


def write_project(
    project: Project, folder: str | Path, pixels: Mapping[str, Any] | None = None, *, overwrite: bool = False
) -> Project:
    """Save a project.

    Arrays are written first, each to a file named by its content and only if it is not there; project.json, which
    names them, then replaces its predecessor at once. A crash at any moment leaves the old state or the new one.
    Images without a file come last, so that marks never wait for pixels.

    Parameters
    ----------
    project : Project
    folder : str or Path
        Made if need be; its name should end in `.semclass`.
    pixels : mapping of image id to array, optional
        Of images without a file (of a pyramid, its levels); they are kept in the project.
    overwrite : bool
        Replace another project there, or a state that this one does not follow. A project that cannot be read is
        never replaced.

    Returns
    -------
    Project
        What is on disk now: go on with this one.

    Raises
    ------
    OutputError
        When it cannot be written, or must not replace what is there.
    MicrographError
        When an image cannot deliver its pixels; all else is saved then.
    """
    folder = Path(folder)
    with _lock:
        _refuse_to_lose(project, folder, overwrite)
        stored = _stored(project, folder)
        stamp = _commit(stored, folder)
        images = tuple(_kept(entry, folder, pixels or {}) for entry in project.images)
        if any(kept is not entry for kept, entry in zip(images, project.images, strict=True)):
            stored = replace(stored, images=tuple(with_stored_path(entry, folder) for entry in images))
            stamp = _commit(stored, folder)
        _clear(folder / MARKS, {file for layer in stored.layers for file in layer.files})
        clear_leftovers(folder, _LEFTOVER_S)
        _clear(folder / RESULTS, {result.file for result in stored.results})
    return replace(project, images=images, saved=stored.saved, stamp=stamp, problems=())


def read_project(folder: str | Path) -> Project:
    """Open a project; nothing on disk is changed.

    A layer or result whose file is damaged is left out, and `problems` says so. Saving over what could not be read
    whole is refused (see `write_project`).

    Raises
    ------
    SettingsError
        When there is no project, or project.json is damaged or of another version.
    """
    folder = existing(folder)
    path = folder / PROJECT_NAME
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        what = "is no project (it has no project.json)" if folder.is_dir() else "no such project"
        raise SettingsError(f"{folder}: {what}.") from error
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror or brief(error)}).") from error
    stored = from_json(text, path)
    problems: list[str] = []
    layers = _readable(
        [(f"the layer {one.name}", lambda one=one: load_layer(one, folder)) for one in stored.layers], problems
    )
    results = _readable(
        [(f"a result of {one.model}", lambda one=one: load_result(one, folder)) for one in stored.results], problems
    )
    if problems:
        with _lock:
            _written.pop(folder.resolve(), None)
    return Project(
        stored.categories,
        tuple(with_full_path(entry, folder) for entry in stored.images),
        tuple(layers),
        stored.model,
        stored.settings,
        tuple(results),
        stored.plan_name,
        stored.plan,
        stored.imported,
        stored.saved,
        "" if problems else _stamp(text),
        tuple(problems),
    )


def _readable(wanted: Iterable[tuple[str, Any]], problems: list[str]) -> list[Any]:
    """What can be read; for all else a sentence is added to `problems`."""
    found = []
    for name, load in wanted:
        try:
            found.append(load())
        except SettingsError as error:
            problems.append(f"{name} could not be read: {error}")
    return found


def _refuse_to_lose(project: Project, folder: Path, overwrite: bool) -> None:
    """Refuse to replace what cannot be read, and what was saved by somebody else meanwhile."""
    path = folder / PROJECT_NAME
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be read ({error.strerror or brief(error)}), so it is not replaced."
        ) from error
    if _stamp(text) in (project.stamp, _written.get(folder.resolve())):
        return
    try:
        from_json(text, path)
    except SettingsError as error:
        raise OutputError(f"{error} It is not replaced; save under another name.") from error
    if not overwrite:
        raise OutputError(
            f"{folder}: holds another project, or a state that was not opened here or not whole; save under another "
            "name."
        )


def _stored(project: Project, folder: Path) -> Stored:
    """The project as project.json has it; its arrays are written."""
    try:
        return Stored(
            saved=datetime.now(UTC).isoformat(timespec="seconds"),
            marks=sum(_marks(layer) for layer in project.layers),
            categories=project.categories,
            images=tuple(with_stored_path(entry, folder) for entry in project.images),
            layers=tuple(store_layer(layer, folder) for layer in project.layers),
            results=tuple(store_result(result, folder) for result in project.results),
            model=project.model,
            settings=project.settings,
            plan_name=project.plan_name,
            plan=project.plan,
            imported=project.imported,
        )
    except ValidationError as error:
        raise OutputError(
            f"{folder}: cannot be saved ({brief(error)}); what was saved before is still there."
        ) from error


def _commit(stored: Stored, folder: Path) -> str:
    """Replace project.json, if the new one can be read again; return its stamp."""
    text = to_json(stored)
    try:
        from_json(text, folder / PROJECT_NAME)
    except SettingsError as error:
        raise OutputError(
            f"{error} This is what was about to be saved; what was saved before is still there."
        ) from error
    with replacing(folder / PROJECT_NAME) as temporary, temporary.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    stamp = _stamp(text)
    _written[folder.resolve()] = stamp
    return stamp


def _stamp(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _marks(layer: MarkLayer) -> int:
    """Number of marks in a layer: shapes, points, or connected painted areas."""
    if layer.kind != "labels":
        return len(layer.numbers)
    labels = layer.data
    assert not isinstance(labels, tuple)  # noqa: S101 - what its kind says
    return count_marks([labels[plane] for plane in np.ndindex(*labels.shape[:-2])])


def _kept(entry: ImageEntry, folder: Path, pixels: Mapping[str, Any]) -> ImageEntry:
    """The image with a file that stays, and with what that file is."""
    path = None if entry.path is None else Path(entry.path)
    own = folder.absolute() / IMAGES
    if path is None:
        if entry.id not in pixels:
            return entry
        array = pixels[entry.id]
        if isinstance(array, list | tuple) or type(array).__name__ == "MultiScaleData":
            array = array[0]
        path = own / f"{hashlib.sha256(entry.id.encode()).hexdigest()[:16]}.tif"
        write_tiff(array, path, rgb=entry.rgb, name=entry.name)
    elif path.parent.name == IMAGES and path.parent.parent.suffix == SUFFIX and path.parent.absolute() != own:
        # It lies in another project, such as an unfinished session, which may be thrown away.
        if path.is_file():
            with replacing(own / path.name) as temporary:
                shutil.copyfile(path, temporary)
            path = own / path.name
    elif entry.sha256:
        return entry
    try:
        found = content_of(path)
    except OSError:  # gone or out of reach just now: its marks are saved all the same
        return entry
    return replace(entry, path=str(path), sha256=found.sha256, size=found.size, mtime_ns=found.mtime_ns)


def _clear(folder: Path, used: set[str]) -> None:
    """Remove files of ours that no project names any more."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name not in used and re.fullmatch(FILE_NAME, path.name):
                path.unlink(missing_ok=True)
