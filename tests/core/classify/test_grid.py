"""The tile grid: every pixel covered, boxes inside, cells exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_semclass.classify.grid import tile_grid, whole_grid
from napari_semclass.errors import SettingsError

sides = st.integers(1, 90)


@st.composite
def grids(draw):
    tile = draw(st.integers(1, 60))
    return tile_grid((draw(sides), draw(sides)), tile, draw(st.integers(1, tile)))


@given(grids())
def test_every_pixel_is_covered_and_every_box_lies_inside(grid):
    covered = np.zeros(grid.shape, int)
    for y0, x0, y1, x1 in grid.boxes():
        assert 0 <= y0 < y1 <= grid.shape[0]
        assert 0 <= x0 < x1 <= grid.shape[1]
        assert y1 - y0 == min(grid.tile, grid.shape[0])
        assert x1 - x0 == min(grid.tile, grid.shape[1])
        covered[y0:y1, x0:x1] += 1
    assert covered.min() >= 1
    assert len({tuple(box) for box in grid.boxes()}) == len(grid)


@given(grids())
def test_cells_partition_the_pixels_and_know_their_tiles(grid):
    rows, columns = grid.cells()
    assert rows.lengths.sum() * columns.lengths.sum() == np.prod(grid.shape)
    for axis, extents in ((rows, grid.rows), (columns, grid.columns)):
        for cell in range(len(axis.lengths)):
            over = [i for i, (a, b) in enumerate(extents) if a <= axis.edges[cell] and axis.edges[cell + 1] <= b]
            assert list(np.flatnonzero(axis.cover.toarray()[cell])) == over


@given(grids(), st.integers(1, 5000))
def test_blocks_hold_every_tile_once(grid, pixels):
    seen = [(r, c) for rows, columns in grid.blocks(pixels) for r in rows for c in columns]
    assert sorted(seen) == [(r, c) for r in range(len(grid.rows)) for c in range(len(grid.columns))]


@given(grids(), st.integers(1, 5000))
def test_blocks_are_no_larger_than_allowed_or_one_tile(grid, pixels):
    boxes = grid.boxes().reshape(len(grid.rows), len(grid.columns), 4)
    for rows, columns in grid.blocks(pixels):
        (y0, x0), (y1, x1) = boxes[rows[0], columns[0], :2], boxes[rows[-1], columns[-1], 2:]
        assert (y1 - y0) * (x1 - x0) <= max(pixels, grid.tile**2)


def test_blocks_are_as_wide_and_then_as_high_as_allowed():
    grid = tile_grid((400, 1900), 100)
    blocks = [(rows, columns) for rows, columns in grid.blocks(80_000)]
    assert blocks == [
        *((range(row, row + 1), range(8)) for row in range(4)),
        *((range(row, row + 1), range(8, 16)) for row in range(4)),
        (range(2), range(16, 19)),
        (range(2, 4), range(16, 19)),
    ]


def test_stride_starts_and_the_last_tile_is_aligned_to_the_edge():
    grid = tile_grid((100, 250), 100, 60)
    assert grid.rows == ((0, 100),)
    assert grid.columns == ((0, 100), (60, 160), (120, 220), (150, 250))
    assert grid.box(2) == (0, 120, 100, 220)


def test_the_data_bar_is_left_out_and_both_sides_are_covered():
    grid = tile_grid((768, 1024), 224, None, [(0, 640), (700, 768)])
    assert all(y1 <= 640 or y0 >= 700 for y0, y1 in grid.rows)
    assert {y for extent in grid.rows for y in range(*extent)} == {*range(640), *range(700, 768)}


def test_a_sliver_beside_a_bar_is_left_out_but_a_thin_micrograph_is_not():
    assert tile_grid((768, 1024), 224, None, [(0, 691), (767, 768)]).rows[-1] == (467, 691)
    assert tile_grid((20, 900), 224).rows == ((0, 20),)


@pytest.mark.parametrize(
    ("tile", "stride", "sentence"),
    [
        (64, 65, "stride 65 px is larger than tile 64 px"),
        (0, None, "at least 1 px"),
        (64, 0, "at least 1 px"),
        (-5, None, "at least"),
    ],
)
def test_impossible_tiles_are_refused(tile, stride, sentence):
    with pytest.raises(SettingsError, match=sentence):
        tile_grid((100, 100), tile, stride)


def test_a_whole_picture_is_one_box_of_the_tallest_part():
    assert whole_grid((768, 1024), [(0, 640), (700, 768)]).box(0) == (0, 0, 640, 1024)


def test_a_whole_picture_without_a_bar_is_all_of_it_and_as_wide_as_its_longer_side():
    grid = whole_grid((50, 80))
    assert (grid.box(0), grid.tile, grid.stride, grid.shape) == ((0, 0, 50, 80), 80, 80, (50, 80))
    below = whole_grid((90, 40), [(0, 30), (40, 90)])
    assert (below.box(0), below.tile, below.stride) == ((40, 0, 90, 40), 50, 50)


def test_more_tiles_than_memory_holds_are_refused_before_they_are_made():
    with pytest.raises(SettingsError, match="400,000,000 tiles"):
        tile_grid((20_000, 20_000), 1)


def test_the_tile_at_a_position_is_the_one_whose_middle_is_nearest():
    grid = tile_grid((200, 300), 100, 50)
    assert grid.box(grid.tile_at(10, 10)) == (0, 0, 100, 100)
    assert grid.box(grid.tile_at(80, 130)) == (50, 100, 150, 200)
    assert grid.box(grid.tile_at(10, 210)) == (0, 150, 100, 250)
    assert grid.tile_at(-1, 10) is None
    assert grid.tile_at(10, 300) is None


def test_no_tile_is_at_a_position_on_the_data_bar():
    grid = tile_grid((200, 100), 50, specimen=[(0, 150)])
    assert grid.tile_at(149, 50) is not None
    assert grid.tile_at(150, 50) is None
