"""Start, stop and progress of a training: buttons, earlier runs, how far it is, curves, log."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_semclass.learn.run_watch import MOST_LINES, RunWatch
from napari_semclass.viewer.calm_bar import CalmBar
from napari_semclass.viewer.copy_button import CopyButton
from napari_semclass.viewer.curves import Curves
from napari_semclass.viewer.fold import Fold
from napari_semclass.viewer.train_jobs import Earlier
from napari_semclass.viewer.train_state import TrainPhase, TrainState

_STEPS = 1000  # of the progress bar
_LOG_LINES = 9
_WORDS = {
    "running": ("being trained", "Follow", "Show how it goes; it was started elsewhere, or before"),
    "stopped": ("stopped", "Resume", "Go on from where it was stopped"),
    "interrupted": ("broke off", "Resume", "Go on from its last epoch"),
    "failed": ("failed", "Resume", "Try again from its last epoch"),
    "finished": ("finished", "Show", "Show how good it is"),
}


class TrainRunPanel(QWidget):
    """Shows a `TrainState` and a `RunWatch`.

    Emits `train_requested`, `stop_requested`, `finish_requested`, `take_up_requested(Earlier)`,
    `discard_requested(Earlier)` and `copy_requested("command" | "python")`.
    """

    train_requested = Signal()
    stop_requested = Signal()
    finish_requested = Signal()
    take_up_requested = Signal(object)
    discard_requested = Signal(object)
    copy_requested = Signal(str)

    def __init__(self, state: TrainState, curves: Curves, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self._watch: RunWatch | None = None
        self._written = 0
        self.curves = curves
        self.train = QPushButton("Train")
        self.stop = QPushButton("&Stop")
        self.finish = QPushButton("&Good enough")
        self.earlier = QComboBox()
        self.earlier.setMinimumContentsLength(8)
        self.earlier.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.earlier.setToolTip("Trainings of earlier")
        self.take_up = QPushButton()
        self.discard = QPushButton("Discard")
        self.missing = _words()
        self.where = _words()
        self.progress = CalmBar()
        self.progress.setTextVisible(False)
        self.speed = _words()
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setTabChangesFocus(True)
        self.log.setMaximumBlockCount(MOST_LINES)
        self.log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.log.setMinimumHeight(_LOG_LINES * self.log.fontMetrics().lineSpacing())
        self.copy = CopyButton("trains the same model")
        self._lay_out()
        self._wire()
        self._show()
        self.show_earlier(())

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.train, 2)
        buttons.addWidget(self.stop, 1)
        buttons.addWidget(self.finish, 2)
        row = QHBoxLayout()
        row.addWidget(self.earlier, 1)
        row.addWidget(self.take_up)
        row.addWidget(self.discard)
        inside = QWidget()
        log = QVBoxLayout(inside)
        log.addWidget(self.log)
        log.addWidget(self.copy)
        self.fold = Fold("Log", inside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.missing)
        layout.addLayout(buttons)
        layout.addLayout(row)
        for widget in (self.where, self.progress, self.speed, self.curves, self.fold):
            layout.addWidget(widget)

    def _wire(self) -> None:
        self.train.clicked.connect(self.train_requested)
        self.stop.clicked.connect(self.stop_requested)
        self.finish.clicked.connect(self.finish_requested)
        self.copy.copy_requested.connect(self.copy_requested)
        self.earlier.currentIndexChanged.connect(self._show)
        self.take_up.clicked.connect(lambda: self.take_up_requested.emit(self.earlier.currentData()))
        self.discard.clicked.connect(lambda: self.discard_requested.emit(self.earlier.currentData()))
        self.fold.toggled.connect(self._write_log)
        for event in (self._state.events.phase, self._state.events.missing):
            event.connect(self._show)

    def show_watch(self, watch: RunWatch | None) -> None:
        """Show how a run goes, or nothing for None."""
        if watch is not self._watch:
            self._watch, self._written = watch, 0
            self.log.clear()
        self.curves.show_watch(watch)
        self._write_log()
        self._show()

    def say(self, sentence: str) -> None:
        """Say what is being done before there is a run to tell of."""
        self.where.setText(sentence)

    def show_earlier(self, runs: Sequence[Earlier], choose: str = "") -> None:
        """Offer runs to follow, resume or look at; `choose` names the one to have chosen."""
        current = self.earlier.currentData()
        wanted = choose or (current.name if current is not None else "")
        self.earlier.blockSignals(True)
        self.earlier.clear()
        for one in runs:
            self.earlier.addItem(f"{one.name}, {_WORDS[one.state][0]}", one)
            if one.name == wanted:
                self.earlier.setCurrentIndex(self.earlier.count() - 1)
        self.earlier.blockSignals(False)
        self._show()

    def _show(self, *_: object) -> None:
        phase, watch, chosen = self._state.phase, self._watch, self.earlier.currentData()
        idle = phase is TrainPhase.IDLE
        busy = "" if idle else "A model is being trained"
        self._enable(self.train, busy or self._state.missing, "Train a model by this plan (Ctrl+Return)")
        # In sight, too: few look for the reason on a button that is grey.
        self.missing.setText(self._state.missing)
        self.missing.setVisible(idle and bool(self._state.missing))
        none = "Nothing is being trained" if idle else "It is stopping" if phase is TrainPhase.STOPPING else ""
        self._enable(self.stop, none, "Stop after the present batch; it can be resumed")
        early = "" if watch is not None and watch.stage is not None else "Nothing is learned yet"
        self._enable(self.finish, none or early, "Stop here and make a model of what is learned so far")
        for widget in (self.earlier, self.take_up, self.discard):
            widget.setVisible(idle and self.earlier.count() > 0)
        if chosen is not None:
            self.take_up.setText(_WORDS[chosen.state][1])
            self.take_up.setToolTip(_WORDS[chosen.state][2])
            runs = "It is still being trained; follow and stop it first" if chosen.state == "running" else ""
            self._enable(self.discard, runs, "Remove this training with its checkpoint; a model that it made stays")
        self._show_progress(idle)

    def _show_progress(self, idle: bool) -> None:
        phase, watch = self._state.phase, self._watch
        self.where.setVisible(not idle)
        self.progress.setVisible(not idle)
        self.speed.setVisible(not idle and watch is not None)
        self.fold.setVisible(watch is not None)
        if idle:
            return
        known = watch is not None and watch.done > 0
        self.progress.setRange(0, _STEPS if known else 0)
        if watch is None:
            return
        self.progress.setValue(round(_STEPS * watch.done))
        self.where.setText("Stopping after this batch…" if phase is TrainPhase.STOPPING else watch.where())
        self.speed.setText(watch.speed())

    def _write_log(self, *_: object) -> None:
        """Add new lines to the log, only while it is seen; Qt scrolls to them unless the user has scrolled up."""
        watch = self._watch
        if watch is None or not self.fold.isExpanded():
            return
        new = min(watch.told - self._written, len(watch.lines))
        if new:
            self.log.appendPlainText("\n".join(list(watch.lines)[-new:]))
        self._written = watch.told

    @staticmethod
    def _enable(button: QPushButton, reason: str, about: str) -> None:
        button.setEnabled(not reason)
        button.setToolTip(reason or about)


def _words() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    return label
