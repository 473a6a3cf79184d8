"""The files that a table names: found whatever the slashes and the Unicode form, or the reason why not."""

import os
import re
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from napari_semclass.names import existing, exists, fold, names_by_form, path_of_text, printable, text_of_path

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


class NamedFiles:
    """Finds files by the names that a table in the folder `base` gives them: text, which is not what a disk holds."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._same: dict[str, list[Path]] = {}
        self._forms = cache(names_by_form)  # a folder may hold as many files as the table names

    def find(self, name: str) -> Path | None:
        """The file, by its exact name before any other reading of it; always the same path for the same file."""
        for reading in self._readings(name):
            for spelled in dict.fromkeys([_name_on_disk(reading), path_of_text(reading)]):
                path = existing(self._base / spelled, self._forms)
                if exists(path):
                    return self._first_path(path)
        return None

    def reason(self, name: str) -> str:
        """Why a file was not found, as the end of a sentence that names it."""
        if sys.platform != "win32" and _WINDOWS.match(name):
            return "a path on a Windows computer; write paths relative to the table's folder, such as pictures/1.png."
        reading = self._readings(name)[-1]
        folder, part, is_last = self._deepest(reading)
        names = [text_of_path(entry) for same in self._forms(folder).values() for entry in same]
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

    def _deepest(self, name: str) -> tuple[Path, str, bool]:
        """The last folder on the way to a file that is there, what is missing in it, and whether that is the file."""
        named = Path(name)
        path, parts = self._base / named.anchor, named.parts[bool(named.anchor) :]
        for number, part in enumerate(parts, start=1):
            inner = existing(path / _name_on_disk(part), self._forms)
            if part != ".." and not exists(inner):
                return path, part, number == len(parts)
            path = inner
        return path, "", True

    def _first_path(self, path: Path) -> Path:
        """The path by which the same file was found first, as where case or `..` make no difference."""
        plain = fold(text_of_path(os.path.abspath(path)))  # noqa: PTH100 - Path.resolve would follow links
        known = self._same.setdefault(plain, [])
        first = next((other for other in known if other == path or other.samefile(path)), None)
        if first is None:
            known.append(path)
        return first or path


def _name_on_disk(name: str) -> str:
    """Text as this locale's Python needs it for a path; nothing in it stands for anything else."""
    try:
        return os.fsdecode(name.encode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        return printable(name)
