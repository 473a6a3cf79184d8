"""Labelled pictures by their folders: one folder for each category."""

import os
from pathlib import Path

from napari_semclass.classify.inputs import OVERLAY_SUFFIX
from napari_semclass.errors import SettingsError
from napari_semclass.learn.data.picture import Part, Picture, name_below, part_of
from napari_semclass.micrograph import SUFFIXES
from napari_semclass.names import key, text_of_path

MANIFEST = "manifest.csv"


def labelled_in_folders(folder: Path) -> tuple[list[Picture], list[str]]:
    """Pictures in the category folders of a folder, or of its folders for training and validation.

    Returns
    -------
    list of Picture, list of str
        And what else lies there, with the reason why it is left out.

    Raises
    ------
    SettingsError
        When a folder cannot be read.
    """
    ignored: list[str] = []
    entries = _visible(folder)
    parts = {entry: part for entry in entries if entry.is_dir() and (part := part_of(text_of_path(entry.name)))}
    if set(parts.values()) != {"train", "valid"} or not all(map(_holds_folders, parts)):
        return _of_part(folder, folder, "", ignored), ignored
    pictures = [one for entry in parts for one in _of_part(folder, entry, parts[entry], ignored)]
    ignored += [f"{name_below(folder, entry)}: is neither train nor valid." for entry in entries if entry not in parts]
    return pictures, ignored


def _of_part(root: Path, folder: Path, part: Part, ignored: list[str]) -> list[Picture]:
    """Pictures in the category folders of `folder`; what else lies there is added to `ignored` with its reason."""
    pictures: list[Picture] = []
    for entry in _visible(folder):
        if _is_picture(entry):
            ignored.append(f"{name_below(root, entry)}: lies in no category's folder.")
        elif entry.is_dir():
            pictures += _of_category(root, entry, part, ignored)
        else:
            ignored.append(f"{name_below(root, entry)}: is no picture by its name.")
    return pictures


def _of_category(root: Path, folder: Path, part: Part, ignored: list[str]) -> list[Picture]:
    pictures = []
    category = _readable(folder.name)
    for entry in _visible(folder):
        name = name_below(root, entry)
        if _is_picture(entry):
            pictures.append(Picture(entry, category, group=name, part=part))
        elif entry.name.endswith(OVERLAY_SUFFIX):
            ignored.append(f"{name}: is an overlay that classifying drew.")
        elif entry.is_dir():
            ignored.append(f"{name}: is a folder inside a category; list its pictures in a {MANIFEST} or move them up.")
        else:
            ignored.append(f"{name}: is no picture by its name.")
    if not pictures:
        ignored.append(f"{name_below(root, folder)}: holds no pictures, so there is no such category.")
    return pictures


def _readable(name: str) -> str:
    """A folder's name as a category: as UTF-8 or, where it is none, as the locale reads it."""
    try:
        return os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError:
        return name if name.isprintable() else text_of_path(name)


def _visible(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; hidden files are the system's, not the user's."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise SettingsError(f"{text_of_path(folder)}: the folder cannot be read ({error.strerror}).") from error
    return sorted(entries, key=lambda entry: (key(text_of_path(entry.name)), entry.name))


def _holds_folders(folder: Path) -> bool:
    """Whether it may hold categories; one that is a category itself holds pictures."""
    return part_of(folder.name) == folder.name or any(e.is_dir() and not _is_picture(e) for e in _visible(folder))


def _is_picture(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in SUFFIXES and path.is_dir() == (suffix == ".zarr") and not path.name.endswith(OVERLAY_SUFFIX)
