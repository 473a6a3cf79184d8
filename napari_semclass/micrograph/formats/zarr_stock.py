"""Which chunks of a zarr array are stored; zarr reads the others as its fill value."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import MicrographError

_KEY = re.compile(r"(?:c[./])?(\d+(?:[./]\d+)*)")
_MOST_CHUNKS = 50_000_000
_EMPTY = 2**64 - 1  # offset and length in the index of a shard for a chunk that it lacks


def stored_chunks(array: Any, path: Path) -> NDArray[np.bool_]:
    """Whether each chunk (along each axis) of an array in a folder is stored, those in shards included.

    Raises
    ------
    MicrographError
        When it has more chunks than can be looked after.
    """
    counts = _counts(array.shape, array.chunks)
    if np.prod(counts, dtype=np.float64) > _MOST_CHUNKS:
        raise MicrographError(f"{path}: is stored in more than {_MOST_CHUNKS:,} chunks; save it in larger ones.")
    stored = np.zeros(counts, dtype=bool)
    folder = Path(str(array.store_path.store.root)) / array.path
    edges = array.shards or array.chunks
    pieces = _counts(array.shape, edges)
    for parent, _, names in os.walk(folder):
        for name in names:
            file = Path(parent) / name
            key = _KEY.fullmatch(file.relative_to(folder).as_posix())
            place = tuple(map(int, re.split("[./]", key[1]))) if key else ()
            if len(place) != len(counts) or any(at >= count for at, count in zip(place, pieces, strict=True)):
                continue
            if array.shards is None:
                stored[place] = True
            else:
                _note_shard(array, file, place, stored)
    return stored


def _counts(shape: tuple[int, ...], edges: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-(-int(length) // int(edge)) for length, edge in zip(shape, edges, strict=True))


def _note_shard(array: Any, file: Path, place: tuple[int, ...], stored: NDArray[np.bool_]) -> None:
    """Note which chunks of a shard are in it."""
    inner = tuple(shard // chunk for shard, chunk in zip(array.shards, array.chunks, strict=True))
    corner = [at * count for at, count in zip(place, inner, strict=True)]
    index = _shard_index(array, file, inner)
    part = stored[tuple(slice(start, start + count) for start, count in zip(corner, inner, strict=True))]
    part[...] = index[tuple(slice(0, length) for length in part.shape)]


def _shard_index(array: Any, file: Path, inner: tuple[int, ...]) -> NDArray[np.bool_]:
    """Whether each chunk of a shard is in it; all of them where its index is kept in an unusual way."""
    codec = next(codec for codec in array.metadata.codecs if hasattr(codec, "index_codecs"))
    names = [type(one).__name__ for one in codec.index_codecs]
    checked = names == ["BytesCodec", "Crc32cCodec"]
    little = str(getattr(codec.index_codecs[0], "endian", "")).endswith("little")
    if not little or not (checked or names == ["BytesCodec"]):
        return np.ones(inner, dtype=bool)
    length = 16 * int(np.prod(inner))
    at_end = str(codec.index_location).endswith("end")
    with file.open("rb") as content:
        content.seek(max(0, file.stat().st_size - length - 4 * checked) if at_end else 0)
        index = np.frombuffer(content.read(length), "<u8")
    if index.size * 8 < length:  # cut short: reading it says so
        return np.ones(inner, dtype=bool)
    return np.asarray(index.reshape(*inner, 2)[..., 0] != _EMPTY)
