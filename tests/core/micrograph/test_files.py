"""Files in: every supported kind opens with the right pixels; damaged ones say what is wrong."""

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph import open_micrographs

PICTURE = np.random.default_rng(0).integers(0, 255, (90, 120), dtype=np.uint8)


def pixels(path):
    (micrograph,) = open_micrographs(path)
    return micrograph.read(0, micrograph.shape[0], 0, micrograph.shape[1])


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "A.TIFF"])
def test_lossless_pictures_open_as_they_are(tmp_path, name):
    iio.imwrite(tmp_path / name, PICTURE)
    np.testing.assert_array_equal(pixels(tmp_path / name), PICTURE)


def test_jpeg_and_16_bit_open(tmp_path):
    iio.imwrite(tmp_path / "a.jpg", PICTURE, quality=95)
    assert np.abs(pixels(tmp_path / "a.jpg").astype(int) - PICTURE).mean() < 8
    for suffix in ("png", "tif"):
        iio.imwrite(tmp_path / f"b.{suffix}", PICTURE.astype(np.uint16) * 257)
        np.testing.assert_array_equal(pixels(tmp_path / f"b.{suffix}"), PICTURE.astype(np.uint16) * 257)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_colour_tiff_is_one_micrograph(tmp_path, planar):
    colour = np.repeat(PICTURE[..., None], 3, -1)
    data = colour if planar == "contig" else np.moveaxis(colour, -1, 0)
    tifffile.imwrite(tmp_path / "c.tif", data, photometric="rgb", planarconfig=planar)
    np.testing.assert_allclose(pixels(tmp_path / "c.tif"), PICTURE, atol=1e-3)


def test_a_tiff_stack_has_one_micrograph_per_page(tmp_path):
    tifffile.imwrite(tmp_path / "s.tif", np.stack([PICTURE, 255 - PICTURE]), photometric="minisblack")
    planes = open_micrographs(tmp_path / "s.tif")
    assert [plane.plane for plane in planes] == [0, 1]
    np.testing.assert_array_equal(planes[1].read(0, 90, 0, 120), 255 - PICTURE)


def test_a_large_tiff_stays_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_semclass.micrograph.formats.tiff._EAGER_BYTES", 1000)
    tifffile.imwrite(tmp_path / "t.tif", PICTURE, tile=(32, 32))
    (micrograph,) = open_micrographs(tmp_path / "t.tif")
    assert not isinstance(micrograph.pixels, np.ndarray)
    np.testing.assert_array_equal(micrograph.read(10, 70, 50, 120), PICTURE[10:70, 50:120])


def test_zarr_arrays_and_groups_open(tmp_path):
    zarr.save_array(str(tmp_path / "a.zarr"), PICTURE)
    np.testing.assert_array_equal(pixels(tmp_path / "a.zarr"), PICTURE)
    zarr.save_group(str(tmp_path / "g.zarr"), only=PICTURE)
    np.testing.assert_array_equal(pixels(tmp_path / "g.zarr"), PICTURE)
    zarr.save_group(str(tmp_path / "two.zarr"), one=PICTURE, two=PICTURE)
    with pytest.raises(MicrographError, match="one, two"):
        open_micrographs(tmp_path / "two.zarr")


@pytest.mark.parametrize("wrapped", [True, False], ids=["0.5", "0.4"])
def test_ome_zarr_gives_the_finest_level_and_the_pixel_size(tmp_path, wrapped):
    group = zarr.open_group(str(tmp_path / "o.zarr"), mode="w")
    for level, data in enumerate((PICTURE, PICTURE[::2, ::2])):
        group.create_array(str(level), data=data)
    scales = [
        {
            "axes": [{"name": n, "type": "space", "unit": "nanometer"} for n in "yx"],
            "datasets": [
                {"path": str(i), "coordinateTransformations": [{"type": "scale", "scale": [7.3 * 2**i] * 2}]}
                for i in range(2)
            ],
        }
    ]
    group.attrs.update({"ome": {"version": "0.5", "multiscales": scales}} if wrapped else {"multiscales": scales})
    (micrograph,) = open_micrographs(tmp_path / "o.zarr")
    assert micrograph.pixel_size == pytest.approx(7.3e-9)
    assert "level 0 of 2" in micrograph.note
    np.testing.assert_array_equal(micrograph.read(0, 90, 0, 120), PICTURE)


def make_bad(folder, kind):
    path = folder / f"{kind}.tif"
    if kind == "truncated":
        tifffile.imwrite(path, np.zeros((400, 400), np.uint16))
        path.write_bytes(path.read_bytes()[:50_000])
    elif kind == "text":
        path.write_text("this is no picture, whatever its name says")
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("truncated", "cut short"),
        ("text", "cannot be read"),
        ("empty", "empty"),
        ("missing", "no such"),
        ("folder", "zarr|cannot be read|No such"),
    ],
)
def test_bad_files_say_what_is_wrong_in_one_sentence(tmp_path, kind, sentence):
    path = make_bad(tmp_path, kind)
    with pytest.raises(MicrographError, match=sentence) as caught:
        open_micrographs(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_png_is_refused(tmp_path):
    iio.imwrite(tmp_path / "a.png", PICTURE)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:3000])
    with pytest.raises(MicrographError, match=r"a\.png"):
        open_micrographs(tmp_path / "a.png")


def test_a_name_too_long_for_the_disk_is_no_file(tmp_path):
    with pytest.raises(MicrographError, match="no such file"):
        open_micrographs(tmp_path / ("x" * 300 + ".tif"))


@pytest.mark.parametrize("eager", [True, False])
def test_numbers_that_are_no_grey_levels_become_them(tmp_path, monkeypatch, eager):
    if not eager:
        monkeypatch.setattr("napari_semclass.micrograph.formats.tiff._EAGER_BYTES", 10)
    tifffile.imwrite(tmp_path / "negative.tif", 255 - PICTURE, photometric="miniswhite")
    np.testing.assert_array_equal(pixels(tmp_path / "negative.tif"), PICTURE)
    reversed_greys = np.repeat(np.arange(255, -1, -1, dtype=np.uint16)[None] * 257, 3, axis=0)
    tifffile.imwrite(tmp_path / "palette.tif", 255 - PICTURE, photometric="palette", colormap=reversed_greys)
    np.testing.assert_allclose(pixels(tmp_path / "palette.tif"), PICTURE, atol=0.1)
    ink = np.stack([PICTURE] * 3 + [np.zeros_like(PICTURE)], axis=-1)
    tifffile.imwrite(tmp_path / "cmyk.tif", ink, photometric="separated")
    np.testing.assert_allclose(pixels(tmp_path / "cmyk.tif"), 255.0 - PICTURE, atol=1.5)


def test_other_images_in_a_tiff_are_mentioned(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(PICTURE)
        writer.write(PICTURE[:30, :40])
    (micrograph,) = open_micrographs(tmp_path / "a.tif")
    assert micrograph.shape == PICTURE.shape
    assert "first of 2 images" in micrograph.note
    assert "30 x 40" in micrograph.note
