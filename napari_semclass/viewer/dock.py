"""The dock widget: micrograph and model above, a tab for each thing to do with them, one sentence below."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import napari
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from napari_semclass.errors import SemclassError
from napari_semclass.model.card import Card
from napari_semclass.viewer.annotate_tab import AnnotateTab
from napari_semclass.viewer.card_dialog import CardDialog
from napari_semclass.viewer.classify_job import models_job
from napari_semclass.viewer.classify_tab import ClassifyTab
from napari_semclass.viewer.input_panel import InputPanel
from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.state import DockState

_CLASSIFY, _ANNOTATE = range(2)
# At least 4.5:1 on napari's own backgrounds.
_PROBLEM_ON_DARK, _PROBLEM_ON_LIGHT = "#f0905c", "#a23c10"


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
        self.tabs.addTab(_scrolled(self.classifying), "Classif&y")
        self.tabs.addTab(_scrolled(self.annotating), "Anno&tate")
        self.message = QLabel()
        self._lay_out()
        self._wire()
        self.board.start("models", models_job, self._models_news)
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

    def _wire(self) -> None:
        self.inputs.card_requested.connect(self._show_card)
        self.inputs.file_chosen.connect(self._add_model_file)
        self.state.events.message.connect(self._show_message)
        self.annotating.model_learned.connect(partial(self._add_model_file, choose=False))
        self.tabs.currentChanged.connect(lambda index: self.annotating.shown(index == _ANNOTATE))

    def closeEvent(self, event: Any) -> None:
        """Stop all work and let go of the viewer."""
        self._let_go()
        super().closeEvent(event)

    def event(self, event: Any) -> bool:
        """As any widget; napari closes a dock by taking its content out, which is the end of this one, too."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._let_go()
        return bool(super().event(event))

    def _models_news(self, news: Mapping[str, Card] | tuple[str, float]) -> None:
        if isinstance(news, tuple):
            self.classifying.set_speed(*news)
        else:
            self.inputs.set_models(news)

    def _show_message(self, message: str) -> None:
        self.message.setText(message)
        self.message.setVisible(bool(message))
        color = _PROBLEM_ON_LIGHT if self._viewer.theme == "light" else _PROBLEM_ON_DARK
        self.message.setStyleSheet(f"color: {color};" if self.state.problem else "")

    def _show_card(self) -> None:
        card = self.inputs.card()
        if card is not None:
            CardDialog(card, self).open()

    def _add_model_file(self, path: str, *, choose: bool = True) -> None:
        from napari_semclass.model.file import read_card

        try:
            card = read_card(path)
        except SemclassError as error:
            self.state.say(str(error), problem=True)
            return
        self.inputs.add_model(path, card, choose=choose)

    def _let_go(self) -> None:
        if self._gone:
            return
        self._gone = True
        self.annotating.let_go()
        self.board.let_go()
        self.inputs.disconnect_viewer()
        self.classifying.let_go()


def _scrolled(inside: QWidget) -> QScrollArea:
    scroll = QScrollArea()
    scroll.setWidget(inside)
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return scroll
