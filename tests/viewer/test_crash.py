"""What is left when the viewer dies, or its dock is closed, while a model is trained: every mark, and the run."""

import os
import signal
import subprocess
import sys

import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QMessageBox

from napari_semclass.annotate.autosave import leftovers
from napari_semclass.learn.run import Run
from napari_semclass.retrain import cut_short
from napari_semclass.samples import synthetic_micrograph
from napari_semclass.viewer.mark_layers import mark_layers

WINDOW = """
import sys, time
import napari
from qtpy.QtWidgets import QApplication
from napari_semclass.learn.plan import Plan, Stage
from napari_semclass.viewer.dock import SemClassifier

def wait(until):
    while not until():
        QApplication.processEvents()
        time.sleep(0.01)

viewer = napari.Viewer()
_, dock = viewer.window.add_plugin_dock_widget("napari-semclass", "SEM classifier")
wait(lambda: dock.inputs.model() is not None)
dock.inputs.models.setCurrentIndex(dock.inputs.models.findData("tiny"))
dock.inputs.models.activated.emit(dock.inputs.models.currentIndex())
dock.classifying.settings.tile.setValue(64)
images = [viewer.open(path, plugin="napari", layer_type="image")[0] for path in sys.argv[1:]]
dock.inputs.micrographs.setCurrentIndex(dock.inputs.micrographs.findData("all"))
tab = dock.annotating
tab.panel.live.setChecked(False)
wait(lambda: len(tab.teacher.grids) == len(images))
tab.add_category()
tab.add_category()
for index, image in enumerate(images):
    (grid,) = tab.teacher.grids[str(image.unique_id)]
    for tile in range(12):
        tab.book.mark_tile(image, 0, grid.box(tile), index // 2 + 1)
wait(lambda: tab.teacher.marked is not None and len(tab.teacher.marked) == 48)
wait(lambda: tab.desk.is_saved() and len(tab.desk._last.layers) == 4)
dock.tabs.setCurrentIndex(2)
training = dock.training
wait(lambda: training._shelf is not None)
training.plan.set_value(Plan(
    backbone="test_resnet", pretrained="none", tile=64, stride=64, head="random", norm="learned", body_rate=0.5,
    stages=(Stage(32, epochs=2, lr=3e-3, batch=4), Stage(32, epochs=5000, batch=4)),
))
wait(lambda: training.desk.panel.train.isEnabled())
training.train()
wait(lambda: training.desk._watch.epochs)
print("ready", flush=True)
wait(lambda: False)
"""


@pytest.fixture
def pictures(tmp_path):
    """Two micrographs of each of two kinds, as files."""
    paths = []
    for kind in ("Fibres", "Particles"):
        for seed in (1, 2):
            paths.append(tmp_path / f"{kind} {seed}.tif")
            tifffile.imwrite(paths[-1], synthetic_micrograph(kind, seed=seed)[:256, :256])
    return paths


@pytest.fixture
def killed(models, pictures, tmp_path, monkeypatch):
    """A window in a process of its own, killed while its training runs; what it keeps goes into the test's folder."""
    monkeypatch.setenv("SEMCLASS_AUTOSAVE", str(tmp_path / "autosave"))
    monkeypatch.setenv("SEMCLASS_CACHE", str(tmp_path / "cache"))
    window = subprocess.Popen(
        [sys.executable, "-c", WINDOW, *map(str, pictures)], stdout=subprocess.PIPE, text=True, env=os.environ.copy()
    )
    assert "ready" in [window.stdout.readline().strip() for _ in range(1)]
    window.send_signal(signal.SIGKILL)
    window.wait()
    window.stdout.close()
    yield
    for path in models.glob("*.run"):
        cut_short(Run(path))


@pytest.mark.slow
def test_a_killed_window_leaves_its_marks_and_its_training_to_the_next(killed, dock, viewer, qtbot, pictures):
    tab, training = dock.annotating, dock.training
    # The marks are offered in one sentence, and come back.
    qtbot.waitUntil(lambda: "48 marks" in tab.panel.project_state.text())
    (left,) = leftovers()
    tab.desk.open(left.folder, named=False)
    qtbot.waitUntil(lambda: dock.state.message.startswith("Opened"))
    assert not dock.state.problem
    assert sum(len(layer.data) for layer in mark_layers(viewer)) == 48
    assert sorted(str(image.source.path) for image in dock.inputs.images()) == sorted(map(str, pictures))
    # The training never noticed, and is followed where it is.
    dock.tabs.setCurrentIndex(2)
    qtbot.waitUntil(lambda: training.running() is not None)
    known = max(training.desk._watch.epochs, default=0)
    qtbot.waitUntil(lambda: max(training.desk._watch.epochs, default=0) > known + 1)
    # Killed itself, it is said in one sentence and can be resumed.
    os.kill(training.running().status().pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: training.running() is None and "resume it" in dock.state.message)
    assert dock.state.problem
    qtbot.waitUntil(lambda: training.desk.panel.take_up.text() == "Resume")
    QTest.mouseClick(training.desk.panel.take_up, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: training.running() is not None)
    run = training.running()

    # Closing the dock asks; the answer reaches the training.
    viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: boxes(viewer) != [])
    (box,) = boxes(viewer)
    stop = next(button for button in box.buttons() if button.text() == "Stop it")
    QTest.mouseClick(stop, Qt.MouseButton.LeftButton)
    # The process may have no more than begun; it has not overheard.
    qtbot.waitUntil(lambda: run.status() is not None and run.status().state == "stopped")
    assert not run.is_alive()


def boxes(viewer):
    return [box for box in viewer.window._qt_window.findChildren(QMessageBox) if box.isVisible()]
