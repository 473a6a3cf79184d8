"""A data set on disk: a folder of pictures with a manifest that names category and group of each."""

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_semclass.errors import SettingsError


@dataclass(frozen=True)
class Picture:
    """One labelled picture. Pictures of one `group` (specimen, series, file) must never be on both sides of a split."""

    path: Path
    category: str
    group: str


def read_manifest(folder: str | Path) -> list[Picture]:
    """Pictures listed in `folder/manifest.csv` (columns `path`, `class`, `group`), in its order.

    Raises
    ------
    SettingsError
        When the manifest is missing, lacks a column or a value, or names a file twice or one that is not there.
    """
    folder = Path(folder)
    manifest = folder / "manifest.csv"
    try:
        # utf-8-sig: spreadsheets write a mark in front of the first column's name
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise SettingsError(f"{manifest}: cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{manifest}: is not a CSV file in UTF-8 ({error}).") from error
    missing = {"path", "class", "group"} - set(rows[0] if rows else ())
    if missing:
        raise SettingsError(f"{manifest}: has no column {', '.join(sorted(missing))}, or no rows.")
    for line, row in enumerate(rows, start=2):
        if not (row["path"] and row["class"] and row["group"]):
            raise SettingsError(f"{manifest}: line {line} lacks a path, class or group.")
    twice = [path for path, count in Counter(row["path"] for row in rows).items() if count > 1]
    if twice:
        raise SettingsError(f"{manifest}: names {twice[0]} more than once, so it could be on both sides of a split.")
    pictures = [Picture(folder / row["path"], row["class"], row["group"]) for row in rows]
    for picture in pictures:
        if not picture.path.is_file():
            raise SettingsError(f"{manifest}: names {picture.path}, which is not there.")
    return pictures


def data_sha256(pictures: Sequence[Picture]) -> str:
    """SHA-256 over category, group and content of every picture, whatever their order or folder."""
    entries = sorted(
        f"{picture.category}|{picture.group}|{hashlib.sha256(picture.path.read_bytes()).hexdigest()}"
        for picture in pictures
    )
    return hashlib.sha256("\n".join(entries).encode()).hexdigest()
