"""Marked pixels as runs: the same pixels and the same connected marks as scikit-image finds, however they are given."""

import numpy as np
import pytest
from skimage.draw import polygon2mask
from skimage.measure import label

from napari_semclass.annotate import Marks, Region
from napari_semclass.annotate.runs import connected, count_marks, runs_of
from napari_semclass.errors import SettingsError

SHAPE = (60, 90)


def raster(runs, values):
    pixels = np.zeros(SHAPE, dtype=np.int64)
    for y, x0, x1, value in zip(runs.y, runs.x0, runs.x1, values, strict=True):
        assert not pixels[y, x0:x1].any()
        pixels[y, x0:x1] = value
    return pixels


def blobs(seed, dtype=np.uint8):
    random = np.random.default_rng(seed)
    painted = np.zeros(SHAPE, dtype=dtype)
    for _ in range(25):
        y, x = random.integers(0, 60), random.integers(0, 90)
        painted[y : y + random.integers(1, 12), x : x + random.integers(1, 12)] = random.integers(0, 4)
    return painted


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("seed", range(5))
def test_runs_hold_what_is_painted_and_connect_as_pixels_do(seed, dtype, monkeypatch):
    monkeypatch.setattr("napari_semclass.annotate.runs._STRIP_PX", 700)  # several strips
    painted = blobs(seed, dtype)
    runs, outside = runs_of(Marks(painted), SHAPE)
    np.testing.assert_array_equal(raster(runs, runs.number), painted)
    assert outside == 0
    expected, count = label(painted, connectivity=2, return_num=True)
    found = raster(runs, connected(runs) + 1)
    pairs = {(int(a), int(b)) for a, b in zip(expected.ravel(), found.ravel(), strict=True)}
    assert len(pairs) == count + 1  # with the background: one to one
    assert count_marks([painted]) == count


@pytest.mark.parametrize("seed", range(8))
def test_a_region_holds_the_pixels_whose_centres_it_outlines(seed):
    corners = np.random.default_rng(seed).uniform([-20, -20], [80, 110], (7, 2))  # crosses itself and the edges
    runs, _ = runs_of(Marks(regions=(Region(2, corners),)), SHAPE)
    padded = polygon2mask((160, 190), corners + 50)[50:110, 50:140]
    np.testing.assert_array_equal(raster(runs, runs.number) == 2, padded)


def test_a_box_holds_the_pixels_that_napari_draws_it_over():
    box = np.array([[9.5, 19.5], [9.5, 29.5], [14.5, 29.5], [14.5, 19.5]])
    runs, _ = runs_of(Marks(regions=(Region(1, box),)), SHAPE)
    assert runs.y.tolist() == [10, 11, 12, 13, 14]
    assert set(zip(runs.x0.tolist(), runs.x1.tolist(), strict=True)) == {(20, 30)}


def test_what_is_painted_and_outlined_with_one_category_counts_once():
    painted = np.zeros(SHAPE, dtype=np.uint8)
    painted[10:20, 10:20] = 1
    box = np.array([[9.5, 14.5], [9.5, 29.5], [19.5, 29.5], [19.5, 14.5]])
    runs, _ = runs_of(Marks(painted, (Region(1, box), Region(2, box))), SHAPE)
    area = runs.x1 - runs.x0
    assert area[runs.number == 1].sum() == 200
    assert area[runs.number == 2].sum() == 150


def test_a_region_smaller_than_a_pixel_is_the_pixel_it_lies_on_and_one_outside_is_counted():
    speck = np.array([[5.1, 7.1], [5.1, 7.3], [5.3, 7.2]])
    runs, outside = runs_of(Marks(regions=(Region(1, speck), Region(1, speck + 500))), SHAPE)
    assert (runs.y.tolist(), runs.x0.tolist(), runs.x1.tolist()) == ([5], [7], [8])
    assert outside == 1


@pytest.mark.parametrize(
    ("painted", "said"),
    [
        (np.zeros((9, 9), dtype=np.uint8), "measures 9 x 9 px, the micrograph 60 x 90 px"),
        (np.full(SHAPE, 300, dtype=np.int32), "the value 300"),
        (np.full(SHAPE, -1, dtype=np.int32), "the value -1"),
    ],
)
def test_what_does_not_fit_is_said(painted, said):
    with pytest.raises(SettingsError, match=said):
        runs_of(Marks(painted), SHAPE)
