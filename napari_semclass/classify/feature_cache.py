"""A bounded folder of features, so that what a network has seen once need not be looked at again."""

import os
import threading
import time
import uuid
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

Box = tuple[int, int, int, int]
Known = dict[Box, NDArray[np.float32]]

_SUFFIX = ".features.safetensors"
_MOST_PARTS = 6  # of one micrograph, before they are put together
_MEMORY_BYTES = 500_000_000
_STALE_S = 3600.0  # a file that was not finished by then never will be

MOST_BYTES = 2_000_000_000


def cache_folder() -> Path:
    """Where features are kept: SEMCLASS_CACHE, or the user's folder for caches."""
    named = os.environ.get("SEMCLASS_CACHE")
    return Path(named) if named else user_cache_path("napari-semclass") / "features"


class FeatureCache:
    """Features by key and box. A disk that is full or not writable only costs time: nothing is raised.

    Parameters
    ----------
    folder : Path or None
        None keeps them in memory only.
    most_bytes : int
        What the folder may hold; keys that were not used for longest go first.
    """

    def __init__(self, folder: Path | None, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._memory: OrderedDict[str, Known] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def shared(cls) -> "FeatureCache":
        """The one of this process for `cache_folder()`, with what it holds in memory."""
        folder = cache_folder()
        if folder not in _SHARED:
            _SHARED[folder] = cls(folder)
        return _SHARED[folder]

    def read(self, key: str) -> Known:
        """Features (features,) of the boxes known under a key; a damaged file counts as nothing and is removed."""
        with self._lock:
            if key not in self._memory:
                self._memory[key] = self._from_disk(key)
            self._memory.move_to_end(key)
            self._forget_oldest()
            return dict(self._memory[key])

    def add(self, key: str, boxes: NDArray[np.int64], features: NDArray[np.float32]) -> None:
        """Keep features (n, features) of boxes (n, 4)."""
        with self._lock:
            if key not in self._memory:
                self._memory[key] = self._from_disk(key)
            known = self._memory[key]
            known.update(zip(map(tuple, boxes.tolist()), features.copy(), strict=True))
            if self._folder is None:
                return
            parts = self._parts(key)
            if len(parts) >= _MOST_PARTS:
                # Read again: another process may have added parts since.
                all_known = {**self._from_disk(key), **known}
                kept = {box: one for box, one in all_known.items() if one.shape == features.shape[1:]}
                boxes, features = np.array(list(kept), dtype=np.int64), np.stack(list(kept.values()))
            if _write(self._folder, key, boxes, features) and len(parts) >= _MOST_PARTS:
                for part in parts:
                    with suppress(OSError):
                        part.unlink()
            _bound(self._folder, self._most_bytes)

    def _forget_oldest(self) -> None:
        """Keep the memory bounded; the key used last stays whatever its size."""
        while len(self._memory) > 1 and sum(map(_bytes, self._memory.values())) > _MEMORY_BYTES:
            self._memory.popitem(last=False)

    def _parts(self, key: str) -> list[Path]:
        return [] if self._folder is None else sorted(self._folder.glob(f"{key}.*{_SUFFIX}"))

    def _from_disk(self, key: str) -> Known:
        known: Known = {}
        for part in self._parts(key):
            try:
                held = load_file(part)
                known.update(zip(map(tuple, held["boxes"].tolist()), held["features"], strict=True))
                os.utime(part)  # used now
            except (SafetensorError, KeyError, ValueError):
                with suppress(OSError):
                    part.unlink()
            except OSError:
                continue
        return known


def _bytes(known: Known) -> int:
    return sum(features.nbytes for features in known.values())


def _write(folder: Path, key: str, boxes: NDArray[np.int64], features: NDArray[np.float32]) -> bool:
    name = f"{key}.{uuid.uuid4().hex}"
    temporary = folder / f"{name}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"boxes": np.ascontiguousarray(boxes), "features": np.ascontiguousarray(features)}, temporary)
        temporary.replace(folder / f"{name}{_SUFFIX}")
    except (OSError, SafetensorError):
        with suppress(OSError):
            temporary.unlink()
        return False
    return True


def _bound(folder: Path, most_bytes: int) -> None:
    for path in folder.glob("*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink()
    files = []
    for path in folder.glob(f"*{_SUFFIX}"):
        with suppress(OSError):
            found = path.stat()
            files.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= most_bytes:
            return
        with suppress(OSError):
            path.unlink()
        total -= size


_SHARED: dict[Path, FeatureCache] = {}
