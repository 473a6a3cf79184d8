"""Overlays come into the viewer in small turns of the event loop, all of them and in order."""

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QObject

from napari_semclass import classify_micrograph, load_model
from napari_semclass.classify.layers import label_pixels
from napari_semclass.classify.prediction import Summary
from napari_semclass.viewer.layers import Overlay, results, target_of
from napari_semclass.viewer.showing import Showing


@pytest.fixture
def shown(models, qtbot):
    """A viewer with three micrographs, what shows results in it, and what to show of each."""
    viewer = ViewerModel()
    model = load_model("tiny")
    wishes = []
    for number in range(3):
        layer = viewer.add_image(np.random.default_rng(number).random((128, 128)), name=f"grain {number}")
        target = target_of(layer)
        prediction = classify_micrograph(target.micrographs[0], model)
        cells = prediction.cells()
        data = label_pixels([cells], prediction.grid.shape, (), len(prediction.answers))
        wishes.append(Overlay(target, [prediction], [Summary.of(prediction, cells)], data, {}, "tiny"))
    owner = QObject()
    yield viewer, Showing(viewer, owner), wishes
    owner.deleteLater()


def test_overlays_asked_for_at_once_all_come_each_above_its_micrograph(shown, qtbot):
    viewer, showing, wishes = shown
    told = []
    for wish in wishes:
        showing.show(wish, lambda: told.append(len(results(viewer))))
    assert not results(viewer), "napari would be busy with all of them in one go"
    qtbot.waitUntil(lambda: len(told) == 3)
    assert told == [1, 2, 3]
    names = [layer.name for layer in viewer.layers]
    assert names == [name for n in range(3) for name in (f"grain {n}", f"grain {n} · tiny")]


def test_an_overlay_that_is_there_is_brought_up_to_date_at_once_and_gets_no_double(shown, qtbot):
    viewer, showing, wishes = shown
    done = []
    showing.show(wishes[0], lambda: done.append(1))
    showing.show(wishes[0], lambda: done.append(2))
    showing.finish()
    (labels,) = results(viewer)
    assert done == [1, 2]
    showing.show(replace(wishes[0], data=np.zeros_like(wishes[0].data)), lambda: done.append(3))
    assert done == [1, 2, 3]
    assert results(viewer) == [labels]
    assert not labels.data.any()


def test_the_layer_that_is_worked_on_stays_chosen_where_that_is_asked(shown):
    viewer, showing, wishes = shown
    active = viewer.layers["grain 0"]
    viewer.layers.selection.active = active
    showing.show(wishes[2], lambda: None, keep_active=True)
    showing.finish()
    assert viewer.layers.selection.active is active
    showing.show(wishes[1], lambda: None)
    showing.finish()
    assert viewer.layers.selection.active is not active


def test_nothing_comes_into_a_viewer_whose_dock_was_closed(shown, qtbot):
    viewer, showing, wishes = shown
    showing.show(wishes[0], pytest.fail)
    showing.let_go()
    qtbot.wait(50)
    assert not results(viewer)
