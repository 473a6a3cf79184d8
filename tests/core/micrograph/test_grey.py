"""Grey normalisation: the same picture in any range gives the same tiles; nothing is read whole."""

import dask.array as da
import numpy as np
import pytest

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph import DataBar, Micrograph, as_micrographs, grey_range

PICTURE = np.clip(np.random.default_rng(0).normal(100, 20, (300, 400)), 0, 255).astype(np.uint8)


def normalised(array, **keywords):
    micrograph = Micrograph(array, known_bars=keywords.pop("bars", ()))
    return grey_range(micrograph, 0.5, 99.5).normalise(array)


@pytest.mark.parametrize(
    "same",
    [
        lambda p: p.astype(np.uint16) * 200 + 7,
        lambda p: p.astype(np.float32) / 255,
        lambda p: p.astype(np.float64) * -1e-9 * -1,
        lambda p: p.astype(np.int32) - 1000,
        lambda p: p.astype(np.uint64) << 40,
        lambda p: p.astype(np.uint32) + 4_000_000_000,
        lambda p: p.astype(np.float64) + 1e9,
        lambda p: p.astype(np.float64) * 1e300,
    ],
    ids=["16 bit", "0 to 1", "tiny float", "negative", "64 bit", "32 bit offset", "float offset", "huge float"],
)
def test_the_range_of_the_file_does_not_matter(same):
    np.testing.assert_allclose(normalised(same(PICTURE)), normalised(PICTURE), atol=2e-4)


def test_hot_pixels_do_not_darken_the_rest():
    hot = PICTURE.astype(np.uint16)
    hot[:2, :20] = 65535
    assert abs(normalised(hot)[100:].mean() - normalised(PICTURE)[100:].mean()) < 0.02


def test_nan_and_infinity_are_left_out_and_become_grey_black_or_white():
    holes = PICTURE.astype(np.float32)
    holes[:50] = np.nan
    holes[50, 0], holes[50, 1] = np.inf, -np.inf
    result = normalised(holes)
    assert np.isfinite(result).all()
    assert (result[:50] == 0.5).all()
    assert (result[50, 0], result[50, 1]) == (1, 0)
    np.testing.assert_allclose(result[60:], normalised(PICTURE[50:])[10:], atol=0.02)


def test_the_data_bar_does_not_set_the_range():
    barred = PICTURE.copy()
    barred[250:] = 255
    bars = (DataBar(250, 300, 1.0),)
    np.testing.assert_allclose(normalised(barred, bars=bars)[:250], normalised(PICTURE[:250]), atol=1e-6)


def test_bool_masks_and_sparse_features_use_their_whole_range():
    (mask,) = as_micrographs(np.eye(300, dtype=bool))
    levels = grey_range(mask, 0.5, 99.5)
    assert (levels.low, levels.high) == (0, 1)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.full((100, 100), 7), "every sampled pixel is 7"),
        (np.zeros((1, 1)), "every sampled pixel is 0"),
        (np.full((9, 9), np.nan), "has no data in it"),
    ],
)
def test_an_image_with_nothing_to_see_says_so(array, sentence):
    with pytest.raises(MicrographError, match=sentence):
        grey_range(Micrograph(array, known_bars=()), 0.5, 99.5)


def test_a_large_lazy_image_is_sampled_and_not_read_whole():
    read = []

    def block(block_info):
        read.append(block_info[None]["array-location"])
        return np.random.default_rng(0).random((512, 512))

    image = da.map_blocks(block, chunks=((512,) * 40, (512,) * 40), dtype=float, meta=np.empty((0, 0)))
    levels = grey_range(as_micrographs(image)[0], 0.5, 99.5)
    assert levels.low == pytest.approx(0.005, abs=0.002)
    assert len(set(map(str, read))) < 300  # of 1,600 chunks


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [2, 7, 1000])
def test_counted_grey_levels_give_numpys_percentiles(dtype, size):
    random = np.random.default_rng(size)
    levels = random.integers(0, np.iinfo(dtype).max, (1, size), dtype=dtype, endpoint=True)
    for low, high in ((0, 100), (0.5, 99.5), (10, 33.3)):
        found = grey_range(Micrograph(levels, known_bars=()), low, high)
        np.testing.assert_allclose((found.low, found.high), np.percentile(levels, [low, high]), rtol=1e-12)
