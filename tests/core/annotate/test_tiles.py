"""Which tiles marks label: the shares, ties, points, small marks, data bars, overlapping tiles."""

import dask.array as da
import numpy as np
import pytest

from napari_semclass.annotate import Marks, Point, Region, mark_tiles
from napari_semclass.classify.grid import tile_grid

SHAPE = (100, 200)
GRID = tile_grid(SHAPE, 20)


def painted(*boxes):
    pixels = np.zeros(SHAPE, dtype=np.uint8)
    for number, y0, x0, y1, x1 in boxes:
        pixels[y0:y1, x0:x1] = number
    return pixels


def box(number, y0, x0, y1, x1):
    return Region(number, np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]]) - 0.5)


def tiles(marks, grid=GRID):
    found = mark_tiles(marks, grid)
    np.testing.assert_array_equal(found.boxes, grid.boxes()[found.indices])
    return dict(zip(map(tuple, found.boxes[:, :2].tolist()), found.numbers.tolist(), strict=True)), found


def test_a_tile_marked_to_a_quarter_takes_the_category():
    assert tiles(Marks(painted((1, 0, 0, 20, 25))))[0] == {(0, 0): 1, (0, 20): 1}
    assert tiles(Marks(painted((1, 0, 0, 20, 24))))[0] == {(0, 0): 1}


def test_a_tile_takes_the_category_with_four_fifths_of_what_is_marked_and_none_with_less():
    assert tiles(Marks(painted((1, 0, 0, 20, 16), (2, 0, 16, 20, 20))))[0] == {(0, 0): 1}
    found, result = tiles(Marks(painted((1, 0, 0, 20, 15), (2, 0, 15, 20, 20))))
    assert (found, result.mixed) == ({}, 1)
    assert tiles(Marks(painted((1, 0, 0, 20, 10), (2, 0, 10, 20, 20))))[1].mixed == 1


def test_two_categories_on_the_same_pixels_contradict_each_other():
    found, result = tiles(Marks(painted((1, 0, 0, 20, 20)), (box(2, 0, 0, 20, 20),)))
    assert (found, result.mixed) == ({}, 1)


def test_painting_and_regions_of_one_category_add_up_but_count_once():
    assert tiles(Marks(painted((1, 17, 0, 40, 20)), (box(1, 17, 0, 20, 20),)))[0] == {(20, 0): 1}
    assert tiles(Marks(painted((1, 0, 0, 3, 20)), (box(1, 17, 0, 20, 20),)))[0] == {(0, 0): 1}


def test_a_point_labels_its_tile_whatever_else_is_marked_there():
    marks = Marks(
        painted((1, 0, 0, 20, 20), (2, 40, 0, 60, 10), (1, 40, 10, 60, 20)), (), (Point(3, 5, 5), Point(2, 45, 15))
    )
    found, result = tiles(marks)
    assert found == {(0, 0): 3, (40, 0): 2}
    assert result.mixed == 0


def test_points_that_contradict_each_other_leave_their_tile_out():
    found, result = tiles(Marks(None, (), (Point(1, 5, 5), Point(2, 6, 6), Point(1, 25, 5), Point(1, 26, 5))))
    assert (found, result.mixed) == ({(20, 0): 1}, 1)


@pytest.mark.parametrize(("y", "x", "tile"), [(19.4, 5, (0, 0)), (19.6, 5, (20, 0)), (-0.4, 199.4, (0, 180))])
def test_points_are_counted_as_napari_counts_pixels(y, x, tile):
    assert list(tiles(Marks(None, (), (Point(1, y, x),)))[0]) == [tile]


def test_of_overlapping_tiles_a_point_labels_the_one_around_it():
    grid = tile_grid(SHAPE, 40, 10)
    for y, x in ((33.2, 71.9), (4, 4), (99, 199)):
        found = mark_tiles(Marks(None, (), (Point(1, y, x),)), grid)
        assert found.indices.tolist() == [grid.tile_at(y + 0.5, x + 0.5)]


def test_a_mark_too_small_for_any_tile_gives_the_one_that_holds_most_of_it():
    assert tiles(Marks(painted((1, 15, 3, 22, 6))))[0] == {(0, 0): 1}
    assert tiles(Marks(None, (box(1, 18, 3, 25, 6),)))[0] == {(20, 0): 1}
    line = painted((1, 50, 0, 51, 95))  # one thin line through five tiles is one mark
    assert len(tiles(Marks(line))[0]) == 1


def test_a_small_mark_gives_an_overlapping_tile_with_it_in_the_middle():
    grid = tile_grid(SHAPE, 40, 10)
    found = mark_tiles(Marks(painted((1, 48, 98, 52, 102))), grid)
    assert found.boxes.tolist() == [[30, 80, 70, 120]]


def test_small_marks_that_had_a_say_give_no_other_tile():
    # A few pixels of 2 in a tile of 1 are outvoted; a few pixels of 1 beside it belong to the mark that gave the tile.
    found, result = tiles(Marks(painted((1, 0, 0, 20, 22), (2, 5, 5, 8, 8))))
    assert (found, result.mixed, result.unused) == ({(0, 0): 1}, 0, 1)
    found, result = tiles(Marks(painted((1, 0, 0, 20, 10), (2, 0, 10, 20, 22))))
    assert (found, result.mixed, result.unused) == ({}, 1, 0)


def test_an_outvoted_mark_gives_a_neighbouring_tile_if_it_reaches_there():
    found, _ = tiles(Marks(painted((1, 0, 0, 20, 20), (2, 5, 16, 8, 22))))
    assert found == {(0, 0): 1, (0, 20): 2}


def test_two_small_marks_of_different_categories_in_one_tile_make_it_mixed():
    found, result = tiles(Marks(painted((1, 2, 2, 4, 4), (2, 12, 12, 14, 14))))
    assert (found, result.mixed) == ({}, 1)


def test_marks_on_the_data_bar_and_outside_give_no_tile_and_are_counted():
    grid = tile_grid(SHAPE, 20, specimen=[(0, 40), (60, 80)])
    marks = Marks(
        painted((1, 45, 0, 55, 20), (1, 85, 0, 95, 20)), (box(1, 300, 0, 320, 20),), (Point(1, 50, 50), Point(1, -3, 0))
    )
    found, result = tiles(marks, grid)
    assert (found, result.unused) == ({}, 5)
    assert tiles(Marks(painted((1, 30, 0, 70, 20))), grid)[0] == {(20, 0): 1, (60, 0): 1}


def test_the_last_tiles_overlap_their_neighbours_and_count_for_themselves():
    grid = tile_grid((50, 50), 20)
    pixels = np.zeros((50, 50), dtype=np.uint8)
    pixels[0:20, 20:40] = 1
    assert list(tiles(Marks(pixels), grid)[0]) == [(0, 20), (0, 30)]


def test_tiles_are_those_that_counting_every_pixel_gives():
    random = np.random.default_rng(0)
    pixels = np.zeros((300, 400), dtype=np.int32)
    for _ in range(40):
        y, x = random.integers(0, 280), random.integers(0, 380)
        pixels[y : y + random.integers(10, 90), x : x + random.integers(10, 90)] = random.integers(0, 4)
    grid = tile_grid(pixels.shape, 64, 24, [(0, 130), (150, 300)])
    found = mark_tiles(Marks(pixels), grid)
    by_index = dict(zip(found.indices.tolist(), found.numbers.tolist(), strict=True))
    mixed = 0
    for index in range(len(grid)):
        y0, x0, y1, x1 = grid.box(index)
        counts = np.bincount(pixels[y0:y1, x0:x1].ravel(), minlength=4)[1:]
        marked = counts.sum()
        if marked >= 0.25 * (y1 - y0) * (x1 - x0):
            clear = counts.max() >= 0.8 * marked
            mixed += not clear
            assert by_index.get(index) == (int(counts.argmax()) + 1 if clear else None)
    assert found.mixed >= mixed > 0


def test_lazy_labels_and_no_marks_at_all_work():
    pixels = painted((1, 0, 0, 20, 20))
    assert tiles(Marks(da.from_array(pixels, chunks=30)))[0] == {(0, 0): 1}
    assert len(mark_tiles(Marks(), GRID)) == 0
    assert len(mark_tiles(Marks(np.zeros(SHAPE, dtype=np.uint8)), GRID)) == 0
