"""What is asked before something is fetched from the network, removed for good, or left to itself."""

from collections.abc import Callable
from typing import Literal

from qtpy.QtCore import Qt, QUrl
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_semclass.downloads import Download


def ask_to_download(parent: QWidget, download: Download, agreed: Callable[[], None]) -> None:
    """Ask whether to download start weights; calls `agreed` if so."""
    size = f"{download.size_bytes / 1e6:,.0f} MB" if download.size_bytes else "size unknown"
    unchecked = "" if download.checked else "\nIts checksum is not known yet and will be recorded."
    box = QMessageBox(parent)
    box.setWindowTitle("Download start weights?")
    box.setText(f"The plan starts from weights that are not on this computer: {download.name}.")
    box.setInformativeText(f"{size}, {download.licence}, from {QUrl(download.url).host()}.{unchecked}")
    box.setStandardButtons(QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No)
    box.button(QMessageBox.StandardButton.Yes).clicked.connect(lambda: agreed())
    box.open()


def ask_to_discard(parent: QWidget, name: str, agreed: Callable[[], None]) -> None:
    """Ask whether to remove a training; calls `agreed` if so."""
    box = QMessageBox(parent)
    box.setWindowTitle("Discard this training?")
    box.setText(f"The training of {name}, with its checkpoint and log, is removed for good.")
    box.setStandardButtons(QMessageBox.StandardButton.Discard | QMessageBox.StandardButton.Cancel)
    box.button(QMessageBox.StandardButton.Discard).clicked.connect(lambda: agreed())
    box.open()


def ask_about_running(parent: QWidget) -> Literal["stop", "leave"] | None:
    """Ask what becomes of a running training when the window closes; None keeps the window open."""
    box = QMessageBox(parent)
    box.setWindowTitle("A model is being trained")
    box.setText("Stop the training, or let it go on without napari?")
    box.setInformativeText("Either way it can be taken up again in the Train tab.")
    stop = box.addButton("Stop it", QMessageBox.ButtonRole.DestructiveRole)
    leave = box.addButton("Let it go on", QMessageBox.ButtonRole.AcceptRole)
    box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(leave)
    box.exec()
    if box.clickedButton() is stop:
        return "stop"
    return "leave" if box.clickedButton() is leave else None


def ask_about_left_behind(parent: QWidget, stop: Callable[[], None]) -> None:
    """Ask what becomes of a training whose dock was closed; calls `stop` if it is to end."""
    box = QMessageBox(parent)
    box.setWindowTitle("A model is being trained")
    box.setText("The SEM classifier is closed, but its training goes on. Let it?")
    box.setInformativeText("Either way it can be taken up again in the Train tab, when the SEM classifier is opened.")
    box.addButton("Stop it", QMessageBox.ButtonRole.DestructiveRole).clicked.connect(lambda: stop())
    box.setDefaultButton(box.addButton("Let it go on", QMessageBox.ButtonRole.AcceptRole))
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()
