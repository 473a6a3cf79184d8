"""Files written whole or not at all: what is there stays until its successor is complete."""

import csv
import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from filelock import FileLock, Timeout

from napari_semclass.errors import OutputError, brief
from napari_semclass.names import printable

_LOCK = ".semclass.lock"
_NO_TEXT = re.compile("[\ud800-\udfff]+")
_CHANCE = 8  # bytes in the name of a temporary file


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes the place of `path` when the block ends well.

    Folders on the way are made. When the block fails, `path` is as it was and nothing is left beside it.

    Raises
    ------
    OutputError
        When anything cannot be written, such as for want of space or permission.
    """
    # Short, so that a file name as long as the system allows can still be written; by chance, because computers that
    # share a network drive may write at the same time in processes of the same number.
    temporary = path.with_name(f".{secrets.token_hex(_CHANCE)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or brief(error)}).") from error
    finally:
        # A folder that cannot be written to holds no temporary file either.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def clear_leftovers(folder: Path, older_s: float = 0.0) -> None:
    """Remove the temporary files, older than so many seconds, that killed processes left in a folder and below."""
    latest = time.time() - older_s
    for path in folder.rglob(f".{'?' * 2 * _CHANCE}.part"):
        with suppress(OSError):  # somebody else removed it
            if path.stat().st_mtime <= latest:
                path.unlink()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder as the only process that writes results into it; the system lets go of it when the process dies.

    Where the disk knows no locks, as some network drives do, nothing is held.

    Raises
    ------
    OutputError
        When another process holds it, or it cannot be made.
    """
    file = folder / _LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(
            f"{folder}: another process is writing results there; wait for its end or choose another output folder."
        ) from error
    except NotImplementedError:
        lock = None
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written to ({error.strerror or brief(error)}).") from error
    try:
        yield
    finally:
        if lock is not None:
            with suppress(OSError):  # on Windows an open file stays until the lock is gone
                file.unlink()
            lock.release()


def json_text(value: Any, **options: Any) -> str:
    r"""JSON in which every character stands for itself, and file names that are no text are written as in `\xe9`.

    `options` are those of `json.dumps`.
    """
    text = json.dumps(value, ensure_ascii=False, **options)
    return _NO_TEXT.sub(lambda match: printable(match[0]).replace("\\", "\\\\"), text)


def csv_writer(file: TextIO) -> Any:
    """A csv.writer whose rows end in a line feed alone; opened with `newline=""`, it is read back as it was written.

    csv.writer quotes carriage returns only where they end its rows: in a name, one would begin a new row.
    """
    return csv.writer(_Rows(file))


@dataclass(frozen=True)
class _Rows:
    file: TextIO

    def write(self, row: str) -> int:
        """Write a row, which csv.writer gives whole."""
        return self.file.write(row.removesuffix("\r\n") + "\n")
