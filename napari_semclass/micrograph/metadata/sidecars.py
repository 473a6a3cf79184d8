"""Files that instruments write beside a picture: found whatever the case of their names, read by their vendor's module.

Large folders are listed once and not for each picture.
"""

import os
import time
import unicodedata
from functools import lru_cache
from pathlib import Path

from napari_semclass.micrograph.metadata.record import Metadata
from napari_semclass.micrograph.metadata.vendors import vendor_formats

_MOST_BYTES = 200_000  # instruments write a few kB
_ENDINGS = (".txt", ".hdr")
_SETTLED = 2_000_000_000  # nanoseconds after which a folder's time of change tells apart what has been in it
_SAME_ENDINGS = ({"tif", "tiff"}, {"jpg", "jpeg"})


def sidecar_metadata(path: Path, shape: tuple[int, int]) -> Metadata | None:
    """Read the file that an instrument wrote beside a picture.

    Parameters
    ----------
    path : Path
        The picture's.
    shape : (int, int)
        The picture's height and width in pixels.

    Returns
    -------
    Metadata or None
        None when there is no such file or it is not an instrument's.
    """
    for sidecar in _candidates(path):
        try:
            with sidecar.open("rb") as file:
                data = file.read(_MOST_BYTES)
        except OSError:
            continue
        found = parse_sidecar(data, shape, sidecar.suffix)
        if found:
            return found
    return None


def parse_sidecar(data: bytes, shape: tuple[int, int], ending: str) -> Metadata | None:
    """Read the content of a file beside a picture; None when it is none of an instrument's.

    Only vendors whose files have this ending (`.txt`, in any case) are asked: anyone's notes may hold `Device=`.
    """
    for entry in vendor_formats():
        own = any(pattern.endswith(ending.lower()) for pattern in entry.sidecars)
        found = entry.read_sidecar(data, shape) if own and entry.read_sidecar else None
        if found:
            return found
    return None


def _candidates(path: Path) -> list[Path]:
    """The files that may belong to a picture; of several, those whose names are written like its own first."""
    ending = path.suffix[1:].lower()
    endings = [ending, *(other for same in _SAME_ENDINGS if ending in same for other in sorted(same - {ending}))]
    patterns = dict.fromkeys(pattern for entry in vendor_formats() for pattern in entry.sidecars)
    wanted = [pattern.format(stem=path.stem, ending=known) for pattern in patterns for known in endings]
    try:
        changed = path.parent.stat().st_mtime_ns
        settled = time.time_ns() - changed > _SETTLED
        listed = _listed(path.parent.absolute(), changed) if settled else _listing(path.parent)
    except OSError:
        return []
    names = dict.fromkeys(
        name
        for want in wanted
        for name in sorted(listed.get(_folded(want), ()), key=lambda name: (not name.startswith(path.stem), name))
    )
    return [path.with_name(name) for name in names if name != path.name]


@lru_cache(maxsize=4)
def _listed(folder: Path, changed: int) -> dict[str, tuple[str, ...]]:
    """The listing of a folder that was last changed at this time."""
    return _listing(folder)


def _listing(folder: Path) -> dict[str, tuple[str, ...]]:
    """Names in a folder that may be sidecars', by what they are without regard to case and Unicode form."""
    names: dict[str, tuple[str, ...]] = {}
    for name in os.listdir(folder):  # noqa: PTH208 - names only, of which there may be many thousands
        if name[-4:].lower() in _ENDINGS:
            key = _folded(name)
            names[key] = (*names.get(key, ()), name)
    return names


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
