"""The Train tab: what to learn from, by which plan, under which name; the run itself is `RunDesk`'s."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from napari.components import ViewerModel
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QFrame, QShortcut, QVBoxLayout, QWidget

from napari_semclass.annotate.collect import LabelledTiles
from napari_semclass.downloads import Download
from napari_semclass.learn.events import Estimated
from napari_semclass.learn.model_names import free_name, unfit
from napari_semclass.learn.run import Run
from napari_semclass.names import fold
from napari_semclass.viewer.data_panel import DataPanel
from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.plan_panel import PlanPanel
from napari_semclass.viewer.run_desk import RunDesk, Say
from napari_semclass.viewer.train_jobs import (
    Earlier,
    Looked,
    Order,
    Shelf,
    begin_job,
    discard_job,
    estimate_job,
    folder_job,
    shelf_job,
)
from napari_semclass.viewer.train_questions import ask_to_discard, ask_to_download
from napari_semclass.viewer.train_state import TrainPhase

_BUSY = "A model is being trained"


class TrainTab(QWidget):
    """Trains models and shows how that goes.

    Emits `model_ready(path)` when the user wants to use a new model, and `tile_requested(image, box, plane)` to see
    a held-out tile: `image` is the id of an open layer, or else the path of a file; `box` (y0, x0, y1, x1) in pixels.

    Parameters
    ----------
    viewer : ViewerModel
    board : JobBoard
    say : callable
        Told what happened, in one sentence.
    labelled : callable
        Gives what is marked in the viewer.
    base : callable
        Gives name or path of the model that is in use, with which a new one is compared.
    """

    model_ready = Signal(str)
    tile_requested = Signal(str, object, int)

    def __init__(
        self,
        viewer: ViewerModel,
        board: JobBoard,
        say: Say,
        labelled: Callable[[], LabelledTiles | None],
        base: Callable[[], str | None],
    ) -> None:
        super().__init__()
        self._board, self._say, self._labelled = board, say, labelled
        self._shelf: Shelf | None = None
        self.data = DataPanel()
        self.plan = PlanPanel()
        self.desk = RunDesk(viewer, board, say, base, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        for widget in (self.data, _line(), self.plan, _line(), self.desk.panel, self.desk.outcome):
            layout.addWidget(widget)
        layout.addStretch(1)
        self._wire()
        self.refresh_data()

    def _wire(self) -> None:
        self.data.folder_chosen.connect(self.look_at_folder)
        self.data.value_changed.connect(self._choice_changed)
        self.plan.value_changed.connect(self._choice_changed)
        self.plan.name_changed.connect(self._show_missing)
        self.plan.estimate_requested.connect(self.estimate)
        self.plan.refused.connect(lambda sentence: self._say(sentence, problem=True))
        self.desk.panel.train_requested.connect(self.train)
        self.desk.panel.discard_requested.connect(
            lambda earlier: ask_to_discard(self, earlier.name, partial(self.discard, earlier))
        )
        self.desk.state.events.phase.connect(self._show_missing)
        self.desk.estimated.connect(self.plan.show_minutes)
        self.desk.download_wanted.connect(lambda wanted: ask_to_download(self, wanted, partial(self.train, True)))
        self.desk.ended.connect(self._look_at_shelf)
        self.desk.model_ready.connect(self.model_ready)
        shortcut = QShortcut(QKeySequence("Ctrl+Return"), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(self.desk.panel.train.click)
        self.desk.tile_requested.connect(self.tile_requested)

    def showEvent(self, event: object) -> None:
        """Whenever the tab comes to the front, runs and models of elsewhere are looked for."""
        super().showEvent(event)
        self._look_at_shelf()

    def refresh_data(self) -> None:
        """Show what is marked now."""
        self.data.show_marks(self._labelled())

    def running(self) -> Run | None:
        """The run that is followed and whose process works at this moment."""
        return self.desk.running()

    def let_go(self) -> None:
        """Let go of the viewer; a run goes on without it."""
        self.desk.state.events.phase.disconnect(self._show_missing)
        self.desk.let_go()

    # -- intentions -----------------------------------------------------------------------------------------------

    def look_at_folder(self, path: str) -> None:
        """Read and audit a folder of labelled pictures."""
        self.data.show_folder(None, (f"Looking at {Path(path).name}…",))
        self._board.start("train-folder", partial(folder_job, Path(path)), self._folder_news, self._folder_ended)

    def offer_folder(self, path: str) -> None:
        """Learn from this folder of labelled pictures as well, unless another one is chosen."""
        if not self.data.has_folder():
            self.look_at_folder(path)

    def estimate(self, agreed: bool = False) -> None:
        """Predict how long the plan takes with these data; `agreed` to download start weights."""
        order = self._order(agreed)
        if order is not None:
            self.plan.set_estimating("It is being measured")
            work = partial(estimate_job, order)
            self._board.start("train-estimate", work, self._estimate_news, self._estimate_ended)

    def train(self, agreed: bool = False) -> None:
        """Make a run of the data and the plan, and start it; `agreed` to download start weights."""
        order = self._order(agreed)
        if order is not None and self._shelf is not None and self.desk.state.phase is TrainPhase.IDLE:
            self._drop_estimate()
            self.desk.begin(order.name, partial(begin_job, order, self._shelf.folder), own=True)

    def discard(self, earlier: Earlier) -> None:
        """Remove a run that does not go on; the model that it made stays."""
        if earlier.name == self.desk.state.name and self.desk.state.phase is TrainPhase.IDLE:
            self.desk.clear("")
        self._board.start("train-discard", partial(discard_job, earlier.run), lambda _: self._look_at_shelf())

    # -- news from jobs -------------------------------------------------------------------------------------------

    def _folder_news(self, looked: Looked) -> None:
        self.data.show_folder(looked.dataset, looked.sentences)

    def _folder_ended(self, failure: str | None) -> None:
        if failure:
            self.data.show_folder(None, (failure,))

    def _estimate_news(self, news: str | Download | Estimated) -> None:
        if isinstance(news, Download):
            ask_to_download(self, news, partial(self.estimate, True))
        elif isinstance(news, str):
            self.plan.say(news)
        else:
            self.plan.show_minutes(news.minutes)

    def _estimate_ended(self, failure: str | None) -> None:
        if failure:
            self.plan.say(f"Not estimated: {failure}")
        self._show_missing()

    def _look_at_shelf(self) -> None:
        self._board.start("train-shelf", shelf_job, self._shelf_news)

    def _shelf_news(self, shelf: Shelf) -> None:
        first, self._shelf = self._shelf is None, shelf
        self.desk.panel.show_earlier(shelf.runs, self.desk.state.name)
        if first or fold(self.plan.name.text()) in shelf.taken:
            self.plan.name.setText(free_name(self.plan.name.text(), shelf.taken))
        self._show_missing()
        left = [one for one in shelf.runs if one.state == "running"]
        if first and left:  # such as one that was left running when the viewer was closed
            self.desk.take_up(left[0])

    # -- what is shown --------------------------------------------------------------------------------------------

    def _order(self, agreed: bool) -> Order | None:
        data = self.data.value()
        if data is None:
            return None
        return Order(data, self.plan.value(), self.plan.name.text().strip(), self.plan.device.currentText(), agreed)

    def _choice_changed(self) -> None:
        """Data or plan are no longer those that were measured."""
        data = self.data.value()
        self.plan.set_tile(data.marks.tile if data is not None and data.marks is not None else None)
        self.plan.show_minutes(())
        if self._drop_estimate():
            self.plan.say("Data or plan are others now: estimate again.")
        self._show_missing()

    def _drop_estimate(self) -> bool:
        """Forget an estimate that was made or is being made; whether there was one."""
        self.plan.say("")
        return self._board.drop("train-estimate") is not None

    def _show_missing(self, *_: object) -> None:
        missing = self.data.missing()
        name = self.plan.name.text().strip()
        self.desk.state.missing = missing or unfit(name, None if self._shelf is None else self._shelf.taken)
        self.plan.set_estimating(missing or (_BUSY if self.desk.state.phase is not TrainPhase.IDLE else ""))


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    return line
