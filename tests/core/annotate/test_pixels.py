"""Arrays of any kind are written as TIFFs that give them back, band by band."""

import dask.array as da
import numpy as np
import pytest
import tifffile

from napari_semclass.annotate.pixels import write_tiff
from napari_semclass.errors import MicrographError, OutputError
from napari_semclass.micrograph import open_micrographs


@pytest.mark.parametrize("shape", [(7, 5), (513, 1030), (2, 600, 520), (2, 3, 40, 50), (1, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "int16", ">u2", "uint32", "float32", "float64"])
def test_values_and_types_come_back(tmp_path, shape, dtype):
    values = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    write_tiff(da.from_array(values, chunks=100), tmp_path / "a.tif", rgb=False, name="a")
    opened = open_micrographs(tmp_path / "a.tif")
    np.testing.assert_array_equal(
        np.stack([one.read(0, shape[-2], 0, shape[-1]) for one in opened]), values.reshape(-1, *shape[-2:])
    )
    assert opened[0].pixels.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_come_back(tmp_path, channels):
    values = np.random.default_rng(0).integers(0, 255, (520, 30, channels)).astype(np.uint8)
    write_tiff(values, tmp_path / "a.tif", rgb=True, name="a")
    (opened,) = open_micrographs(tmp_path / "a.tif")
    assert opened.rgb
    np.testing.assert_array_equal(opened.pixels, values)


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_an_opacity_comes_back(tmp_path, channels, dtype):
    values = np.random.default_rng(0).integers(0, 255, (520, 30, channels)).astype(dtype)
    write_tiff(values, tmp_path / "a.tif", rgb=channels == 4, alpha=True, name="a")
    (opened,) = open_micrographs(tmp_path / "a.tif")
    assert (opened.rgb, opened.alpha) == (channels == 4, True)
    np.testing.assert_array_equal(opened.pixels, values)


def test_bits_become_bytes(tmp_path):
    values = np.random.default_rng(0).random((30, 40)) > 0.5
    write_tiff(values, tmp_path / "a.tif", rgb=False, name="a")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), values.astype(np.uint8))


def test_pixels_that_cannot_be_read_leave_the_file_as_it_was(tmp_path):
    def broken(block):
        raise OSError("gone")

    (tmp_path / "a.tif").write_bytes(b"before")
    pixels = da.zeros((60, 80), chunks=30, dtype=np.uint8).map_blocks(broken, meta=np.empty((0, 0), np.uint8))
    with pytest.raises(MicrographError, match=r"cell: pixels cannot be read \(gone\)"):
        write_tiff(pixels, tmp_path / "a.tif", rgb=False, name="cell")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]
    with pytest.raises(OutputError, match="cannot be written"):
        write_tiff(np.zeros((5, 5)), tmp_path / "a.tif" / "b.tif", rgb=False, name="b")
