"""The whole way in a real window: mark, learn, train, look, use, classify, keep, open again."""

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit

from napari_semclass.annotate.project import read_project
from napari_semclass.learn.plan import Plan, Stage
from napari_semclass.micrograph import open_micrographs
from napari_semclass.samples import synthetic_micrograph
from napari_semclass.viewer.dock import SemClassifier
from napari_semclass.viewer.layers import results
from napari_semclass.viewer.mark_layers import mark_layers
from napari_semclass.viewer.state import Phase
from napari_semclass.viewer.train_state import TrainPhase

TILE = 64
TWO_STAGES = Plan(
    backbone="test_resnet", pretrained="none", tile=TILE, stride=TILE, head="random", norm="learned", body_rate=0.5,
    stages=(Stage(32, epochs=2, lr=3e-3, batch=8), Stage(48, epochs=1, lr=1e-3, batch=8)),
)  # fmt: skip
REAL = ("Powder_metal", "Steel_spheroidite", "Ni_superalloy", "Coating_cross_section")
MADE = ("Fibres", "Particles", "Nanowires", "Porous_Sponge")


def micrographs(request):
    """Two pictures of each of four kinds, by name of the kind: real ones where there are any."""
    try:
        folder = request.getfixturevalue("real_data") / "materials"
    except pytest.skip.Exception:
        return {name: [synthetic_micrograph(name, seed=seed)[:384, :512] for seed in (1, 2)] for name in MADE}
    found = {}
    for name in REAL:
        paths = sorted((folder / name).iterdir())
        found[name] = [open_micrographs(path)[0].read(0, 384, 0, 512) for path in (paths[0], paths[-1])]
    return found


def click(widget):
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


@pytest.mark.slow
def test_from_marks_to_a_model_of_ones_own(dock, viewer, qtbot, tmp_path, request, make_napari_viewer):
    pictures = micrographs(request)
    images = [
        viewer.add_image(pixels, name=f"{name} {number}", visible=False)
        for name, pair in pictures.items()
        for number, pixels in enumerate(pair)
    ]
    dock.inputs.micrographs.setCurrentIndex(dock.inputs.micrographs.findData("all"))
    dock.classifying.settings.tile.setValue(TILE)
    dock.tabs.setCurrentIndex(1)
    tab = dock.annotating
    qtbot.waitUntil(lambda: len(tab.teacher.grids) == len(images))

    # Mark: four categories, a few tiles on each of eight micrographs, by key.
    if tab.panel.live.isChecked():
        click(tab.panel.live)
    for name in pictures:
        click(tab.panel.add_category)
        editor = next(one for one in tab.panel.categories.findChildren(QLineEdit) if one.isVisible())
        QTest.keyClicks(editor, name)
        QTest.keyClick(editor, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda name=name: tab.book.categories.by_name(name) is not None)
    assert [item.name for item in tab.book.categories.items] == list(pictures)
    canvas = viewer.window._qt_viewer.canvas.native
    for index, image in enumerate(images):
        image.visible = True
        for y, x in ((40, 40), (40, 300), (200, 170), (330, 40), (330, 470)):
            viewer.cursor.position = (y, x)
            canvas.setFocus()
            QTest.keyClick(canvas, getattr(Qt.Key, f"Key_{index // 2 + 1}"))
        image.visible = False
    qtbot.waitUntil(lambda: tab.teacher.labelled is not None and len(tab.teacher.labelled) == 40)
    assert tab.teacher.labelled.grouping.level == "image"

    # Learn quickly.
    click(tab.panel.learn)
    qtbot.waitUntil(lambda: "Learned in" in tab.panel.learned.text())
    assert len(results(viewer)) == len(images)
    assert "tested on other images" in tab.panel.learned.text()

    # Train in two stages, and look at the figures on tiles that were held out.
    dock.tabs.setCurrentIndex(2)
    training = dock.training
    qtbot.waitUntil(lambda: training._shelf is not None)
    training.plan.set_value(replace(TWO_STAGES, held=training.plan.value().held))
    qtbot.waitUntil(lambda: training.desk.panel.train.isEnabled())
    name = training.plan.name.text()
    click(training.desk.panel.train)
    qtbot.waitUntil(lambda: training.desk.state.phase is TrainPhase.RUNNING)
    qtbot.waitUntil(lambda: training.desk.state.phase is TrainPhase.IDLE)
    qtbot.waitUntil(lambda: "is trained" in dock.state.message)
    assert "held-out tiles right" in dock.state.message

    # Use it: it becomes the current model and classifies.
    click(training.desk.outcome.use)
    qtbot.waitUntil(lambda: dock.inputs.card() is not None and dock.inputs.card().name == name)
    assert dock.tabs.currentIndex() == 0
    qtbot.waitUntil(lambda: dock.state.message.startswith("Done"))
    assert dock.state.phase is Phase.IDLE
    assert len(results(viewer)) == 2 * len(images)

    # Keep it, and find everything as it was.
    tab.desk.save_as(tmp_path / "walk")
    qtbot.waitUntil(lambda: tab.panel.project_state.text() == "walk.semclass")
    assert len(read_project(tmp_path / "walk.semclass").results) == 2 * len(images)
    other = make_napari_viewer(show=True)
    again = SemClassifier(other)
    qtbot.addWidget(again)
    qtbot.waitUntil(lambda: again.inputs.model() is not None)
    again.annotating.desk.open(tmp_path / "walk.semclass")
    qtbot.waitUntil(lambda: len(results(other)) == 2 * len(images))
    assert [item.name for item in again.annotating.book.categories.items] == list(pictures)
    assert sum(len(layer.data) for layer in mark_layers(other)) == 40
    assert again.inputs.card().name == name
    for image in images:
        np.testing.assert_array_equal(other.layers[image.name].data, image.data)
    for layer in results(viewer):
        shown = np.asarray(other.layers[layer.name].data)
        np.testing.assert_array_equal(shown, np.asarray(layer.data), err_msg=layer.name)
    again.close()
