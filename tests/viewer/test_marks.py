"""Marks in napari's layers: drawn, coloured, renamed, taken over from the user's own layers, and undone."""

import numpy as np
import pytest

from napari_semclass.annotate.categories import Categories
from napari_semclass.errors import SettingsError
from napari_semclass.viewer.layers import target_of
from napari_semclass.viewer.mark_layers import (
    add_painting,
    add_points,
    add_regions,
    adopt,
    choose_category,
    numbers_of,
    renumber,
    set_numbers,
    show_categories,
    values_of,
)
from napari_semclass.viewer.mark_snapshot import snapshot
from napari_semclass.viewer.mark_undo import MarkUndo

BOX = np.array([[10.0, 20.0], [10.0, 60.0], [40.0, 60.0], [40.0, 20.0]])


@pytest.fixture
def categories():
    return Categories().add("Pores", "#ff0000").add("Grains", "#0000ff")


@pytest.fixture
def model_viewer():
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.fixture
def image(model_viewer):
    return model_viewer.add_image(np.zeros((100, 200), dtype=np.uint8), name="steel", scale=(0.5, 0.5))


def marks_of(viewer, image):
    return snapshot(viewer, target_of(image)).marks()


def test_a_new_layer_lies_on_its_image_and_marks_with_the_chosen_category(model_viewer, image, categories):
    regions = add_regions(model_viewer, image, categories)
    choose_category(regions, categories.items[1])
    regions.add(BOX, shape_type="rectangle")
    assert tuple(regions.scale) == (0.5, 0.5)
    marks = marks_of(model_viewer, image)[0]
    assert [region.number for region in marks.regions] == [2]
    np.testing.assert_allclose(marks.regions[0].polygon, BOX)
    np.testing.assert_allclose(regions.edge_color[0][:3], (0, 0, 1), atol=0.01)


def test_marks_of_all_kinds_of_layers_are_taken_together(model_viewer, image, categories):
    painting = add_painting(model_viewer, image, categories)
    painting.data_setitem((np.array([5]), np.array([6])), 2)
    points = add_points(model_viewer, image, categories)
    points.add([[30.0, 50.0]])
    ellipses = add_regions(model_viewer, image, categories)
    ellipses.add(BOX, shape_type="ellipse")
    ellipses.add([[0, 0], [10, 10]], shape_type="line")
    marks = marks_of(model_viewer, image)[0]
    assert marks.painted[5, 6] == 2
    assert [(point.number, point.y, point.x) for point in marks.points] == [(1, 30.0, 50.0)]
    assert len(marks.regions) == 1  # a line has no area
    assert len(marks.regions[0].polygon) > 8


def test_recolouring_and_renaming_reach_every_mark(model_viewer, image, categories):
    painting = add_painting(model_viewer, image, categories)
    regions = add_regions(model_viewer, image, categories)
    regions.add(BOX, shape_type="rectangle")
    changed = categories.recolour(1, "#00ff00").rename(1, "Voids")
    for layer in (painting, regions):
        show_categories(layer, changed)
    np.testing.assert_allclose(regions.edge_color[0][:3], (0, 1, 0), atol=0.01)
    assert list(regions.features["category"]) == ["Voids"]
    np.testing.assert_allclose(painting.colormap.color_dict[1][:3], (0, 1, 0), atol=0.01)
    assert "Voids" in list(painting.features["category"])


def test_marks_of_one_category_can_be_given_to_another(model_viewer, image, categories):
    painting = add_painting(model_viewer, image, categories)
    painting.data_setitem((np.array([5, 6]), np.array([6, 6])), 1)
    regions = add_regions(model_viewer, image, categories)
    regions.add(BOX, shape_type="rectangle")
    for layer in (painting, regions):
        renumber(layer, 1, 2, categories)
    marks = marks_of(model_viewer, image)[0]
    assert np.count_nonzero(marks.painted == 2) == 2
    assert [region.number for region in marks.regions] == [2]


def test_planes_of_a_stack_have_their_own_marks(model_viewer, categories):
    stack = model_viewer.add_image(np.zeros((3, 100, 200), dtype=np.uint8))
    regions = add_regions(model_viewer, stack, categories)
    regions.add(np.insert(BOX, 0, 2, axis=1), shape_type="rectangle")
    marks = marks_of(model_viewer, stack)
    assert [len(plane.regions) for plane in marks] == [0, 0, 1]


def test_labels_of_the_users_own_are_mapped_and_left_as_they_are(model_viewer, image, categories):
    own = model_viewer.add_labels(np.zeros((100, 200), dtype=int), scale=(0.5, 0.5))
    own.data[:10] = 7
    own.data[10:20] = 300
    assert values_of(own) == [7, 300]
    adopt(own, image, {7: 2}, categories)
    painted = marks_of(model_viewer, image)[0].painted
    assert set(np.unique(painted[:10])) == {2}
    assert set(np.unique(painted[10:])) == {0}
    assert own.data[15, 0] == 300


def test_shapes_of_the_users_own_are_mapped_by_their_column_of_names(model_viewer, image, categories):
    own = model_viewer.add_shapes([BOX, BOX + 50], features={"phase": ["ferrite", "pearlite"]}, scale=(0.5, 0.5))
    assert values_of(own) == ["ferrite", "pearlite"]
    adopt(own, image, {"ferrite": 1, "pearlite": 2}, categories)
    assert [region.number for region in marks_of(model_viewer, image)[0].regions] == [1, 2]


def test_shapes_in_other_coordinates_mark_what_they_lie_on(model_viewer, image, categories):
    own = model_viewer.add_shapes([BOX * 0.5], name="boxes")  # world coordinates: the image has half a unit a pixel
    adopt(own, image, {"boxes": 1}, categories)
    np.testing.assert_allclose(marks_of(model_viewer, image)[0].regions[0].polygon, BOX, atol=1e-6)


def test_labels_of_another_size_are_refused_in_one_sentence(model_viewer, image, categories):
    own = model_viewer.add_labels(np.zeros((50, 50), dtype=int), name="cells")
    with pytest.raises(SettingsError, match="cells: has other pixels than steel"):
        adopt(own, image, {1: 1}, categories)


def test_undo_takes_back_one_change_at_a_time(model_viewer, image, categories):
    regions = add_regions(model_viewer, image, categories)
    undo = MarkUndo(lambda: categories)
    undo.follow(regions)
    regions.add(BOX, shape_type="rectangle")
    regions.add(BOX + 20, shape_type="ellipse")
    set_numbers(regions, [0], 2, categories)
    assert numbers_of(regions).tolist() == [2, 1]
    assert undo.undo()
    assert numbers_of(regions).tolist() == [1, 1]
    assert undo.undo()
    assert list(regions.shape_type) == ["rectangle"]
    assert undo.undo()
    assert regions.nshapes == 0
    assert not undo.undo()


def test_a_deleted_mark_comes_back(model_viewer, image, categories):
    points = add_points(model_viewer, image, categories)
    undo = MarkUndo(lambda: categories)
    points.add([[30.0, 50.0]])
    undo.follow(points)
    points.selected_data = {0}
    points.remove_selected()
    assert undo.undo()
    assert [point.y for point in marks_of(model_viewer, image)[0].points] == [30.0]
