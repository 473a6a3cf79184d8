"""Files written whole or not at all: what is there stays until its successor is complete."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
    # Short, so that a file name as long as the system allows can still be written.
    temporary = path.with_name(f".{os.getpid()}-{threading.get_native_id()}.part")
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
