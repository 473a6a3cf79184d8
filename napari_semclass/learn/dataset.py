"""A data set on disk: a folder of pictures, with a manifest or by its folders, that says category and group of each."""

import hashlib
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from napari_semclass.errors import SettingsError
from napari_semclass.learn.data.folders import MANIFEST, labelled_in_folders
from napari_semclass.learn.data.manifest import pictures_listed
from napari_semclass.learn.data.picture import Box, DataSet, Part, Picture, name_below, sorted_names
from napari_semclass.names import existing, text_of_path

__all__ = [
    "MANIFEST",
    "Box",
    "DataSet",
    "Part",
    "Picture",
    "data_sha256",
    "name_below",
    "read_dataset",
    "read_manifest",
    "sorted_names",
]


def read_dataset(folder: str | Path) -> DataSet:
    """Read a data set.

    Parameters
    ----------
    folder : str or Path
        With a `manifest.csv`, it says everything: columns `path` and `class`; optional `group` (otherwise each file
        is its own), `part` (train or valid), `y0,x0,y1,x1` (pixels, half-open; then a file may occur many times),
        `pixel_size` (metres), `licence`, `source` (laboratory or instrument) and `grey_low,grey_high` (grey levels that
        become 0 and 1); separated by commas, semicolons, tabs or bars, as spreadsheets save it. Otherwise
        `train/CLASS` and `valid/CLASS`, or one folder per class, with pictures of the suffixes in `SUFFIXES`; each
        file is its own group.

    Returns
    -------
    DataSet
        A name written in several Unicode forms is one name; `notes` says what else about names and the table.

    Raises
    ------
    SettingsError
        No such folder, no pictures in it, or a manifest that contradicts itself or names a file that is not there.
    """
    folder = existing(folder)
    if not folder.is_dir():
        raise SettingsError(f"{text_of_path(folder)}: no such folder of pictures.")
    manifest = folder / MANIFEST
    if manifest.is_file():
        listed, notes = pictures_listed(manifest, {"path", "class"})
        return DataSet(folder, tuple(listed), notes=notes).unified()
    pictures, ignored = labelled_in_folders(folder)
    if not pictures:
        raise SettingsError(
            f"{text_of_path(folder)}: holds no labelled pictures; put them into one folder per category "
            f"(CATEGORY/*.png, or train/CATEGORY and valid/CATEGORY), or list them in a {MANIFEST} with columns path "
            "and class."
        )
    return DataSet(folder, tuple(pictures), tuple(ignored)).unified()


def read_manifest(folder: str | Path) -> list[Picture]:
    """Pictures listed in `folder/manifest.csv`, in its order; here the column `group` must be there.

    Raises
    ------
    SettingsError
        When the manifest is missing, lacks a column or a value, or names a file twice or one that is not there.
    """
    folder = existing(folder)
    listed, notes = pictures_listed(folder / MANIFEST, {"path", "class", "group"})
    return list(DataSet(folder, tuple(listed), notes=notes).unified().pictures)


def data_sha256(pictures: Sequence[Picture]) -> str:
    """SHA-256 over what is said of every picture and its content, whatever their order, folder or Unicode form."""
    contents = {path: _content_sha256(path) for path in {picture.path for picture in pictures}}
    entries = sorted(
        "|".join(
            [
                unicodedata.normalize("NFC", picture.category),
                unicodedata.normalize("NFC", picture.group),
                contents[picture.path],
                *([str(picture.box)] if picture.box else []),
                *([picture.part] if picture.part else []),
                *([str(picture.grey)] if picture.grey else []),
            ]
        )
        for picture in pictures
    )
    return hashlib.sha256("\n".join(entries).encode("utf-8", "backslashreplace")).hexdigest()


def _content_sha256(path: Path) -> str:
    if path.is_dir():  # zarr
        files = sorted(file for file in path.rglob("*") if file.is_file())
        inside = [f"{file.relative_to(path).as_posix()}|{_content_sha256(file)}" for file in files]
        return hashlib.sha256("\n".join(inside).encode("utf-8", "backslashreplace")).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
