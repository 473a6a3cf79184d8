"""Pixel sizes that programs write: OME, ImageJ, resolution tags, OME-Zarr."""

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image, PngImagePlugin

from napari_semclass.micrograph import open_micrographs

ROWS, COLUMNS = 96, 128
PICTURE = np.random.default_rng(0).integers(0, 255, (ROWS, COLUMNS), dtype=np.uint8)


def opened(path):
    (micrograph,) = open_micrographs(path)
    return micrograph


@pytest.mark.parametrize(("unit", "size"), [("nm", 8e-9), ("µm", 8e-6), (None, 8e-6)])
def test_ome_tiff(tmp_path, unit, size):
    described = {"axes": "YX", "PhysicalSizeX": 8.0, "PhysicalSizeY": 8.0}
    if unit:
        described |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", PICTURE, metadata=described)
    micrograph = opened(tmp_path / "a.ome.tif")
    assert micrograph.pixel_size == pytest.approx(size)
    assert "OME" in micrograph.metadata.pixel_size_source


@pytest.mark.parametrize(("unit", "size"), [("nm", 8e-9), ("micron", 8e-6), ("\\u00B5m", 8e-6), ("pixel", None)])
def test_imagej_tiff(tmp_path, unit, size):
    tifffile.imwrite(tmp_path / "a.tif", PICTURE, imagej=True, resolution=(1 / 8, 1 / 8), metadata={"unit": unit})
    micrograph = opened(tmp_path / "a.tif")
    assert micrograph.pixel_size == (None if size is None else pytest.approx(size))


@pytest.mark.parametrize(("unit", "per"), [("nm", 1 / 8), ("micron", 1e6), ("mm", 1e5)])
def test_resolution_tags_of_imagej_are_read_in_its_unit_only(tmp_path, unit, per):
    # Without a ResolutionUnit, which TIFF takes for inches.
    text = f"ImageJ=1.53k\nimages=1\nunit={unit}\n"
    tifffile.imwrite(
        tmp_path / "a.tif", PICTURE, description=text, resolution=(per, per), resolutionunit=2, metadata=None
    )
    assert opened(tmp_path / "a.tif").pixel_size == pytest.approx({"nm": 1e-9, "micron": 1e-6, "mm": 1e-3}[unit] / per)


def test_ome_size_along_one_axis_is_not_used(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", PICTURE, metadata={"axes": "YX", "PhysicalSizeX": 8.0})
    (warning,) = opened(tmp_path / "a.ome.tif").metadata.warnings
    assert "one axis only" in warning


@pytest.mark.parametrize(
    ("resolution", "unit", "size"),
    [
        ((1e6, 1e6), "CENTIMETER", 1e-8),
        ((2.54e6, 2.54e6), "INCH", 1e-8),
        ((72, 72), "INCH", None),
        ((300, 300), "INCH", None),
        ((118.11, 118.11), "CENTIMETER", None),
        ((2400, 2400), "INCH", None),
        ((1e6, 1e6), "NONE", None),
    ],
)
def test_tiff_resolution_is_used_only_where_it_is_not_for_printing(tmp_path, resolution, unit, size):
    tifffile.imwrite(tmp_path / "a.tif", PICTURE, resolution=resolution, resolutionunit=unit, metadata=None)
    micrograph = opened(tmp_path / "a.tif")
    assert micrograph.pixel_size == (None if size is None else pytest.approx(size, rel=1e-6))
    assert bool(micrograph.metadata.warnings) is (size is None)


def test_png_physical_size_and_exif(tmp_path):
    chunk = PngImagePlugin.PngInfo()
    Image.fromarray(PICTURE).save(tmp_path / "a.png", pnginfo=chunk, dpi=(0.0254 / 2e-9, 0.0254 / 2e-9))
    assert opened(tmp_path / "a.png").pixel_size == pytest.approx(2e-9, rel=1e-3)
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 50_000.0, 50_000.0, 3
    Image.fromarray(PICTURE).save(tmp_path / "a.jpg", exif=exif)
    assert opened(tmp_path / "a.jpg").pixel_size == pytest.approx(2e-7)
    Image.fromarray(PICTURE).save(tmp_path / "b.png", dpi=(96, 96))
    assert opened(tmp_path / "b.png").pixel_size is None


@pytest.mark.parametrize(
    ("scale", "unit", "size"),
    [
        ([7.3, 7.3], "nanometer", (7.3e-9, 7.3e-9)),
        ([7.3, 14.6], "nanometer", (7.3e-9, 14.6e-9)),
        ([0, 0], "nanometer", None),
        (["nan", "x"], "nanometer", None),
        ([7.3, 7.3], "second", None),
        ([7.3], "nanometer", None),
        ("abc", "nanometer", None),
    ],
)
def test_ome_zarr(tmp_path, scale, unit, size):
    group = zarr.open_group(str(tmp_path / "o.zarr"), mode="w")
    group.create_array("0", data=PICTURE)
    transforms = [{"type": "scale", "scale": scale}]
    axes = [{"name": n, "type": "space", "unit": unit} for n in "yx"]
    scales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": transforms}]}]
    group.attrs["multiscales"] = scales
    micrograph = opened(tmp_path / "o.zarr")
    assert micrograph.metadata.pixel_size == (None if size is None else pytest.approx(size))
    assert micrograph.pixel_size == (size[0] if size and size[0] == size[1] else None)
    assert bool(micrograph.metadata.warnings) is (micrograph.pixel_size is None)


def test_an_ome_zarr_scale_without_a_unit_is_named(tmp_path):
    group = zarr.open_group(str(tmp_path / "o.zarr"), mode="w")
    group.create_array("0", data=PICTURE)
    for scale, said in (([7.3, 7.3], "without a unit"), ([1, 1], "nothing in the file")):
        datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}]
        group.attrs["multiscales"] = [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": datasets}]
        (warning,) = opened(tmp_path / "o.zarr").metadata.warnings
        assert said in warning


def test_a_grey_palette_with_an_instruments_marks_is_grey(tmp_path):
    palette = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 3, axis=0)
    palette[:, 9::9] = [[65535], [0], [0]]
    tifffile.imwrite(tmp_path / "a.tif", PICTURE, photometric="palette", colormap=palette)
    micrograph = opened(tmp_path / "a.tif")
    assert not micrograph.rgb
    np.testing.assert_array_equal(micrograph.read(0, ROWS, 0, COLUMNS), PICTURE)
