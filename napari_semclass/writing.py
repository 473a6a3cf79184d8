"""Files written whole or not at all: what is there stays until its successor is complete."""

import csv
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from napari_semclass.errors import OutputError, brief


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
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
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
