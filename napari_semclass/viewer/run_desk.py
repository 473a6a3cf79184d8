"""One training at a time: begins, follows and ends it, and looks up what it has come to."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from napari.components import ViewerModel
from napari.utils.theme import get_theme
from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QGuiApplication

from napari_semclass.annotate.outcome import Outcome
from napari_semclass.downloads import Download
from napari_semclass.errors import brief
from napari_semclass.learn.events import Estimated, Event, Planned
from napari_semclass.learn.run import Run, Wish
from napari_semclass.learn.run_watch import RunWatch
from napari_semclass.names import text_of_path
from napari_semclass.retrain import cut_short
from napari_semclass.viewer.copy_button import PYTHON
from napari_semclass.viewer.curves import Colors, Curves
from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.jobs import Work
from napari_semclass.viewer.outcome_job import compare_job, outcome_job, thumbnails_job
from napari_semclass.viewer.outcome_panel import OutcomePanel
from napari_semclass.viewer.train_command import train_command, train_python
from napari_semclass.viewer.train_jobs import Begun, Earlier, resume_job, watch_job
from napari_semclass.viewer.train_run_panel import TrainRunPanel
from napari_semclass.viewer.train_state import TrainPhase, TrainState


class Say(Protocol):
    """Shows the one sentence about what happened last."""

    def __call__(self, message: str, *, problem: bool = False) -> None:
        """Replace it."""


class RunDesk(QObject):
    """Holds the run that is followed, and the panels that show it and its outcome.

    Emits `estimated(minutes)` when a run begun here predicts its minutes, `download_wanted(Download)`, `ended()` after
    every end, `model_ready(path)` and `tile_requested(image, box, plane)` (see `TrainTab`).
    """

    estimated = Signal(object)
    download_wanted = Signal(object)
    ended = Signal()
    model_ready = Signal(str)
    tile_requested = Signal(str, object, int)

    def __init__(
        self, viewer: ViewerModel, board: JobBoard, say: Say, base: Callable[[], str | None], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer, self._board, self._say, self._base = viewer, board, say, base
        self._run: Run | None = None
        self._watch = RunWatch()
        self._outcome: Outcome | None = None
        self._own = False
        self._wish: Wish | None = None
        self.state = TrainState()
        self.panel = TrainRunPanel(self.state, Curves(board, self._colors()))
        self.outcome = OutcomePanel()
        self.panel.stop_requested.connect(self.stop)
        self.panel.finish_requested.connect(self.finish)
        self.panel.take_up_requested.connect(self.take_up)
        self.panel.copy_requested.connect(self._copy)
        self.outcome.tiles_shown.connect(self._draw_tiles)
        self.outcome.tile_chosen.connect(self._go_to_tile)
        self.outcome.use_requested.connect(self._use)
        viewer.events.theme.connect(self._theme_changed)

    def running(self) -> Run | None:
        """The run that is followed and whose process works."""
        return self._run if self.state.phase in (TrainPhase.RUNNING, TrainPhase.STOPPING) else None

    def let_go(self) -> None:
        """Let go of the viewer; a run goes on without it."""
        self.panel.curves.let_go()
        self._viewer.events.theme.disconnect(self._theme_changed)

    # -- intentions -----------------------------------------------------------------------------------------------

    def begin(self, name: str, work: Work, *, own: bool) -> None:
        """Do the work that yields what is being done, and a `Begun` in the end; then follow that run.

        `own` says that the plan is the one shown in this tab.
        """
        self.clear(name)
        self._own = own
        self.state.phase = TrainPhase.PREPARING
        self._board.start("train-begin", work, self._begin_news, self._begin_ended)

    def take_up(self, earlier: Earlier) -> None:
        """Follow a run that goes on, resume one that does not, or show what a finished one has come to."""
        if self.state.phase is not TrainPhase.IDLE:
            return
        if earlier.state not in ("finished", "running"):
            self.begin(earlier.name, partial(resume_job, earlier.run), own=False)
            return
        self.clear(earlier.name)
        self._own = False
        if earlier.state == "finished":
            self._look_at_outcome(earlier.run)
        else:
            self._follow(Begun(earlier.run, None, None))

    def stop(self) -> None:
        """End the run after its present batch, to be resumed; one that has learned nothing yet ends at once."""
        run = self._run
        if self.state.phase is TrainPhase.PREPARING:
            self._board.stop("train-begin")
            self.panel.say("Stopping…")
        elif self.state.phase is TrainPhase.RUNNING and run is not None:
            self.state.phase = TrainPhase.STOPPING
            self._ask(run, "stop")
            if self._watch.stage is None:
                cut_short(run)

    def finish(self) -> None:
        """Let the run make a model of what it has learned so far."""
        if self.state.phase is TrainPhase.RUNNING and self._run is not None and self._ask(self._run, "finish"):
            self._say("The training ends after this batch; then its model is tested.")

    def clear(self, name: str) -> None:
        """Show nothing of any run; the next one makes the model of this name."""
        for kind in ("train-outcome", "train-compare", "train-tiles"):
            self._board.drop(kind)  # late news of the last run are none of the next one's
        self._watch, self._outcome = RunWatch(), None
        self.panel.say("")
        self.panel.show_watch(None)
        self.outcome.show_outcome(None)
        self.state.name = name

    # -- news from jobs -------------------------------------------------------------------------------------------

    def _begin_news(self, news: str | Download | Begun) -> None:
        if isinstance(news, Begun):
            self._follow(news)
        elif isinstance(news, Download):
            self.download_wanted.emit(news)
        else:
            self.panel.say(news)

    def _begin_ended(self, failure: str | None) -> None:
        if self.state.phase is TrainPhase.PREPARING:  # it came to no run
            self.state.phase = TrainPhase.IDLE
        if failure:
            self._say(failure, problem=True)
        self.ended.emit()

    def _follow(self, begun: Begun) -> None:
        self._run, self._wish = begun.run, None
        self.state.phase = TrainPhase.RUNNING
        self.panel.show_watch(self._watch)
        work = partial(watch_job, begun.run, begun.position, begun.process)
        self._board.start("train-watch", work, self._heard, self._watch_ended)

    def _heard(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self._watch.tell(event)
            if isinstance(event, Estimated) and self._own:
                self.estimated.emit(event.minutes)
            elif isinstance(event, Planned) and self._wish is not None and self._run is not None:
                # A process that has just begun clears away what was asked of an earlier one, so it is asked again.
                self._ask(self._run, self._wish)
                if self._wish == "stop":
                    cut_short(self._run)
        self.panel.show_watch(self._watch)

    def _watch_ended(self, failure: str | None) -> None:
        stopping = self.state.phase is TrainPhase.STOPPING
        self.state.phase = TrainPhase.IDLE
        watch, run, name = self._watch, self._run, self.state.name
        if failure:
            self._say(failure, problem=True)
        elif watch.ended == "finished" and run is not None:
            self._look_at_outcome(run)
        elif stopping or watch.ended == "stopped":
            self._say(f"{name}: stopped. Resume it to go on.")
        else:
            self._say(f"{name}: {watch.sentence or 'the training ended without a word; resume it.'}", problem=True)
        self.ended.emit()

    def _look_at_outcome(self, run: Run) -> None:
        self._run = run
        self._board.start("train-outcome", partial(outcome_job, run), self._outcome_news)

    def _outcome_news(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.outcome.show_outcome(outcome)
        self._say(f"{outcome.name} is trained. {outcome.figures()}")
        base = self._base()
        if base is not None and outcome.tiles is not None:
            self._board.start("train-compare", partial(compare_job, base, outcome), self.outcome.show_comparison)

    def _draw_tiles(self, indices: tuple[int, ...]) -> None:
        if self._outcome is not None and self._outcome.tiles is not None:
            work = partial(thumbnails_job, self._outcome.tiles, indices)
            self._board.start("train-tiles", work, lambda news: self.outcome.show_picture(*news))

    # -- what is asked and shown ----------------------------------------------------------------------------------

    def _ask(self, run: Run, wish: Wish) -> bool:
        self._wish = wish
        try:
            run.ask(wish)
        except OSError as error:
            self._say(f"The training cannot be told to {wish} ({brief(error)}).", problem=True)
            return False
        return True

    def _copy(self, way: str) -> None:
        if self._run is not None:
            text = train_python(self._run) if way == PYTHON else train_command(self._run)
            QGuiApplication.clipboard().setText(text)
            self._say(f"Copied: {text}")

    def _go_to_tile(self, index: int) -> None:
        if self._outcome is None or self._outcome.tiles is None:
            return
        path, box = self._outcome.tiles.paths[index], self._outcome.tiles.boxes[index].tolist()
        source, plane = self._outcome.note.places.get(text_of_path(path), ("", 0))
        is_open = any(str(layer.unique_id) == source for layer in self._viewer.layers)
        self.tile_requested.emit(source if is_open else str(path), tuple(box), plane if is_open else 0)

    def _use(self) -> None:
        if self._outcome is not None:
            self.model_ready.emit(str(self._outcome.model))

    def _colors(self) -> Colors:
        theme = get_theme(self._viewer.theme)
        return Colors(theme.background.as_hex(), theme.text.as_hex(), theme.secondary.as_hex())

    def _theme_changed(self, event: object = None) -> None:
        self.panel.curves.set_colors(self._colors())
