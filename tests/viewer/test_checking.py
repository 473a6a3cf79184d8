"""Check labels: a wrong mark is found, and keeping, correcting and taking back do what they say."""

import numpy as np
import pytest
from napari.layers import Points
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_semclass.viewer.mark_layers import mark_layers

DARK, BRIGHT = (0, 32), (96, 128)
WRONG = (32, 0, 64, 32)


def marked(tab, box, image):
    """Name of the category that a tile is learned as; empty when it is not."""
    labelled = tab.teacher.labelled
    for index, found in enumerate(labelled.boxes.tolist()):
        if tuple(found) == box and labelled.sources[labelled.source_index[index]].id == str(image.unique_id):
            return labelled.used[labelled.labels[index]].name
    return ""


@pytest.fixture
def tab(viewer, annotate, qtbot, three_bands):
    """Two micrographs, dark tiles marked Pores and bright ones Grains, but for one dark tile of the second."""
    random = np.random.default_rng(3)
    images = [
        viewer.add_image(np.clip(three_bands + random.normal(0, 4, three_bands.shape), 0, 255).astype(np.uint8))
        for _ in range(2)
    ]
    tab = annotate()
    for image in images:
        for y0 in (0, 32, 64):
            for x0 in (*DARK, *BRIGHT):
                wrong = image is images[1] and (y0, x0) == WRONG[:2]
                tab.book.mark_tile(image, 0, (y0, x0, y0 + 32, x0 + 32), 2 if x0 in BRIGHT or wrong else 1)
    qtbot.waitUntil(lambda: tab.teacher.labelled is not None and len(tab.teacher.labelled) == 24)
    return tab


@pytest.fixture
def checked(tab, qtbot):
    """The marks, checked."""
    tab.checking.panel.check.click()
    qtbot.waitUntil(lambda: tab.checking.is_asking)
    return tab


def test_the_wrong_mark_is_shown_and_corrected_and_taken_back(checked, viewer, qtbot):
    panel, image = checked.checking.panel, viewer.layers[1]
    assert "1 of 1: marked Grains, looks like Pores" in panel.words.text()
    assert any(layer.name == "next tile" for layer in viewer.layers)
    panel.accept.click()
    qtbot.waitUntil(lambda: marked(checked, WRONG, image) == "Pores")
    assert not checked.checking.is_asking
    assert "settled" in panel.words.text()
    assert not any(layer.name == "next tile" for layer in viewer.layers)
    checked.marking.undo()
    qtbot.waitUntil(lambda: marked(checked, WRONG, image) == "Grains")


def test_a_mark_that_was_kept_is_not_listed_again(checked, viewer, qtbot):
    checked.checking.panel.keep.click()
    assert marked(checked, WRONG, viewer.layers[1]) == "Grains"
    checked.checking.panel.check.click()
    qtbot.waitUntil(lambda: "those that you kept" in checked.checking.panel.words.text())


def test_keys_correct_closing_leaves_no_frame_and_sound_marks_are_left_alone(checked, viewer, qtbot):
    checked.checking.panel.close_list.click()
    assert not any(layer.name == "next tile" for layer in viewer.layers)
    checked.checking.panel.check.click()
    qtbot.waitUntil(lambda: checked.checking.is_asking)
    canvas = viewer.window._qt_viewer.canvas.native
    canvas.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_A)
    qtbot.waitUntil(lambda: marked(checked, WRONG, viewer.layers[1]) == "Pores")
    checked.checking.panel.check.click()
    qtbot.waitUntil(lambda: "No mark is contradicted" in checked.checking.panel.words.text())


def test_part_of_an_area_is_corrected_without_touching_the_area(tab, viewer, qtbot):
    image = viewer.layers[1]
    tab.book.mark_tile(image, 0, WRONG, 0)
    tab.book.choose(2)
    painting = tab.book.add_layer("paint", image)
    painted = np.zeros((96, 160), dtype=np.uint8)
    painted[32:64, 0:32] = 2
    painting.data = painted
    qtbot.waitUntil(lambda: marked(tab, WRONG, image) == "Grains")
    tab.checking.panel.check.click()
    qtbot.waitUntil(lambda: tab.checking.is_asking)
    tab.checking.panel.accept.click()
    qtbot.waitUntil(lambda: marked(tab, WRONG, image) == "Pores")
    assert (painting.data == painted).all()
    (points,) = [layer for layer in mark_layers(viewer, image) if isinstance(layer, Points)]
    assert len(points.data) == 1
    assert tab.book.undo()
    qtbot.waitUntil(lambda: marked(tab, WRONG, image) == "Grains")


def test_without_marks_one_sentence_says_what_to_do(dock):
    dock.tabs.setCurrentIndex(1)
    dock.annotating.checking.panel.check.click()
    assert "two categories" in dock.state.message
