"""Chunks: each is decoded once while boxes over it are read one after the other."""

import sys
from collections import Counter

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from zarr.storage import LocalStore

from napari_semclass.classify import Settings, classify_micrograph, write_overlay
from napari_semclass.micrograph import as_micrographs, chunks, open_micrographs


class Counting(LocalStore):
    """A store on disk that counts how often each chunk is read."""

    reads: Counter

    async def get(self, key, *args, **options):
        if "/c/" in f"/{key}":
            self.reads[key] += 1
        return await super().get(key, *args, **options)


@pytest.fixture
def stored(tmp_path):
    """1,500 x 1,300 px in chunks of 200 px, and how often each was read."""
    pixels = np.random.default_rng(0).integers(0, 255, (1500, 1300), dtype=np.uint8)
    store = Counting(tmp_path / "a.zarr")
    store.reads = Counter()
    array = zarr.create_array(store, shape=pixels.shape, chunks=(200, 200), dtype="uint8")
    array[:] = pixels
    store.reads.clear()
    return pixels, array, store.reads


@pytest.mark.parametrize("stride", [32, 20])
def test_classifying_reads_every_chunk_once(stored, tiny_model, monkeypatch, stride):
    import napari_semclass.classify.engine as engine

    pixels, array, reads = stored
    monkeypatch.setattr(engine, "_BLOCK_PX", 100_000)  # some thirty blocks, none of which ends where a chunk does
    (lazy,), (plain,) = as_micrographs(array), as_micrographs(pixels)
    # With "auto" a trial of the pace may come first, which is a pass of its own.
    settings = Settings(stride=stride, precision="fp32")
    found = classify_micrograph(lazy, tiny_model, settings)
    assert len(reads) == 8 * 7
    assert set(reads.values()) == {1}
    expected = classify_micrograph(plain, tiny_model, settings)
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)


def test_the_overlay_reads_every_chunk_once(stored, tiny_model, monkeypatch, tmp_path):
    _, array, reads = stored
    prediction = classify_micrograph(as_micrographs(array)[0], tiny_model, Settings(tile=64))
    reads.clear()
    monkeypatch.setattr(sys.modules["napari_semclass.micrograph.shrink"], "_BAND_PX", 50_000)
    write_overlay(prediction, as_micrographs(array)[0], tmp_path / "o.png")
    assert set(reads.values()) == {1}


@pytest.mark.parametrize("box", [(0, 1500, 0, 1300), (199, 201, 0, 1), (3, 1499, 700, 701), (640, 1500, 512, 1300)])
@pytest.mark.parametrize("kind", ["zarr", "dask", "colour", "stack"])
def test_boxes_are_those_of_the_array(stored, box, kind):
    pixels, array, _ = stored
    lazy = {
        "zarr": lambda: as_micrographs(array)[0],
        "dask": lambda: as_micrographs(da.from_array(pixels, chunks=((700, 100, 700), 130)))[0],
        "colour": lambda: as_micrographs(da.from_array(np.stack([pixels] * 3, -1), chunks=(400, 300, 2)), rgb=True)[0],
        "stack": lambda: as_micrographs(da.from_array(np.stack([pixels] * 2), chunks=(1, 333, 1300)))[1],
    }[kind]()
    y0, y1, x0, x1 = box
    lazy = lazy.remembering()
    np.testing.assert_allclose(lazy.read(y0, y1, x0, x1), pixels[y0:y1, x0:x1], atol=1e-3)


def test_memory_stays_within_its_bounds_and_is_given_back(stored, monkeypatch):
    pixels, array, _ = stored
    monkeypatch.setattr(chunks, "CACHE_BYTES", 800_000)
    opened = as_micrographs(array)[0]
    assert opened.fills == ()  # looked for beforehand, as the data bars are
    micrograph = opened.remembering()
    for top in range(0, 1500, 100):
        np.testing.assert_array_equal(micrograph.read(top, top + 100, 0, 1300), pixels[top : top + 100])
        assert chunks._kept_bytes <= 800_000
    before = chunks._kept_bytes
    del micrograph
    assert chunks._kept_bytes < before


def test_a_pass_keeps_only_the_chunks_it_is_at(stored):
    _, array, _ = stored
    before = chunks._kept_bytes
    opened = as_micrographs(array)[0]
    assert opened.fills == ()  # looked for beforehand, as the data bars are
    micrograph = opened.remembering()
    for top in range(0, 1500, 100):
        micrograph.read(top, top + 100, 0, 1300)
        assert chunks._kept_bytes - before <= 200 * 1400  # one row of chunks, the last of them wider than the array


def test_a_tiled_tiff_is_read_through_its_tiles(tmp_path, monkeypatch):
    import napari_semclass.micrograph.formats.tiff as files

    monkeypatch.setattr(files, "_EAGER_BYTES", 0)
    pixels = np.random.default_rng(0).integers(0, 255, (700, 900), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(256, 256))
    (micrograph,) = open_micrographs(tmp_path / "a.tif")
    micrograph = micrograph.remembering()
    np.testing.assert_array_equal(micrograph.read(200, 600, 100, 900), pixels[200:600, 100:900])


def test_what_is_written_into_an_array_is_seen_by_the_next_classification(tmp_path, tiny_model, three_bands):
    array = zarr.create_array(str(tmp_path / "live.zarr"), shape=three_bands.shape, chunks=(50, 50), dtype="uint8")
    array[:] = three_bands
    (micrograph,) = as_micrographs(array)
    first = classify_micrograph(micrograph, tiny_model).tile_categories().reshape(3, 5)
    array[:] = three_bands[:, ::-1]
    second = classify_micrograph(micrograph, tiny_model).tile_categories().reshape(3, 5)
    np.testing.assert_array_equal(second, first[:, ::-1])
