"""Pictures come upright, as their tag says, with what belongs to their rows."""

import dask.array as da
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from napari_semclass.micrograph import Metadata, open_micrographs, read_header
from napari_semclass.micrograph.formats import orientation, tiff

STORED = np.random.default_rng(0).integers(0, 255, (24, 40), dtype=np.uint8)


def turned(number):
    """The picture as Pillow, which has its own table, puts it upright."""
    picture = Image.fromarray(STORED)
    picture.getexif()[274] = number
    return np.asarray(ImageOps.exif_transpose(picture))


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_pictures_come_upright(tmp_path, suffix, number):
    exif = Image.Exif()
    exif[274] = number
    picture = Image.fromarray(np.kron(STORED, np.ones((8, 8), np.uint8)))
    options = {"quality": 100} if suffix == "jpg" else {"lossless": True}
    picture = picture.convert("RGB") if suffix == "webp" else picture
    picture.save(tmp_path / f"a.{suffix}", exif=exif.tobytes(), **options)
    (micrograph,) = open_micrographs(tmp_path / f"a.{suffix}")
    expected = np.kron(turned(number), np.ones((8, 8), np.uint8))
    assert np.abs(micrograph.read(0, *micrograph.shape[:1], 0, micrograph.shape[1]) - expected.astype(float)).max() < 4
    assert ("orientation" in micrograph.note) == (number > 1)
    assert read_header(tmp_path / f"a.{suffix}").shape == micrograph.shape


@pytest.mark.parametrize("is_lazy", [False, True], ids=["at once", "lazily"])
@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("planes", [1, 3])
def test_tiffs_come_upright(tmp_path, monkeypatch, number, planes, is_lazy):
    if is_lazy:
        monkeypatch.setattr(tiff, "_EAGER_BYTES", 0)
    path = tmp_path / "a.tif"
    stack = np.stack([STORED + i for i in range(planes)]).squeeze()
    options = {"photometric": "minisblack", "metadata": None, "tile": (16, 16)}
    tifffile.imwrite(
        path, stack, extratags=[(274, "H", 1, number, False)], resolution=(1e6, 2e6), resolutionunit=3, **options
    )
    micrographs = open_micrographs(path)
    for i, micrograph in enumerate(micrographs):
        expected = turned(number) + np.uint8(i)
        assert micrograph.shape == expected.shape
        np.testing.assert_array_equal(micrograph.read(3, 20, 5, 24), expected[3:20, 5:24])
        y, x = micrograph.metadata.pixel_size
        assert (y < x) == (number < 5)
    assert read_header(path).shape == micrographs[0].shape
    assert read_header(path, upright=False).shape == STORED.shape


@pytest.mark.parametrize("number", range(1, 9))
def test_the_data_bar_stays_at_the_same_pixels_or_is_not_used(number):
    marked = np.zeros(STORED.shape, np.uint8)
    marked[20:] = 1
    upright = orientation.upright(marked, number, 0)
    metadata = orientation.upright_metadata(Metadata(data_bar=(20, 24)), 24, number)
    if number > 4:
        assert metadata.data_bar is None
        assert "data bar" in metadata.warnings[0]
    else:
        start, stop = metadata.data_bar
        assert upright[start:stop].all()
        assert upright.sum() == upright[start:stop].size
    assert isinstance(orientation.upright(da.from_array(marked), number, 0), da.Array)
