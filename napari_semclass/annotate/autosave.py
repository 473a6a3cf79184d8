"""Sessions that have no project yet: where their marks are saved by themselves, and how a lost one is found again."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from platformdirs import user_data_path

from napari_semclass.annotate.project_file import PROJECT_NAME, SUFFIX, from_json

_MOST = 10
# A process that began at another time has only got its number again.
_SAME_START_S = 2.0
_NAME = re.compile(rf"\d{{8}}-\d{{6}}-(?P<pid>\d+)-(?P<start>\d+)(-\d+)?{re.escape(SUFFIX)}")


@dataclass(frozen=True)
class Leftover:
    """A session that ended without being saved as a project: its folder, when it was saved last, what it holds."""

    folder: Path
    saved: datetime
    marks: int
    images: tuple[str, ...]


def autosave_root() -> Path:
    """Where unnamed sessions are kept: `SEMCLASS_AUTOSAVE`, else a folder where the system keeps such data."""
    chosen = os.environ.get("SEMCLASS_AUTOSAVE")
    return Path(chosen) if chosen else user_data_path("napari-semclass") / "autosave"


def autosave_folder() -> Path:
    """A folder for the project of this session, not made yet; of those of earlier sessions the last ten are kept."""
    root = autosave_root()
    for folder in _ended(root)[_MOST - 1 :]:
        discard(folder)
    process = psutil.Process()
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{process.pid}-{round(process.create_time())}"
    names = (f"{name}{number}{SUFFIX}" for number in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(folder for folder in (root / name for name in names) if not folder.exists())


def leftovers(root: Path | None = None) -> list[Leftover]:
    """Sessions that can be opened again, the last one first; those still running and those without marks are not."""
    found = []
    for folder in _ended(root or autosave_root()):
        path = folder / PROJECT_NAME
        try:
            stored = from_json(path.read_bytes(), path)
            saved = datetime.fromisoformat(stored.saved)
        except (OSError, ValueError):
            continue  # opening it says what is wrong; it is offered no more, nor thrown away before its time
        if stored.marks:
            found.append(Leftover(folder, saved, stored.marks, tuple(entry.name for entry in stored.images)))
    return sorted(found, key=lambda one: one.saved, reverse=True)


def discard(folder: Path) -> None:
    """Throw an unnamed session away; anything that is not one is left alone."""
    if _NAME.fullmatch(folder.name):
        shutil.rmtree(folder, ignore_errors=True)


def _ended(root: Path) -> list[Path]:
    """Folders of sessions whose process is gone, the last changed first."""

    def changed(folder: Path) -> float:
        try:
            return (folder / PROJECT_NAME).stat().st_mtime
        except OSError:
            return 0.0

    return sorted((folder for folder in _sessions(root) if not _is_running(folder)), key=changed, reverse=True)


def _sessions(root: Path) -> Iterator[Path]:
    try:
        yield from (folder for folder in root.iterdir() if _NAME.fullmatch(folder.name) and folder.is_dir())
    except OSError:
        return


def _is_running(folder: Path) -> bool:
    named = _NAME.fullmatch(folder.name)
    if named is None:
        return False
    try:
        began = psutil.Process(int(named["pid"])).create_time()
    except psutil.Error:
        return False
    return bool(abs(began - int(named["start"])) <= _SAME_START_S)
