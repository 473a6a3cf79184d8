"""A real viewer window with the dock in it, and a tiny model to choose."""

import gc
from functools import partial

import pytest

from napari_semclass.viewer import classify_job
from napari_semclass.viewer.dock import SemClassifier
from napari_semclass.viewer.state import Phase


@pytest.fixture(scope="module", autouse=True)
def _modules_are_no_garbage():
    """`make_napari_viewer` collects garbage several times a test, and need not look through what is imported by now."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def qtbot(qtbot, patience):
    """pytest-qt's, which waits as long as a busy machine may need."""
    for name in ("waitUntil", "waitSignal"):
        setattr(qtbot, name, partial(getattr(qtbot, name), timeout=1000 * patience))
    return qtbot


@pytest.fixture(autouse=True)
def measured_speed(monkeypatch):
    """A dock measures when it opens how fast the processor is; here one test alone does (`measured_speed`)."""
    measure = classify_job._speed
    monkeypatch.setattr(classify_job, "_speed", lambda name: ("CPU", 500.0))
    return measure


@pytest.fixture
def annotate(dock, qtbot):
    """Brings the Annotate tab to the front, with the categories Pores and Grains, not live; images must be open."""

    def annotate():
        dock.tabs.setCurrentIndex(1)
        tab = dock.annotating
        tab.panel.live.setChecked(False)
        for name in ("Pores", "Grains"):
            tab.add_category()
            tab.panel.categories.currentItem().setText(1, name)
        qtbot.waitUntil(lambda: bool(tab.teacher.grids))
        return tab

    return annotate


@pytest.fixture
def viewer(make_napari_viewer):
    """A viewer in a window that is shown."""
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, models, qtbot, patience, tmp_path, monkeypatch):
    """The dock, opened as napari opens it, with the tiny model chosen; what it keeps goes into a folder of the test."""
    monkeypatch.setenv("SEMCLASS_AUTOSAVE", str(tmp_path / "autosave"))
    monkeypatch.setenv("SEMCLASS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEMCLASS_CONFIG", str(tmp_path / "config"))
    _, widget = viewer.window.add_plugin_dock_widget("napari-semclass", "SEM classifier")
    assert isinstance(widget, SemClassifier)
    qtbot.waitUntil(lambda: widget.inputs.model() is not None)
    widget.inputs.models.setCurrentIndex(widget.inputs.models.findData("tiny"))
    widget.inputs.models.activated.emit(widget.inputs.models.currentIndex())
    yield widget
    widget.board.let_go()
    assert widget.board.wait(patience)


@pytest.fixture
def idle(dock, qtbot):
    """Wait until the dock has done what it was asked for."""

    def wait():
        qtbot.waitUntil(lambda: dock.state.phase is Phase.IDLE)

    return wait
