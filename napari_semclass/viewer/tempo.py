"""How often a growing overlay is drawn: seldom enough that drawing never fills the GUI thread."""

import threading
import time

from qtpy.QtCore import QTimer

_EVERY = 0.3  # seconds: smooth to the eye
_SHARE = 0.04  # of the GUI thread's time; where no GPU draws, one drawing may take a tenth of a second
_LOOK_MS = 50  # napari paints a few milliseconds after a layer has changed
# A job that waits for the GUI thread looks so often whether it is to stop, and waits no longer than so many times.
_GLANCE_S = 0.05
_GLANCES = 40


class Tempo:
    """`pause` is the time in seconds between two drawings, found from how long they hold the GUI thread."""

    def __init__(self) -> None:
        self.pause = _EVERY
        self._in_viewer = threading.Event()

    def expect(self) -> None:
        """To be called in a job's thread before it hands over an overlay for which a new layer is needed."""
        self._in_viewer.clear()

    def rest(self, stop: threading.Event) -> None:
        """To be called in a job's thread after that: wait until the layer is in the viewer.

        Only one thread runs Python at a time, and napari needs much of it for a new layer.
        """
        for _ in range(_GLANCES):
            if self._in_viewer.wait(_GLANCE_S) or stop.is_set():
                return

    def drawing(self) -> None:
        """To be called in the GUI thread just before it draws."""
        begun = time.perf_counter()
        QTimer.singleShot(_LOOK_MS, lambda: self._measured(time.perf_counter() - begun - _LOOK_MS / 1e3))

    def drawn(self) -> None:
        """To be called in the GUI thread when an overlay is in the viewer."""
        self._in_viewer.set()

    def _measured(self, held: float) -> None:
        # `held`: how much later than due this comes, which is what kept the GUI thread from it.
        self.pause = max(_EVERY, held / _SHARE)
