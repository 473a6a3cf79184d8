"""Labelled pictures listed in a table, `manifest.csv`."""

import re
from collections import Counter
from math import isfinite
from pathlib import Path

from napari_semclass.errors import SettingsError
from napari_semclass.learn.data.files import NamedFiles
from napari_semclass.learn.data.picture import Box, Part, Picture, name_below, part_of
from napari_semclass.learn.data.table import Row, Table, read_table
from napari_semclass.micrograph import GreyRange
from napari_semclass.names import text_of_path, trimmed

_BOX = ("y0", "x0", "y1", "x1")
_GREY = ("grey_low", "grey_high")
_COLUMNS = ("path", "class", "group", "part", *_BOX, "pixel_size", "licence", "source", *_GREY)
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+")
_THOUSANDS_BY_POINTS = re.compile(r"[-+]?[1-9]\d{0,2}(\.\d{3})+")
_WHOLE = re.compile(r"[0-9]{1,15}(\.0*)?")  # programs write whole numbers as decimals where others are missing


def pictures_listed(manifest: Path, needed: set[str]) -> tuple[list[Picture], tuple[str, ...]]:
    """Pictures in the order of the table's rows, names as they are written there, and notes on how it was read.

    Raises
    ------
    SettingsError
        When the table is missing, lacks a column or a value, or names a file twice or one that is not there.
    """
    files = NamedFiles(manifest.parent)
    table = read_table(manifest, needed, _COLUMNS, lambda table: _names_files(table, files))
    shown = text_of_path(manifest)
    parted = any(trimmed(row.values.get("part", "")) for row in table.rows)
    required = [name for name in ("path", "class", "group") if name in needed or name in table.columns]
    pictures = []
    for row in table.rows:
        where = f"{shown}: line {row.line:,}"
        lacking = [name for name in required if not _text(row, name)]
        if lacking:
            raise SettingsError(f"{where} lacks its {' and '.join(lacking)}.")
        path = _file(row, files, where)
        pictures.append(
            Picture(
                path=path,
                category=row.values["class"],
                group=_text(row, "group") or name_below(manifest.parent, path),
                part=_part(row, where) if parted else "",
                box=_box(row, where),
                pixel_size=_pixel_size(row, table.delimiter, where),
                licence=_text(row, "licence"),
                grey=_grey(row, table.delimiter, where),
                source=_text(row, "source"),
            )
        )
    whole = Counter(picture.path for picture in pictures)
    twice = next((p.path for p in pictures if p.box is None and whole[p.path] > 1), None)
    if twice:
        raise SettingsError(
            f"{shown}: names {text_of_path(twice)} more than once, so it could be on both sides of a split."
        )
    return pictures, table.notes


def _text(row: Row, column: str) -> str:
    """A value on one line, without blanks around it."""
    return trimmed(_BREAKS.sub(" ", row.values.get(column, "")))


def _names_files(table: Table, files: NamedFiles) -> bool:
    """Whether the files exist whose names depend on how the table's bytes are read."""
    names = {name for row in table.rows if not (name := trimmed(row.values["path"])).isascii()}
    return all(files.find(name) for name in names)


def _file(row: Row, files: NamedFiles, where: str) -> Path:
    name = trimmed(row.values["path"])
    path = files.find(name)
    if path is None:
        raise SettingsError(f"{where} names {' '.join(name.split())[:300]}, {files.reason(name)}")
    return path


def _part(row: Row, where: str) -> Part:
    part = part_of(_text(row, "part"))
    if part is None:
        given = _text(row, "part")
        raise SettingsError(f"{where} has the part {given!r}; where parts are given, each is train or valid.")
    return part


def _box(row: Row, where: str) -> Box | None:
    texts = [_text(row, column) for column in _BOX]
    if not any(texts):
        return None
    if not all(_WHOLE.fullmatch(text) for text in texts):
        raise SettingsError(f"{where} has the box {', '.join(texts)}; it needs {', '.join(_BOX)} in whole pixels.")
    y0, x0, y1, x1 = (int(float(text)) for text in texts)
    if not (y0 < y1 and x0 < x1):
        raise SettingsError(f"{where} has the box {', '.join(texts)}, which is empty; y1 and x1 lie behind y0 and x0.")
    return y0, x0, y1, x1


def _pixel_size(row: Row, delimiter: str, where: str) -> float | None:
    text = _text(row, "pixel_size")
    if not text:
        return None
    size = _number(text, delimiter, where)
    if size is None or size <= 0:
        raise SettingsError(f"{where} has the pixel size {text!r}; it is a number of metres above 0.")
    return size


def _grey(row: Row, delimiter: str, where: str) -> GreyRange | None:
    texts = [_text(row, column) for column in _GREY]
    if not any(texts):
        return None
    low, high = (_number(text, delimiter, where) for text in texts)
    if low is None or high is None or not low < high:
        raise SettingsError(f"{where} has the grey levels {', '.join(texts)}; they are two numbers, the first smaller.")
    return GreyRange(low, high)


def _number(text: str, delimiter: str, where: str) -> float | None:
    """A finite number, with a decimal comma where values are not parted by commas; None for what is none."""
    if "," in text and delimiter != ";" and _THOUSANDS.fullmatch(text):
        raise SettingsError(f"{where} has {text!r}, of which the comma may part thousands or decimals; write a point.")
    if delimiter == ";" and _THOUSANDS_BY_POINTS.fullmatch(text):
        either = f"{text.replace('.', '')} or {text.replace('.', ',')}"
        raise SettingsError(f"{where} has {text!r}, of which the point may part thousands or decimals; write {either}.")
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
