"""All tiles together: counts per category and micrograph, and what the user is asked to mark next."""

import numpy as np
import pytest

from napari_semclass.annotate import Categories, Marks, Point, Source, mark_tiles
from napari_semclass.annotate.collect import collect_tiles
from napari_semclass.classify.grid import tile_grid
from napari_semclass.micrograph import Micrograph

TILE = 20
CATEGORIES = Categories().add("Pores").add("Fibres").add("Matrix")
GRID = tile_grid((200, 200), TILE)


def source(name, **more):
    return Source(name, name, Micrograph(np.zeros((200, 200), dtype=np.uint8), name), **more)


def collected(*images, categories=CATEGORIES):
    """Each image a list of points (number, y, x)."""
    marked = [
        (source(f"image {n}"), mark_tiles(Marks(points=tuple(Point(*p) for p in points)), GRID))
        for n, points in enumerate(images)
    ]
    return collect_tiles(marked, categories, TILE)


def test_tiles_of_all_sources_are_counted_by_category_and_source():
    labelled = collected([(3, 5, 5), (1, 50, 5)], [], [(1, 5, 5)])
    assert len(labelled) == 3
    assert labelled.source_index.tolist() == [0, 0, 2]
    assert labelled.counts() == {1: 2, 2: 0, 3: 1}
    assert labelled.counts_of(0) == {1: 1, 2: 0, 3: 1}
    assert labelled.counts_of(1) == {1: 0, 2: 0, 3: 0}
    assert labelled.groups() == {1: 2, 2: 0, 3: 1}
    assert [category.name for category in labelled.used] == ["Pores", "Matrix"]
    assert labelled.labels.tolist() == [1, 0, 0]


def test_tiles_of_a_removed_category_are_left_out():
    labelled = collected([(3, 5, 5), (1, 50, 5)], categories=CATEGORIES.remove(3))
    assert labelled.numbers.tolist() == [1]


FAR = [(5, 5), (105, 5), (5, 105), (105, 105)]


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([[(1, 5, 5)]], "Mark Fibres: it has no tiles yet."),
        (
            [[(1, 5, 5), (1, 105, 5), (2, 5, 105), (3, 105, 105), (3, 185, 5)]],
            "Mark Fibres in one more place, a tile or more from all marks: it has 1",
        ),
        ([[(n, *place) for n, place in zip((1, 1, 2, 2), FAR, strict=True)]], "Mark Matrix: it has no tiles yet."),
        (
            [[(1, 5, 5), (2, 5, 45), (3, 5, 85), (3, 5, 125)], [(1, 5, 5), (1, 45, 5), (2, 5, 45), (3, 5, 85)]],
            "Mark more Fibres: it has 2 tiles, Pores has 3.",
        ),
        ([[(1, 5, 5), (2, 5, 45), (3, 5, 85)]] * 2, "Every category has 2 tiles; more of all make the model better."),
    ],
)
def test_the_category_that_needs_more_is_named(images, said):
    assert collected(*images).needs().startswith(said)


def test_two_categories_are_asked_for_first():
    assert "second category" in collected([], categories=Categories().add("Pores")).needs()
    assert "second category" in collected(categories=Categories()).needs()
