"""A data set on disk: a folder of pictures, with a manifest or by its folders, that says category and group of each."""

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Literal

from napari_semclass.classify.inputs import OVERLAY_SUFFIX
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import SUFFIXES, GreyRange, Micrograph

Part = Literal["", "train", "valid"]
Box = tuple[int, int, int, int]

MANIFEST = "manifest.csv"
_PARTS: dict[str, Part] = {"train": "train", "valid": "valid"}
_BOX = ("y0", "x0", "y1", "x1")
_GREY = ("grey_low", "grey_high")


@dataclass(frozen=True)
class Picture:
    """One labelled picture. Pictures of one `group` (specimen, series, file) must never be on both sides of a split.

    Parameters
    ----------
    path : Path
    category, group : str
    part : "train", "valid" or ""
        The side of the split that the data set asks for; empty where it leaves that open.
    box : (int, int, int, int) or None
        y0, x0, y1, x1 in level-0 pixels, half-open: the picture is only this box of the file.
    pixel_size : float or None
        Metres per pixel.
    licence : str
    grey : GreyRange or None
        Grey levels that become 0 and 1, for a picture cut out of a micrograph; None finds them in the file.
    source : str
        Laboratory, instrument or collection it is from; empty where the data set does not say.
    """

    path: Path
    category: str
    group: str
    part: Part = ""
    box: Box | None = None
    pixel_size: float | None = None
    licence: str = ""
    grey: GreyRange | None = None
    source: str = ""

    def sized(self, micrograph: Micrograph) -> Micrograph:
        """A micrograph of the file with the manifest's pixel size, which goes before the file's.

        Only for sizes: it is a copy, which would have its data bars found again.
        """
        return micrograph if self.pixel_size is None else replace(micrograph, pixel_size=self.pixel_size)


@dataclass(frozen=True)
class DataSet:
    """Labelled pictures of one folder; `ignored` names what lies there and was left out, with the reason."""

    folder: Path
    pictures: tuple[Picture, ...]
    ignored: tuple[str, ...] = ()

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of all categories, sorted."""
        return tuple(sorted({picture.category for picture in self.pictures}))

    @property
    def files(self) -> tuple[int, ...]:
        """Number of the file that each picture is (a box) of, counted from 0 in order of appearance."""
        numbers: dict[Path, int] = {}
        return tuple(numbers.setdefault(picture.path, len(numbers)) for picture in self.pictures)

    def name(self, picture: Picture) -> str:
        """The picture's path below the folder, with `[y0:y1, x0:x1]` for a box: how messages name it."""
        below = picture.path.is_relative_to(self.folder)
        name = (picture.path.relative_to(self.folder) if below else picture.path).as_posix()
        if picture.box is None:
            return name
        y0, x0, y1, x1 = picture.box
        return f"{name}[{y0}:{y1}, {x0}:{x1}]"


def read_dataset(folder: str | Path) -> DataSet:
    """Read a data set.

    Parameters
    ----------
    folder : str or Path
        With a `manifest.csv`, it says everything: columns `path` and `class`; optional `group` (otherwise each file
        is its own), `part` (train or valid), `y0,x0,y1,x1` (pixels, half-open; then a file may occur many times),
        `pixel_size` (metres), `licence`, `source` (laboratory or instrument) and `grey_low,grey_high` (grey levels that
        become 0 and 1). Otherwise
        `train/CLASS` and `valid/CLASS`, or one folder per class, with pictures of the suffixes in `SUFFIXES`; each
        file is its own group.

    Raises
    ------
    SettingsError
        No such folder, no pictures in it, or a manifest that contradicts itself or names a file that is not there.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SettingsError(f"{folder}: no such folder of pictures.")
    manifest = folder / MANIFEST
    if manifest.is_file():
        return DataSet(folder, tuple(_listed(manifest, {"path", "class"})))
    ignored: list[str] = []
    if all((folder / part).is_dir() for part in _PARTS):
        pictures = [p for name, part in _PARTS.items() for p in _found(folder, folder / name, part, ignored)]
    else:
        pictures = _found(folder, folder, "", ignored)
    if not pictures:
        raise SettingsError(
            f"{folder}: holds no labelled pictures; put them into one folder per category (CATEGORY/*.png, or "
            f"train/CATEGORY and valid/CATEGORY), or list them in a {MANIFEST} with columns path and class."
        )
    return DataSet(folder, tuple(pictures), tuple(ignored))


def read_manifest(folder: str | Path) -> list[Picture]:
    """Pictures listed in `folder/manifest.csv`, in its order; here the column `group` must be there.

    Raises
    ------
    SettingsError
        When the manifest is missing, lacks a column or a value, or names a file twice or one that is not there.
    """
    return _listed(Path(folder) / MANIFEST, {"path", "class", "group"})


def data_sha256(pictures: Sequence[Picture]) -> str:
    """SHA-256 over what is said of every picture and its content, whatever their order or folder."""
    contents = {path: _content_sha256(path) for path in {picture.path for picture in pictures}}
    entries = sorted(
        "|".join(
            [
                picture.category,
                picture.group,
                contents[picture.path],
                *([str(picture.box)] if picture.box else []),
                *([picture.part] if picture.part else []),
                *([str(picture.grey)] if picture.grey else []),
            ]
        )
        for picture in pictures
    )
    return hashlib.sha256("\n".join(entries).encode()).hexdigest()


def _content_sha256(path: Path) -> str:
    if path.is_dir():  # zarr
        files = sorted(file for file in path.rglob("*") if file.is_file())
        inside = [f"{file.relative_to(path).as_posix()}|{_content_sha256(file)}" for file in files]
        return hashlib.sha256("\n".join(inside).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _found(root: Path, folder: Path, part: Part, ignored: list[str]) -> list[Picture]:
    """Pictures in the category folders of `folder`; what else lies there is added to `ignored` with its reason."""
    pictures: list[Picture] = []
    for entry in _visible(folder):
        if _is_picture(entry):
            ignored.append(f"{_below(root, entry)}: lies in no category's folder.")
        elif entry.is_dir():
            pictures += _found_of_category(root, entry, part, ignored)
        else:
            ignored.append(f"{_below(root, entry)}: is no picture by its name.")
    return pictures


def _found_of_category(root: Path, folder: Path, part: Part, ignored: list[str]) -> list[Picture]:
    pictures = []
    for entry in _visible(folder):
        name = _below(root, entry)
        if _is_picture(entry):
            pictures.append(Picture(entry, folder.name, group=name, part=part))
        elif entry.name.endswith(OVERLAY_SUFFIX):
            ignored.append(f"{name}: is an overlay that classifying drew.")
        elif entry.is_dir():
            ignored.append(f"{name}: is a folder inside a category; list its pictures in a {MANIFEST} or move them up.")
        else:
            ignored.append(f"{name}: is no picture by its name.")
    if not pictures:
        ignored.append(f"{_below(root, folder)}: holds no pictures, so there is no such category.")
    return pictures


def _visible(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; hidden files are the system's, not the user's."""
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise SettingsError(f"{folder}: the folder cannot be read ({error.strerror}).") from error


def _is_picture(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in SUFFIXES and path.is_dir() == (suffix == ".zarr") and not path.name.endswith(OVERLAY_SUFFIX)


def _below(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _listed(manifest: Path, needed: set[str]) -> list[Picture]:
    """Pictures of the manifest's rows."""
    rows = _rows(manifest, needed)
    parted = any(row.get("part") for row in rows)
    pictures = []
    for line, row in enumerate(rows, start=2):
        where = f"{manifest}: line {line}"
        if not all(row.get(column) for column in needed | ({"group"} & row.keys())):
            raise SettingsError(f"{where} lacks a path, class or group.")
        if parted and row.get("part") not in _PARTS:
            given = row.get("part", "")
            raise SettingsError(f"{where} has the part {given!r}; where parts are given, each is train or valid.")
        pictures.append(
            Picture(
                path=manifest.parent / row["path"],
                category=row["class"],
                group=row.get("group") or row["path"],
                part=_PARTS[row["part"]] if parted else "",
                box=_box(row, where),
                pixel_size=_pixel_size(row.get("pixel_size", ""), where),
                licence=row.get("licence", ""),
                grey=_grey(row, where),
                source=row.get("source", ""),
            )
        )
    whole = Counter(picture.path for picture in pictures)
    twice = next((p.path for p in pictures if p.box is None and whole[p.path] > 1), None)
    if twice:
        raise SettingsError(f"{manifest}: names {twice} more than once, so it could be on both sides of a split.")
    missing = next((path for path in whole if not path.exists()), None)
    if missing:
        raise SettingsError(f"{manifest}: names {missing}, which is not there.")
    return pictures


def _rows(manifest: Path, needed: set[str]) -> list[dict[str, str]]:
    """Rows of the manifest by column, without blanks around the values."""
    try:
        # utf-8-sig: spreadsheets write a mark in front of the first column's name
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows = [{key: value.strip() for key, value in row.items() if isinstance(key, str)} for row in reader]
    except OSError as error:
        raise SettingsError(f"{manifest}: cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{manifest}: is not a CSV file in UTF-8 ({error}).") from error
    missing = needed - set(rows[0] if rows else ())
    if missing:
        raise SettingsError(f"{manifest}: has no column {', '.join(sorted(missing))}, or no rows.")
    return rows


def _box(row: dict[str, str], where: str) -> Box | None:
    texts = [row.get(column, "") for column in _BOX]
    if not any(texts):
        return None
    if not all(text.isdecimal() for text in texts):
        raise SettingsError(f"{where} has the box {', '.join(texts)}; it needs {', '.join(_BOX)} in whole pixels.")
    y0, x0, y1, x1 = map(int, texts)
    if not (y0 < y1 and x0 < x1):
        raise SettingsError(f"{where} has the box {', '.join(texts)}, which is empty; y1 and x1 lie behind y0 and x0.")
    return y0, x0, y1, x1


def _pixel_size(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not (isfinite(size) and size > 0):
        raise SettingsError(f"{where} has the pixel size {text!r}; it is a number of metres above 0.")
    return size


def _grey(row: dict[str, str], where: str) -> GreyRange | None:
    texts = [row.get(column, "") for column in _GREY]
    if not any(texts):
        return None
    try:
        low, high = map(float, texts)
    except ValueError:
        low = high = 0.0
    if not (isfinite(low) and isfinite(high) and low < high):
        raise SettingsError(f"{where} has the grey levels {', '.join(texts)}; they are two numbers, the first smaller.")
    return GreyRange(low, high)
