"""A model file that is dropped on the dock is used; other files are left to napari."""

import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication


@pytest.fixture
def drop(dock):
    """Drag a file over the dock and let go of it; say whether the dock takes it."""

    def dropped(path):
        files = QMimeData()
        files.setUrls([QUrl.fromLocalFile(str(path))])
        where, none = QPointF(5, 5), Qt.KeyboardModifier.NoModifier
        button, copy = Qt.MouseButton.LeftButton, Qt.DropAction.CopyAction
        entering = QDragEnterEvent(where.toPoint(), copy, files, button, none)
        QApplication.sendEvent(dock, entering)
        if entering.isAccepted():
            QApplication.sendEvent(dock, QDropEvent(where, copy, files, button, none))
        return entering.isAccepted()

    return dropped


def test_a_dropped_model_becomes_the_current_one(dock, drop, models):
    assert drop(models / "tiny.safetensors")
    assert dock.inputs.card().title == "Tiny"
    assert dock.inputs.model() == str(models / "tiny.safetensors")


def test_a_dropped_micrograph_is_napari_s(dock, drop, tmp_path):
    before = dock.inputs.model()
    assert not drop(tmp_path / "a.tif")
    assert dock.inputs.model() == before


def test_a_dropped_file_that_is_no_model_is_said_in_the_dock(dock, drop, tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    assert drop(tmp_path / "weights.safetensors")
    assert "not a safetensors file" in dock.message.text()
