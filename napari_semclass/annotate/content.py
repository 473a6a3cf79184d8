"""What a file is, apart from its name and place: a hash that finds it again where it was moved to."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

# Larger files are known by their size and samples of them: a mosaic of many gigabytes takes minutes to read.
_WHOLE_BYTES = 1_000_000_000
_SAMPLES, _SAMPLE_BYTES = 64, 1_000_000


@dataclass(frozen=True)
class Content:
    """SHA-256, bytes and time of the last change (ns) of a file; of a folder, bytes and time are 0."""

    sha256: str
    size: int
    mtime_ns: int


def content_of(path: Path) -> Content:
    """Look at a file.

    The hash is over all of a file of at most 1 GB, over size and 64 evenly spread megabytes of a larger one, and
    over names and sizes of all files in a folder (zarr).

    Raises
    ------
    OSError
        When it cannot be read.
    """
    if path.is_dir():
        listing = sorted(
            f"{(Path(top) / name).relative_to(path).as_posix()}|{(Path(top) / name).stat().st_size}"
            for top, _, names in os.walk(path)
            for name in names
        )
        return Content(hashlib.sha256("\n".join(listing).encode(errors="surrogateescape")).hexdigest(), 0, 0)
    stamp = path.stat()
    with path.open("rb") as file:
        if stamp.st_size <= _WHOLE_BYTES:
            digest = hashlib.file_digest(file, "sha256")
        else:
            digest = hashlib.sha256(str(stamp.st_size).encode())
            for number in range(_SAMPLES):
                file.seek(number * (stamp.st_size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return Content(digest.hexdigest(), stamp.st_size, stamp.st_mtime_ns)
