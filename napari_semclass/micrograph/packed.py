"""Zarr from strangers: no chunk unpacks to far more than its array says, and only codecs that can be held to it do it.

zarr's own codecs take no limit: a chunk of 2 MB may become 4 GB before zarr sees that it does not fit. So each codec of
an array is put behind one that reads from the packed bytes how long they will be, or unpacks them no further than that.
"""

import bz2
import gzip
import io
import zlib
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import zarr
from numcodecs.abc import Codec as V2Codec
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import ShardingCodec

from napari_semclass.errors import MicrographError

_AT_LEAST_BYTES = 64_000_000
_WIDEST_BYTES = 8  # filters may store an array's numbers as wider ones
_ZSTD, _ZSTD_SKIPPED = 0xFD2FB528, 0x184D2A5  # the second without its last four bits
_ZSTD_BLOCK_BYTES = 1 << 17
# What these give is as long as what they get, or as the array's shape says.
_CHECKSUMS = frozenset(("adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3"))
_FILTERS = frozenset(("astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize", "shuffle"))
_KEEPING_SIZE = _CHECKSUMS | _FILTERS | {"bytes", "transpose"}
_STATING_SIZE = frozenset(("blosc", "lz4", "zstd"))
_UNPACKED_HERE = frozenset(("bz2", "gzip", "zlib"))
_PACKING = _STATING_SIZE | _UNPACKED_HERE


def held(array: Any, path: Any) -> Any:
    """The same zarr array, whose chunks are refused where they would unpack to much more than they should.

    A chunk may unpack to 64 MB, or to eight bytes for each of its pixels where that is more.

    Raises
    ------
    MicrographError
        When it is stored with a codec of which this cannot be known beforehand.
    """
    said = array.metadata
    if said.zarr_format == 2:
        pixels = prod(said.chunks)
        filters = [_held_v2(one, pixels, path) for one in said.filters or ()]
        packer = None if said.compressor is None else _held_v2(said.compressor, pixels, path)
        said = replace(said, filters=filters or None, compressor=packer)
    else:
        said = replace(said, codecs=tuple(_held_v3(one, path) for one in said.codecs))
    return zarr.Array(zarr.AsyncArray(metadata=said, store_path=array.store_path))


def _held_v2(codec: Any, pixels: int, path: Any) -> Any:
    name = _known(codec.codec_id, path)
    return _HeldV2(codec, name, pixels) if name in _PACKING else codec


def _held_v3(codec: Any, path: Any) -> Any:
    if isinstance(codec, ShardingCodec):
        inner, index = (tuple(_held_v3(one, path) for one in own) for own in (codec.codecs, codec.index_codecs))
        return replace(codec, codecs=inner, index_codecs=index)
    name = _known(str(codec.to_dict()["name"]).removeprefix("numcodecs."), path)
    return _HeldV3(codec, name) if name in _PACKING else codec


def _known(name: str, path: Any) -> str:
    if name not in _KEEPING_SIZE | _PACKING:
        raise MicrographError(
            f"{path}: is stored with the codec {name[:50]!r}, which is not unpacked here; save it with zstd, blosc or "
            "gzip."
        )
    return name


class _HeldV2(V2Codec):  # type: ignore[misc]
    """A codec of zarr v2 that unpacks no further than chunks of so many pixels may."""

    codec_id = "held"

    def __init__(self, codec: Any, name: str, pixels: int) -> None:
        self._codec, self._name, self._pixels = codec, name, pixels

    def encode(self, buf: Any) -> Any:
        return self._codec.encode(buf)

    def decode(self, buf: Any, out: Any = None) -> Any:
        found = _unpacked(self._name, bytes(buf), self._pixels)
        return self._codec.decode(buf, out) if found is None else found

    def get_config(self) -> Any:
        return self._codec.get_config()


@dataclass(frozen=True)
class _HeldV3(BytesBytesCodec):  # type: ignore[misc]
    """A codec of zarr v3 that unpacks no further than a chunk may."""

    codec: Any
    name: str
    is_fixed_size = False

    def to_dict(self) -> Any:
        return self.codec.to_dict()

    def evolve_from_array_spec(self, array_spec: Any) -> "_HeldV3":
        return replace(self, codec=self.codec.evolve_from_array_spec(array_spec))

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        return int(self.codec.compute_encoded_size(input_byte_length, chunk_spec))

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        found = _unpacked(self.name, chunk_bytes.to_bytes(), prod(chunk_spec.shape))
        if found is not None:
            return chunk_spec.prototype.buffer.from_bytes(found)
        (unpacked,) = await self.codec.decode([(chunk_bytes, chunk_spec)])
        return unpacked


def _unpacked(name: str, packed: bytes, pixels: int) -> bytes | None:
    """What is in a chunk, or None where its codec may be let loose on it.

    Raises
    ------
    ValueError
        When it is longer than a chunk of so many pixels may be.
    """
    most = max(_AT_LEAST_BYTES, _WIDEST_BYTES * pixels)
    found = None
    if name in _UNPACKED_HERE:
        found = _inflated(name, packed, most + 1)
        size = len(found)
    elif name == "zstd":
        size = _zstd_bytes(packed)
    else:
        size = int.from_bytes(packed[4:8] if name == "blosc" else packed[:4], "little")
    if size > most:
        raise ValueError(f"a chunk of {pixels:,} pixels would unpack to more than {most:,} bytes")
    return found


def _inflated(name: str, packed: bytes, most: int) -> bytes:
    if name == "zlib":
        unpacker = zlib.decompressobj()
        found = unpacker.decompress(packed, most)
        if len(found) < most and not unpacker.eof:
            raise ValueError("a chunk is cut short")
        return found
    source = io.BytesIO(packed)
    with bz2.BZ2File(source) if name == "bz2" else gzip.GzipFile(fileobj=source) as file:
        return file.read(most)


def _zstd_bytes(packed: bytes) -> int:
    """How long frames of zstd say they are; where one does not say it, the most that all of them can be (RFC 8878)."""
    stated = most = at = 0
    says = True

    def number(length: int) -> int:
        nonlocal at
        at += length
        return int.from_bytes(packed[at - length : at], "little")

    while at < len(packed):
        magic = number(4)
        if magic >> 4 == _ZSTD_SKIPPED:
            length = number(4)
            at += length
            continue
        if magic != _ZSTD:
            raise ValueError("a chunk is damaged: it is not packed with zstd")
        flags = number(1)
        single = bool(flags & 0x20)
        at += (not single) + (0, 1, 2, 4)[flags & 3]  # window, dictionary
        width = (int(single), 2, 4, 8)[flags >> 6]
        says = says and width > 0
        stated += number(width) + 256 * (width == 2)
        last = False
        while not last and at < len(packed):
            block = number(3)
            last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
            most += _ZSTD_BLOCK_BYTES if kind == 2 else size
            at += 1 if kind == 1 else size
        at += 4 * bool(flags & 4)  # checksum
    return stated if says else most
