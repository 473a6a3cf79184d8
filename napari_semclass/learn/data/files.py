"""The files that a table names: found whatever the slashes and the Unicode form, or the reason why not."""

import os
import re
import sys
import unicodedata
from functools import cache
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from napari_semclass.names import fold, key, path_of_text, printable, text_of_path

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


class NamedFiles:
    """Finds files by the names that a table in the folder `base` gives them: text, which is not what a disk holds."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._same: dict[str, list[Path]] = {}
        self._entries = cache(_entries)

    def find(self, name: str) -> Path | None:
        """The file, by its exact name before any other reading of it; always the same path for the same file."""
        for reading in self._readings(name):
            path = self._exact(reading) or self._by_form(reading)
            if path is not None:
                return self._first_path(path)
        return None

    def reason(self, name: str) -> str:
        """Why a file was not found, as the end of a sentence that names it."""
        if sys.platform != "win32" and _WINDOWS.match(name):
            return "a path on a Windows computer; write paths relative to the table's folder, such as pictures/1.png."
        reading = self._readings(name)[-1]
        folder, part, is_last = self._deepest(reading)
        names = self._entries(folder)
        case = [entry for entry in names if fold(entry) == fold(part)]
        if len(case) > 1:
            return f"which may be any of {', '.join(map(repr, case))}; write one of these."
        if case:
            return f"which is not there, but {case[0]} is; write names with the case that they have on the disk."
        stems = [entry for entry in names if fold(Path(entry).stem) == fold(part)]
        if stems:
            return f"which is not there, but {stems[0]} is; write names with their endings."
        return "which is not there." if is_last else f"which is not there, as there is no folder {part}."

    def _readings(self, name: str) -> list[str]:
        """What the name may mean, the likeliest first: as it is, as an address, with the other slashes."""
        if name.lower().startswith("file:"):
            parts = urlsplit(name)
            return [url2pathname(parts.path) if parts.netloc in ("", "localhost") else unquote(parts.path)]
        slashed = name.replace("\\", "/")
        return list(dict.fromkeys([name, slashed]))

    def _exact(self, name: str) -> Path | None:
        for spelled in dict.fromkeys([_name_on_disk(name), path_of_text(name)]):
            path = self._base / spelled
            if _exists(path):
                return path
        return None

    def _by_form(self, name: str) -> Path | None:
        """The file whose name is the same in another Unicode form or with other blanks; None where several are."""
        path = Path(_anchor(name)) if _anchor(name) else self._base
        for part in _parts(name):
            if part == ".." or _exists(path / _name_on_disk(part)):
                path = path / _name_on_disk(part)
                continue
            names = self._entries(path)
            wanted = unicodedata.normalize("NFC", part)
            same = [one for one in names if unicodedata.normalize("NFC", one) == wanted]
            same = same or [one for one in names if key(one) == key(part)]
            if len(same) != 1:
                return None
            path = path / path_of_text(same[0])
        return path

    def _deepest(self, name: str) -> tuple[Path, str, bool]:
        """The last folder on the way to a file that is there, what is missing in it, and whether that is the file."""
        path = Path(_anchor(name)) if _anchor(name) else self._base
        parts = _parts(name)
        for number, part in enumerate(parts, start=1):
            if part != ".." and not _exists(path / _name_on_disk(part)):
                return path, part, number == len(parts)
            path = path / _name_on_disk(part)
        return path, "", True

    def _first_path(self, path: Path) -> Path:
        """The path by which the same file was found first, as where case or `..` make no difference."""
        plain = fold(text_of_path(os.path.abspath(path)))  # noqa: PTH100 - Path.resolve would follow links
        known = self._same.setdefault(plain, [])
        first = next((other for other in known if other == path or other.samefile(path)), None)
        if first is None:
            known.append(path)
        return first or path


def _entries(folder: Path) -> tuple[str, ...]:
    """Names in a folder, as text."""
    try:
        return tuple(sorted(text_of_path(entry.name) for entry in folder.iterdir()))
    except OSError:
        return ()


def _name_on_disk(name: str) -> str:
    """Text as this locale's Python needs it for a path; nothing in it stands for anything else."""
    try:
        return os.fsdecode(name.encode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        return printable(name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for the disk, or with a NUL
        return False


def _anchor(name: str) -> str:
    return (PureWindowsPath(name) if sys.platform == "win32" else Path(name)).anchor


def _parts(name: str) -> list[str]:
    path = PureWindowsPath(name) if sys.platform == "win32" else Path(name)
    return [part for part in path.parts if part != path.anchor]
