"""A button that copies what was done as a command or as Python."""

from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QMenu, QPushButton, QWidget

COMMAND, PYTHON = "command", "python"
WAYS = (("Copy as &command", COMMAND), ("Copy as &Python", PYTHON))


class CopyButton(QPushButton):
    """Asks which of the two in its menu, and emits `copy_requested("command" | "python")`."""

    copy_requested = Signal(str)

    def __init__(self, what: str, parent: QWidget | None = None) -> None:
        super().__init__("Cop&y", parent)
        self.setToolTip(f"Copy the semclass command, or the lines of Python, that {what}")
        self.setMenu(QMenu(self))
        for text, way in WAYS:
            self.menu().addAction(text, partial(self.copy_requested.emit, way))
