"""Groups are honest: regions that are near are one, and the level is the coarsest that can test every category."""

import numpy as np
import pytest

from napari_semclass.annotate import Categories, Marked, MarkedTiles, group_tiles
from napari_semclass.annotate.groups import groups_per_category
from napari_semclass.classify.grid import tile_grid

TILE = 20
CATEGORIES = Categories().add("Pores").add("Fibres")


def tiles(*places):
    """Tiles (number, y, x) of TILE px."""
    ordered = sorted(places, key=lambda place: place[1:])
    corners = np.array([place[1:] for place in ordered], dtype=np.int64).reshape(-1, 2)
    boxes = np.concatenate([corners, corners + TILE], axis=1)
    numbers = np.array([place[0] for place in ordered], dtype=np.int64)
    return MarkedTiles(boxes, numbers, np.arange(len(numbers)))


def group(*marked):
    return group_tiles([Marked(*one, tile=TILE) for one in marked], CATEGORIES)


BOTH = tiles((1, 0, 0), (2, 0, 20))


def test_specimens_are_the_groups_where_every_image_has_one():
    found = group(("a", "wool", BOTH), ("b", "Wool ", BOTH), ("c", "silk", BOTH))
    assert found.level == "specimen"
    assert found.groups.tolist() == [1, 1, 1, 1, 0, 0]
    assert found.sentence == "tested on other specimens"
    assert found.kept.all()


def test_images_are_the_groups_where_a_specimen_is_unknown_or_holds_a_category_alone():
    assert group(("a", "wool", BOTH), ("b", "", BOTH)).level == "image"
    found = group(("a", "wool", BOTH), ("b", "wool", BOTH))
    assert (found.level, found.groups.tolist()) == ("image", [0, 0, 1, 1])
    assert found.sentence == "tested on other images of the same specimens"


def test_an_image_without_marks_needs_no_specimen():
    assert group(("a", "wool", BOTH), ("b", "silk", BOTH), ("c", "", tiles())).level == "specimen"


def test_regions_are_the_groups_where_a_category_is_in_one_image_only():
    found = group(("a", "", tiles((1, 0, 0), (2, 0, 60), (1, 60, 0), (2, 60, 60))), ("b", "", tiles((1, 0, 0))))
    assert found.level == "region"
    assert found.sentence == "tested on other regions of the same images"
    assert groups_per_category(np.array([1, 2, 1, 2, 1]), found.groups) == {1: 3, 2: 2}


@pytest.mark.parametrize(("gap", "regions"), [(0, 1), (19, 1), (20, 2), (21, 2)])
@pytest.mark.parametrize("axis", [0, 1])
def test_tiles_less_than_a_tile_apart_are_one_region_whatever_their_category(gap, regions, axis):
    place = [0, 0]
    place[axis] = TILE + gap
    found = group(("a", "", tiles((1, 0, 0), (2, *place))))
    assert len(np.unique(found.groups)) == regions


def test_planes_of_a_stack_are_one_image_and_places_on_them_one_region():
    # Neighbouring planes show nearly the same: testing on the next one would be testing on what was learned.
    found = group(("stack", "", BOTH), ("stack", "", BOTH))
    assert (found.level, len(np.unique(found.groups))) == ("none", 1)
    assert group(("stack", "", BOTH), ("other", "", BOTH)).level == "image"


def test_where_nothing_can_be_tested_it_is_said_what_to_mark():
    found = group(("a", "", tiles((1, 0, 0), (1, 100, 0), (2, 200, 0))))
    assert found.level == "none"
    assert found.sentence == "accuracy cannot be shown, as Fibres is marked in one place only"
    assert found.advice == (
        "Mark Fibres in one more place, at least one tile (20 px) from all marks: nearer ones are one place.",
    )
    both = group(("a", "", BOTH))
    assert "Pores and Fibres are each marked in one place only" in both.sentence
    assert both.advice == (
        "Mark each of them in one more place, at least one tile (20 px) from all marks: nearer ones are one place.",
    )


def test_without_marks_there_is_no_group():
    found = group(("a", "", tiles()))
    assert (found.level, len(found.groups)) == ("none", 0)
    assert found.advice == ("Mark tiles of two or more categories.",)


@pytest.mark.parametrize("seed", range(6))
def test_regions_are_those_that_comparing_all_pairs_gives(seed):
    random = np.random.default_rng(seed)
    boxes = tile_grid((400, 500), 32, 12, [(0, 170), (190, 215), (230, 400)]).boxes()
    chosen = np.sort(random.choice(len(boxes), 60, replace=False))
    boxes = boxes[chosen]
    marked = MarkedTiles(boxes, np.ones(60, dtype=np.int64), chosen)
    found = group_tiles([Marked("a", "", marked, tile=32)], CATEGORIES).groups
    expected = np.arange(60)
    near = np.array(
        [
            [max(b[0] - a[2], a[0] - b[2]) < 32 and max(b[1] - a[3], a[1] - b[3]) < 32 for b in boxes.tolist()]
            for a in boxes.tolist()
        ]
    )
    for _ in range(60):
        expected = np.where(near, expected[None], 99).min(axis=1)
    assert len(set(zip(found.tolist(), expected.tolist(), strict=True))) == len(set(expected.tolist()))
    assert len(set(found.tolist())) == len(set(expected.tolist()))
