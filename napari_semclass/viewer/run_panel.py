"""Start, progress and stop."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_semclass.learn.units import time_text
from napari_semclass.viewer.calm_bar import CalmBar
from napari_semclass.viewer.state import DockState, Phase


class RunPanel(QWidget):
    """Shows a `DockState`; emits `classify_requested` and `stop_requested`."""

    classify_requested = Signal()
    stop_requested = Signal()

    def __init__(self, state: DockState, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self._missing = ""
        self.estimate = QLabel()
        self.estimate.setWordWrap(True)
        self.classify = QPushButton("&Classify")
        self.stop = QPushButton("&Stop")
        self.progress = CalmBar()
        self.progress.setTextVisible(False)
        self.rate = QLabel()
        self.classify.clicked.connect(self.classify_requested)
        self.stop.clicked.connect(self.stop_requested)
        row = QHBoxLayout()
        row.addWidget(self.classify, 2)
        row.addWidget(self.progress, 3)
        row.addWidget(self.stop, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.estimate)
        layout.addLayout(row)
        layout.addWidget(self.rate)
        for event in (state.events.phase, state.events.done):
            event.connect(self._show)
        self._show()

    def set_missing(self, reason: str) -> None:
        """Why nothing can be classified now, as a sentence; empty when it can."""
        self._missing = reason
        self._show()

    def _show(self, *_: object) -> None:
        state = self._state
        idle = state.phase is Phase.IDLE
        self.classify.setEnabled(idle and not self._missing)
        self.classify.setToolTip(self._missing or ("Classify (Ctrl+Return)" if idle else "Already classifying"))
        self.stop.setEnabled(state.phase is Phase.RUNNING)
        self.stop.setToolTip("Stop and keep what is classified so far" if not idle else "Nothing is running")
        # A range of 0 lets Qt show that something is going on before the first tile is done.
        self.progress.setRange(0, 1 if idle else state.total)
        self.progress.setValue(0 if idle else state.done)
        self.progress.setVisible(not idle)
        self.stop.setVisible(not idle)
        self.rate.setVisible(not idle)
        self.rate.setText(_rate_text(state))


def _rate_text(state: DockState) -> str:
    if state.phase is Phase.STOPPING:
        return "stopping…"
    if not state.done or not state.rate:
        return "getting ready…"
    left = time_text((state.total - state.done) / state.rate)
    return f"{state.done:,} of {state.total:,} · {state.rate:,.0f}/s · {left} left"
