"""Pixels without data are no specimen: declared ones always, constant fill where it can be nothing else."""

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from scipy.ndimage import gaussian_filter
from skimage.transform import rotate

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph import Micrograph, as_micrographs, find_data_bars, grey_range, open_micrographs

SHAPE = (320, 400)
PICTURE = np.clip(np.random.default_rng(0).normal(120, 25, SHAPE), 1, 254).astype(np.uint8)
SQUARE = np.zeros(SHAPE, dtype=bool)
SQUARE[40:200, 240:] = True


def share(micrograph):
    return 0.0 if micrograph.void_map is None else micrograph.void_map.share


def void_of(micrograph):
    return micrograph.void(0, micrograph.shape[0], 0, micrograph.shape[1])


def masks():
    y, x = np.indices(SHAPE)
    steps = (x < 120) & (y < 90) | (x < 60) & (y < 200) | (x >= 350) & (y >= 230)
    island = (abs(y - 160) < 50) & (abs(x - 200) < 60)
    yield "right", x >= 250
    yield "left", x < 130
    yield "top", y < 100
    yield "bottom", y >= 220
    yield "all around", (x < 50) | (x >= 330) | (y < 60) | (y >= 290)
    yield "stitched", steps
    yield "missing field", island
    yield "missing fields", island | steps
    for angle in (3, 12, 30, -20, 45):
        turned = rotate(np.ones(SHAPE), angle, resize=False, order=0, preserve_range=True)
        yield f"turned by {angle}", turned < 0.5


MASKS = dict(masks())


@pytest.mark.parametrize("level", [0, 255, 128])
@pytest.mark.parametrize("name", MASKS)
def test_constant_fill_is_found_to_the_pixel(name, level):
    pixels = np.where(MASKS[name], level, PICTURE).astype(np.uint8)
    found, wanted = void_of(as_micrographs(pixels)[0]), MASKS[name]
    if name != "turned by 3":  # its corners are thin: missing some of them costs nothing
        assert found[wanted].mean() > (0.97 if level != 128 else 0.8)  # specimen of the level frays its edge
    assert (found & ~wanted).mean() < 0.001


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64", "uint32"])
def test_fill_of_any_type(dtype):
    level = 65535 if dtype == "uint16" else -3 if dtype in ("int16", "float64") else 7
    pixels = np.where(MASKS["stitched"], level, PICTURE.astype(dtype) * 20).astype(dtype)
    np.testing.assert_array_equal(void_of(as_micrographs(pixels)[0]), MASKS["stitched"])


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kept_as", ["numpy", "dask", "zarr", "tiff"])
def test_nan_and_infinity_are_void_wherever_they_are_kept(nothing, kept_as, tmp_path):
    pixels = np.where(SQUARE, nothing, PICTURE).astype(np.float32)
    pixels[7, 7] = nothing
    if kept_as == "tiff":
        tifffile.imwrite(tmp_path / "a.tif", pixels, compression="zlib", photometric="minisblack")
        (micrograph,) = open_micrographs(tmp_path / "a.tif")
    else:
        lazy = {"dask": lambda: da.from_array(pixels, chunks=90), "zarr": lambda: zarr.array(pixels, chunks=(64, 64))}
        (micrograph,) = as_micrographs(lazy.get(kept_as, lambda: pixels)())
    expected = SQUARE.copy()
    expected[7, 7] = True
    np.testing.assert_array_equal(void_of(micrograph), expected)
    assert share(micrograph) == pytest.approx(expected.mean())
    assert micrograph.void_note == "20 % of the picture holds no data and is left out"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("rgb", [False, True])
def test_transparent_pixels_are_void(dtype, rgb):
    full = 1.0 if dtype == np.float32 else np.iinfo(dtype).max
    opacity = np.where(SQUARE, 0, full)
    opacity[:20, :20] = full / 4  # half transparent is still specimen
    pixels = np.dstack([PICTURE.astype(np.float64)] * (3 if rgb else 1) + [opacity]).astype(dtype)
    (micrograph,) = as_micrographs(pixels, rgb=rgb, alpha=True)
    np.testing.assert_array_equal(void_of(micrograph), SQUARE)
    np.testing.assert_allclose(micrograph.read(0, 40, 0, 100), PICTURE[:40, :100], atol=1e-4)


def test_colour_fill_is_found_though_grey_is_computed():
    pixels = np.where(MASKS["stitched"][..., None], (17, 200, 33), np.dstack([PICTURE] * 3)).astype(np.uint8)
    np.testing.assert_array_equal(void_of(as_micrographs(pixels)[0]), MASKS["stitched"])


def test_a_declared_level_is_void_even_where_it_is_scattered():
    pixels = PICTURE.astype(np.int16)
    scattered = np.random.default_rng(1).random(SHAPE) < 0.1
    pixels[scattered] = -9999
    (micrograph,) = as_micrographs(pixels, no_data=-9999)
    np.testing.assert_array_equal(void_of(micrograph), scattered)
    levels = grey_range(micrograph, 0.5, 99.5)
    assert levels.low > 0


def test_what_specimen_may_look_like_is_no_fill():
    y, x = np.indices(SHAPE)
    random = np.random.default_rng(2)
    rough = x > 250 + random.integers(-6, 7, SHAPE[0])[:, None]
    blob = np.hypot(y - 160, x - 200) < 90
    corner = np.hypot(y, x) < 200
    specks = SQUARE & (random.random(SHAPE) > 0.01)
    for mask in (rough, blob, corner, specks):
        for level in (0, 255):
            pixels = np.where(mask, level, PICTURE).astype(np.uint8)
            assert as_micrographs(pixels)[0].void_map is None
    drawing = np.where(SQUARE, 255, 0).astype(np.uint8)
    assert as_micrographs(drawing)[0].fills == ()
    saturated = np.clip(PICTURE.astype(int) * 4 - 480, 0, 255).astype(np.uint8)
    assert as_micrographs(saturated)[0].fills == ()


def test_void_does_not_set_the_grey_range():
    plain = grey_range(as_micrographs(PICTURE)[0], 0.5, 99.5)
    for pixels in (np.where(SQUARE, 255, PICTURE).astype(np.uint8), np.where(SQUARE, np.inf, PICTURE)):
        levels = grey_range(as_micrographs(pixels)[0], 0.5, 99.5)
        assert (levels.low, levels.high) == pytest.approx((plain.low, plain.high), abs=2)


@pytest.mark.parametrize("pixels", [np.full(SHAPE, np.nan), np.dstack([PICTURE, np.zeros_like(PICTURE)])])
def test_a_picture_without_any_data_says_so(pixels):
    (micrograph,) = as_micrographs(pixels, rgb=False, alpha=pixels.ndim == 3)
    with pytest.raises(MicrographError, match="has no data in it"):
        grey_range(micrograph, 0.5, 99.5)
    assert micrograph.void_note.startswith("100 %")


def test_planes_of_a_stack_have_their_own_void():
    stack = np.stack([PICTURE, np.where(SQUARE, np.nan, PICTURE), np.full(SHAPE, np.nan)])
    assert [share(one) for one in as_micrographs(stack)] == pytest.approx([0, SQUARE.mean(), 1])


def bar(height=256, width=512, top=220):
    pixels = np.clip(np.random.default_rng(3).normal(120, 25, (height, width)), 0, 255)
    pixels[top:] = 0
    for left in range(20, width - 20, 24):
        pixels[top + 10 : top + 22, left : left + 6 + left % 11] = 255
    return pixels


@pytest.mark.parametrize("border", [np.s_[:, 384:], np.s_[:, :200], np.s_[60:], np.s_[:50], np.s_[20:200, 100:400]])
def test_void_makes_no_data_bar(border):
    y, x = np.mgrid[:256, :512]
    pixels = 125 + 55 * np.sin(x / 12) * np.cos(y / 5)
    pixels[border] = np.nan
    assert find_data_bars(pixels) == ()
    assert as_micrographs(pixels)[0].data_bars == ()


@pytest.mark.parametrize("border", [np.s_[:, 400:], np.s_[:100, 300:], np.s_[:60], np.s_[:220, :200]])
@pytest.mark.parametrize("nothing", [np.nan, 255.0])
def test_a_data_bar_beside_void_is_still_found(border, nothing):
    pixels = bar()
    assert [(one.start, one.stop) for one in find_data_bars(pixels)] == [(220, 256)]
    pixels[border] = nothing
    (micrograph,) = as_micrographs(pixels)
    if np.isnan(nothing) or border != np.s_[:, 400:]:
        assert [(one.start, one.stop) for one in micrograph.data_bars] == [(220, 256)]
    assert 0 < share(micrograph) < 0.5


def test_a_data_bar_is_no_fill():
    assert as_micrographs(bar())[0].void_map is None
    known = Micrograph(bar(), known_bars=())  # kept as specimen
    assert known.void_map is None


class _Counted:
    """An array that counts the pixels that are read from it."""

    def __init__(self, pixels, chunks=(1024, 1024)):
        self.pixels, self.shape, self.dtype, self.chunks, self.count = pixels, pixels.shape, pixels.dtype, chunks, 0

    def __getitem__(self, box):
        found = np.asarray(self.pixels[box])
        self.count += found.size
        return found


def mosaic(corner):
    """20,000 x 20,000 px of noise, computed when it is read."""
    random = da.random.default_rng(0)
    pixels = random.integers(1, 250, (20_000, 20_000), dtype=np.uint8, chunks=2048)
    rows, columns = da.arange(20_000, chunks=2048)[:, None], da.arange(20_000, chunks=2048)
    return da.where((rows < corner) & (columns < corner), np.uint8(0), pixels)


def test_a_huge_mosaic_without_void_is_only_sampled():
    counted = _Counted(mosaic(0))
    assert as_micrographs(counted)[0].void_map is None
    assert counted.count < 0.02 * 20_000**2


def test_the_corner_of_a_huge_mosaic_is_found():
    (micrograph,) = as_micrographs(mosaic(5000))
    assert len(micrograph.fills) == 1
    assert micrograph.void(4990, 5010, 4990, 5010).sum() == 100


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(("dtype", "level"), [("int16", "-9999"), ("uint16", "0"), ("float32", "-3.4e38 ")])
def test_a_tiff_declares_its_level_without_data(tmp_path, monkeypatch, dtype, level, lazy):
    """Scattered pixels, which no straight edge gives away."""
    if lazy:
        monkeypatch.setattr("napari_semclass.micrograph.formats.tiff._EAGER_BYTES", 10)
    empty = np.random.default_rng(1).random(SHAPE) < 0.2
    pixels = np.where(empty, float(level), PICTURE).astype(dtype)
    tag = (42113, "s", 0, level, True)
    tifffile.imwrite(tmp_path / "declared.tif", pixels, tile=(64, 64), extratags=[tag])
    (micrograph,) = open_micrographs(tmp_path / "declared.tif")
    np.testing.assert_array_equal(void_of(micrograph), empty)
    assert "20 % of the picture holds no data" in micrograph.void_note


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb", "opacity"])
def test_a_declared_level_is_void_whatever_the_pixels_stand_for(tmp_path, photometric):
    empty = np.random.default_rng(1).random(SHAPE) < 0.2
    grey = np.where(empty, 7, np.clip(PICTURE, 8, 254)).astype(np.uint8)
    pixels = {"rgb": np.stack([grey] * 3, -1), "opacity": np.stack([grey, np.full_like(grey, 255)], -1)}.get(
        photometric, grey
    )
    options = {"rgb": {"photometric": "rgb"}, "opacity": {"photometric": "minisblack", "extrasamples": ["unassalpha"]}}
    tag = (42113, "s", 0, "7", True)
    keywords = options.get(photometric, {"photometric": photometric})
    tifffile.imwrite(tmp_path / "declared.tif", pixels, extratags=[tag], metadata=None, **keywords)
    (micrograph,) = open_micrographs(tmp_path / "declared.tif")
    np.testing.assert_array_equal(void_of(micrograph), empty)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_chunks_that_are_not_stored_are_void(tmp_path, zarr_format):
    stored = zarr.create_array(
        tmp_path / "mosaic.zarr", shape=SHAPE, chunks=(80, 100), dtype="uint8", zarr_format=zarr_format, fill_value=0
    )
    stored[:160] = PICTURE[:160]
    (micrograph,) = open_micrographs(tmp_path / "mosaic.zarr")
    void = void_of(micrograph)
    assert void[160:].all()
    assert not void[:160].any()


@pytest.mark.parametrize("shape", [(700, 800), (1200, 1600)])
@pytest.mark.parametrize("name", ["lines", "pad", "cleaved edge"])
def test_saturated_specimen_with_straight_edges_is_no_fill(name, shape):
    """A beam blurs every edge; a program draws fill up to the last pixel."""
    y, x = np.indices(shape)
    pad = (abs(y - shape[0] // 2) < 150) & (abs(x - shape[1] // 2) < 200)
    mask = {"lines": (x // 128) % 2 == 0, "pad": pad, "cleaved edge": y < shape[0] // 3}[name]
    levels = gaussian_filter(np.where(mask, -40.0 if name == "cleaved edge" else 300.0, 110.0), 1.2)
    noise = np.random.default_rng(0).normal(0, 10, shape)
    pixels = np.clip(np.rint(levels + noise), 0, 255).astype(np.uint8)
    assert share(as_micrographs(pixels)[0]) == 0
    if name != "lines":  # the same shapes as a program draws them
        drawn = np.where(mask, 0, np.clip(110 + noise, 1, 254)).astype(np.uint8)
        assert share(as_micrographs(drawn)[0]) == pytest.approx(mask.mean(), abs=0.01)
