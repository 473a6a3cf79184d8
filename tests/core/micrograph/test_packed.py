"""Zarr of all common codecs is read; a chunk forged to unpack to gigabytes is refused without being unpacked."""

import bz2
import gzip
import itertools
import pickle
import tracemalloc
import zlib

import numcodecs
import numpy as np
import pytest
import zarr
from zarr import codecs as v3

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph import open_micrographs, packed

BOMB = 60_000_000
PIXELS = np.random.default_rng(0).integers(0, 50, (150, 200)).astype(np.uint16)
V2 = {
    "none": None,
    "zstd": numcodecs.Zstd(),
    "blosc": numcodecs.Blosc(),
    "lz4": numcodecs.LZ4(),
    "gzip": numcodecs.GZip(),
    "zlib": numcodecs.Zlib(),
    "bz2": numcodecs.BZ2(),
}
V3 = {
    "none": None,
    "zstd": v3.ZstdCodec(checksum=True),
    "blosc": v3.BloscCodec(),
    "gzip": v3.GzipCodec(),
    "zstd in gzip": [v3.ZstdCodec(), v3.GzipCodec()],
    "crc32c": [v3.GzipCodec(), v3.Crc32cCodec()],
}


def read_back(folder):
    (micrograph,) = open_micrographs(folder)
    assert np.array_equal(micrograph.read(0, 150, 0, 200), PIXELS)
    assert np.array_equal(micrograph.read(30, 70, 60, 130), PIXELS[30:70, 60:130])
    return micrograph


@pytest.mark.parametrize("filters", [(), (numcodecs.Delta("u2", "i8"), numcodecs.Shuffle(8))], ids=["plain", "filters"])
@pytest.mark.parametrize("codec", V2)
def test_v2(codec, filters, tmp_path):
    options = {"filters": filters, "compressors": V2[codec], "zarr_format": 2}
    zarr.create_array(str(tmp_path / "a.zarr"), data=PIXELS, chunks=(64, 64), **options)
    read_back(tmp_path / "a.zarr")


@pytest.mark.parametrize("shards", [None, (128, 128)], ids=["chunks", "shards"])
@pytest.mark.parametrize("codec", V3)
def test_v3(codec, shards, tmp_path):
    options = {"compressors": V3[codec], "shards": shards}
    zarr.create_array(str(tmp_path / "a.zarr"), data=PIXELS, chunks=(64, 64), **options)
    micrograph = read_back(tmp_path / "a.zarr")
    elsewhere = pickle.loads(pickle.dumps(micrograph))  # noqa: S301 - as dask sends it to a worker
    assert np.array_equal(elsewhere.read(0, 9, 0, 9), PIXELS[:9, :9])


def zstd_frame(length: int, stated: int | None) -> bytes:
    """A frame of zstd with so many zeros in blocks of 128 kB of four bytes each; what it says of its length."""
    said = b"\xc0\x50" + stated.to_bytes(8, "little") if stated is not None else b"\x00\x50"
    full, rest = divmod(length, 1 << 17)
    sizes = [1 << 17] * full + [rest]
    blocks = (((size << 3) | 2 | (number == full)).to_bytes(3, "little") + b"\0" for number, size in enumerate(sizes))
    return b"\x28\xb5\x2f\xfd" + said + b"".join(blocks)


FORGED = {
    "zstd": ("zstd", lambda: zstd_frame(BOMB, BOMB)),
    "zstd that says nothing": ("zstd", lambda: zstd_frame(BOMB, None)),
    "zstd that lies": ("zstd", lambda: zstd_frame(BOMB, 64 * 64)),
    "zstd in frames": ("zstd", lambda: b"".join(itertools.repeat(zstd_frame(BOMB // 100, BOMB // 100), 100))),
    "zstd behind what is skipped": (
        "zstd",
        lambda: b"\x53\x2a\x4d\x18\x02\0\0\0ab" + zstd_frame(10, 10) + zstd_frame(BOMB, None),
    ),
    "blosc": ("blosc", lambda: numcodecs.Blosc().encode(bytes(BOMB))),
    "lz4": ("lz4", lambda: numcodecs.LZ4().encode(bytes(BOMB))),
    "gzip": ("gzip", lambda: gzip.compress(bytes(BOMB))),
    "gzip in members": ("gzip", lambda: b"".join(itertools.repeat(gzip.compress(bytes(BOMB // 100)), 100))),
    "zlib": ("zlib", lambda: zlib.compress(bytes(BOMB))),
    "bz2": ("bz2", lambda: bz2.compress(bytes(BOMB))),
}


def refused(folder, monkeypatch):
    """What is said of the forged chunk, which must not take the memory it wants."""
    monkeypatch.setattr(packed, "_AT_LEAST_BYTES", 1_000_000)
    tracemalloc.start()
    try:
        (micrograph,) = open_micrographs(folder)
        with pytest.raises(MicrographError) as error:
            micrograph.read(0, 64, 0, 64)
        assert tracemalloc.get_traced_memory()[1] < BOMB / 4
    finally:
        tracemalloc.stop()
    return str(error.value)


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_chunk_of_v2_is_not_unpacked(what, tmp_path, monkeypatch):
    codec, chunk = FORGED[what]
    folder = tmp_path / "a.zarr"
    zarr.create_array(str(folder), data=PIXELS[:64, :64], chunks=(64, 64), compressors=V2[codec], zarr_format=2)
    (folder / "0.0").write_bytes(chunk())
    said = refused(folder, monkeypatch)
    assert "pixels cannot be read" in said
    if what != "zstd that lies":  # its codec stops there by itself
        assert "4,096 pixels would unpack to more than 1,000,000 bytes" in said


@pytest.mark.parametrize("shards", [False, True], ids=["chunks", "shards"])
@pytest.mark.parametrize("what", [what for what, (codec, _) in FORGED.items() if codec in V3])
def test_a_forged_chunk_of_v3_is_not_unpacked(what, shards, tmp_path, monkeypatch):
    codec, make = FORGED[what]
    folder, chunk = tmp_path / "a.zarr", make()
    inner = v3.ShardingCodec(chunk_shape=(64, 64), codecs=[v3.BytesCodec(), V3[codec]], index_codecs=[v3.BytesCodec()])
    how = {"serializer": inner, "compressors": None} if shards else {"compressors": V3[codec]}
    zarr.create_array(str(folder), data=PIXELS[:64, :64], chunks=(64, 64), **how)
    index = np.array([0, len(chunk)], "<u8").tobytes() if shards else b""
    (folder / "c" / "0" / "0").write_bytes(chunk + index)
    assert "pixels cannot be read" in refused(folder, monkeypatch)


def test_a_forged_index_of_a_shard_is_not_unpacked(tmp_path, monkeypatch):
    """The index of chunks in a shard is packed, too, where its writer likes."""
    folder = tmp_path / "a.zarr"
    inner = v3.ShardingCodec(chunk_shape=(32, 32), codecs=[v3.BytesCodec()], index_codecs=[v3.BytesCodec()])
    zarr.create_array(str(folder), data=PIXELS[:64, :64], chunks=(64, 64), serializer=inner, compressors=None)
    said = (folder / "zarr.json").read_text()
    assert said.count('"index_codecs"') == 1
    before, after = said.split('"index_codecs"')
    at = after.index("]")
    after = after[:at] + ', {"name": "numcodecs.zlib", "configuration": {}}' + after[at:]
    (folder / "zarr.json").write_text(before + '"index_codecs"' + after)
    (folder / "c" / "0" / "0").write_bytes(zlib.compress(bytes(BOMB)))
    tracemalloc.start()
    monkeypatch.setattr(packed, "_AT_LEAST_BYTES", 1_000_000)
    with pytest.raises(MicrographError):
        open_micrographs(folder)[0].read(0, 64, 0, 64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < BOMB / 4


@pytest.mark.parametrize("stated", [True, False])
def test_zstd_in_several_frames_is_read_where_it_fits(stated, tmp_path):
    """As streaming writers leave it, with or without a length."""
    folder = tmp_path / "a.zarr"
    zeros = np.zeros((64, 64), np.uint8)
    zarr.create_array(str(folder), data=zeros + 1, chunks=(64, 64), compressors=V2["zstd"], zarr_format=2)
    (folder / "0.0").write_bytes(zstd_frame(64 * 64, 64 * 64 if stated else None))
    assert not open_micrographs(folder)[0].read(0, 64, 0, 64).any()


@pytest.mark.parametrize("codec", ["zstd", "zlib", "gzip"])
@pytest.mark.parametrize("left", [0, 1, 9, 30])
def test_a_chunk_cut_short_is_damage(codec, left, tmp_path):
    folder = tmp_path / "a.zarr"
    zarr.create_array(str(folder), data=PIXELS[:64, :64], chunks=(64, 64), compressors=V2[codec], zarr_format=2)
    (folder / "0.0").write_bytes((folder / "0.0").read_bytes()[:left])
    with pytest.raises(MicrographError, match="pixels cannot be read"):
        open_micrographs(folder)[0].read(0, 64, 0, 64)


@pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in")
@pytest.mark.parametrize("version", [2, 3])
def test_a_codec_without_a_limit_is_refused_when_opened(version, tmp_path):
    from zarr.codecs.numcodecs import LZMA

    codec = LZMA() if version == 3 else numcodecs.LZMA()
    zarr.create_array(str(tmp_path / "a.zarr"), data=PIXELS, compressors=codec, zarr_format=version)
    with pytest.raises(MicrographError, match=r"a\.zarr: is stored with the codec 'lzma', .*save it with zstd"):
        open_micrographs(tmp_path / "a.zarr")
