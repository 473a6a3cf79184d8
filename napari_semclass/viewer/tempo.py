"""How often a growing overlay is drawn: seldom enough that drawing never fills the GUI thread."""

import time

from qtpy.QtCore import QTimer

_EVERY = 0.3  # seconds: smooth to the eye
_SHARE = 0.04  # of the GUI thread's time; where no GPU draws, one drawing may take a tenth of a second
_LOOK_MS = 50  # napari paints a few milliseconds after a layer has changed


class Tempo:
    """`pause` is the time in seconds between two drawings, found from how long they hold the GUI thread."""

    def __init__(self) -> None:
        self.pause = _EVERY

    def drawing(self) -> None:
        """To be called in the GUI thread just before it draws."""
        begun = time.perf_counter()
        QTimer.singleShot(_LOOK_MS, lambda: self._drawn(time.perf_counter() - begun - _LOOK_MS / 1e3))

    def _drawn(self, held: float) -> None:
        # `held`: how much later than due this comes, which is what kept the GUI thread from it.
        self.pause = max(_EVERY, held / _SHARE)
