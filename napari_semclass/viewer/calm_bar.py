"""A progress bar that is painted when Qt gets to it, and not while its value is set."""

from qtpy.QtWidgets import QProgressBar


class CalmBar(QProgressBar):
    """As any progress bar, but `setValue` returns at once.

    Qt's own repaints within `setValue`; beside napari's OpenGL canvas that composes the whole window, which was
    measured to hold the GUI thread for 30 to 150 ms where OpenGL is drawn in software.
    """

    def setValue(self, value: int) -> None:
        """Show this value at the next paint."""
        self.setUpdatesEnabled(False)  # repaint() then does nothing
        super().setValue(value)
        self.setUpdatesEnabled(True)  # asks for a paint
