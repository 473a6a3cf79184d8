"""The dock widget: micrograph and model above, a tab for each thing to do with them, one sentence below."""

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import napari
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QFrame, QLabel, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from napari_semclass.errors import SemclassError
from napari_semclass.learn.run import Run
from napari_semclass.model.card import Card
from napari_semclass.viewer.annotate_tab import AnnotateTab
from napari_semclass.viewer.card_dialog import CardDialog
from napari_semclass.viewer.classify_job import models_job
from napari_semclass.viewer.classify_tab import ClassifyTab
from napari_semclass.viewer.input_panel import InputPanel
from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.layers import go_to_box
from napari_semclass.viewer.mark_layers import image_shape
from napari_semclass.viewer.project_layers import open_file
from napari_semclass.viewer.remembered import remember, remembered, remembered_settings
from napari_semclass.viewer.state import DockState, problem_style
from napari_semclass.viewer.train_questions import ask_about_left_behind, ask_about_running
from napari_semclass.viewer.train_tab import TrainTab

_CLASSIFY, _ANNOTATE, _TRAIN = range(3)


class SemClassifier(QWidget):
    """The "SEM classifier" dock: choose, classify, look.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari when it opens the widget.
    """

    _gone = True  # until there is something to let go of

    def __init__(self, napari_viewer: "napari.viewer.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = napari_viewer
        self.state = DockState()
        self.board = JobBoard(lambda sentence: self.state.say(sentence, problem=True), self)
        self.inputs = InputPanel(napari_viewer)
        self.classifying = ClassifyTab(napari_viewer, self.inputs, self.state, self.board)
        self.tabs = QTabWidget()
        self.annotating = AnnotateTab(napari_viewer, self.inputs, self.classifying, self.state, self.board)
        self.tabs.addTab(_Scrolled(self.classifying), "Classif&y")
        self.tabs.addTab(_Scrolled(self.annotating), "Anno&tate")
        self.training = TrainTab(
            napari_viewer, self.board, self.state.say, lambda: self.annotating.teacher.marked, self.inputs.model
        )
        self.tabs.addTab(_Scrolled(self.training), "T&rain")
        self.message = QLabel()
        self._lay_out()
        self._wire()
        settings = remembered_settings()
        if settings is not None:
            self.classifying.settings.set_value(settings)
        self.board.start("models", models_job, self._models_news)
        # Weak: the window holds the dock, and must be free to go when it is closed.
        self._main: Callable[[], QWidget | None] = _no_window
        self._gone = False

    def _lay_out(self) -> None:
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.message.hide()
        # The sentence about what happened last stays in sight while the tabs scroll.
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 4)
        layout.addWidget(self.inputs)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.message)
        self.setMinimumWidth(320)
        self.setAcceptDrops(True)

    def _wire(self) -> None:
        self.inputs.card_requested.connect(self._show_card)
        self.inputs.file_chosen.connect(self._add_model_file)
        self.state.events.message.connect(self._show_message)
        self.annotating.model_learned.connect(partial(self._add_model_file, choose=False))
        self.annotating.marks_counted.connect(self.training.refresh_data)
        self.annotating.exchange.imported.connect(self.training.offer_folder)
        self.training.model_ready.connect(self._use_model)
        self.training.tile_requested.connect(self._go_to_tile)
        self.tabs.currentChanged.connect(lambda index: self.annotating.shown(index == _ANNOTATE))

    def showEvent(self, event: Any) -> None:
        """From now on the window is watched, to ask what becomes of a training when it is closed."""
        super().showEvent(event)
        window = self.window()
        if isinstance(window, QDockWidget):  # which floats
            window = window.parentWidget() or window
        if window is not self._main():
            self._main = weakref.ref(window)
            window.installEventFilter(self)
            # Later: on its first start ever, napari makes its window as wide as all in it would like to be.
            QTimer.singleShot(0, partial(_fit_screens, window))

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Closing the window while a model is trained asks first."""
        closing = event.type() == QEvent.Type.Close and watched is self._main() and not self._gone
        run = self.training.running() if closing else None
        if run is None:
            return bool(super().eventFilter(watched, event))
        answer = ask_about_running(self)
        if answer is None:
            event.ignore()
            return True
        if answer == "stop":
            self.training.desk.stop()
        return False

    def dragEnterEvent(self, event: Any) -> None:
        """Take model files that are dragged over the dock; anything else is napari's to open."""
        if _dropped_model(event):
            event.acceptProposedAction()
        else:
            event.ignore()

    def dropEvent(self, event: Any) -> None:
        """Use a model file that is dropped on the dock."""
        path = _dropped_model(event)
        if path is None:
            event.ignore()
            return
        event.acceptProposedAction()
        self._add_model_file(path)

    def closeEvent(self, event: Any) -> None:
        """Stop all work and let go of the viewer."""
        self._let_go()
        super().closeEvent(event)

    def event(self, event: Any) -> bool:
        """As any widget; napari closes a dock by taking its content out, which is the end of this one, too."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None and not self._gone:
            run, window = self.training.running(), self._main()
            self._let_go()
            if run is not None and window is not None:
                # A window that is closing as a whole has asked already; by then it is closed.
                QTimer.singleShot(0, partial(_ask_if_open, window, run))
        return bool(super().event(event))

    def _models_news(self, news: Mapping[str, Card] | tuple[str, float]) -> None:
        if isinstance(news, tuple):
            self.classifying.set_speed(*news)
        else:
            self.inputs.set_models(news, choose=self.inputs.model() or remembered("model") or None)

    def _show_message(self, message: str) -> None:
        self.message.setText(message)
        self.message.setVisible(bool(message))
        self.message.setStyleSheet(problem_style(self._viewer.theme) if self.state.problem else "")

    def _show_card(self) -> None:
        card = self.inputs.card()
        if card is not None:
            CardDialog(card, self).open()

    def _add_model_file(self, path: str, *, choose: bool = True) -> bool:
        from napari_semclass.model.file import read_card

        try:
            card = read_card(path)
        except SemclassError as error:
            self.state.say(str(error), problem=True)
            return False
        self.inputs.add_model(path, card, choose=choose)
        return True

    def _use_model(self, path: str) -> None:
        """Make a trained model the current one and classify with it."""
        if self._add_model_file(path):
            self.tabs.setCurrentIndex(_CLASSIFY)
            self.classifying.classify()

    def _go_to_tile(self, image: str, box: tuple[int, int, int, int], plane: int) -> None:
        """Show a tile of an open image (by its id) or of a file, which is opened if need be."""
        layers = self.inputs.images()
        found = next((one for one in layers if image in (str(one.unique_id), str(one.source.path))), None)
        if found is None:
            try:
                found = open_file(self._viewer, image)
            except SemclassError as error:
                self.state.say(str(error), problem=True)
                return
        leading = image_shape(found)[:-2]
        go_to_box(self._viewer, found, leading, plane, box)

    def _let_go(self) -> None:
        if self._gone:
            return
        self._gone = True
        remember(self.classifying.settings.value(), model=self.inputs.model() or "")
        self.annotating.let_go()
        self.training.let_go()
        self.board.let_go()
        self.inputs.disconnect_viewer()
        self.classifying.let_go()


def _no_window() -> None:
    """Until the dock is in one."""


def _fit_screens(window: QWidget) -> None:
    """Bring a window that is larger than all screens together back to their size, with all of the dock in sight."""
    if not isalive(window) or window.isMaximized() or window.isFullScreen():
        return
    room = window.screen().availableVirtualGeometry()
    frame = window.frameGeometry().size() - window.size()
    if window.width() + frame.width() > room.width() or window.height() + frame.height() > room.height():
        window.resize(window.size().boundedTo(room.size() - frame))
        window.move(room.topLeft())


def _ask_if_open(window: QWidget, run: Run) -> None:
    if isalive(window) and window.isVisible():
        ask_about_left_behind(window, partial(run.ask, "stop"))


def _dropped_model(event: Any) -> str | None:
    """Path of the first model file that is dragged, if there is one."""
    paths = (url.toLocalFile() for url in event.mimeData().urls())
    return next((path for path in paths if path.endswith(".safetensors")), None)


class _Scrolled(QScrollArea):
    """Scrolls up and down only, and is wide enough that its bar covers nothing of what is inside."""

    def __init__(self, inside: QWidget) -> None:
        super().__init__()
        self.setWidget(inside)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def minimumSizeHint(self) -> QSize:
        """As wide as the inside and the bar need."""
        least = self.widget().minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width()
        return QSize(least, super().minimumSizeHint().height())
