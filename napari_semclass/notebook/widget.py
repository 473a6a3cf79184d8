"""The widget: what its buttons and methods start."""

import threading
from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari_semclass.annotate.collect import LabelledTiles
from napari_semclass.annotate.outcome import Outcome
from napari_semclass.classify import Prediction, Settings
from napari_semclass.classify.show import text
from napari_semclass.errors import SettingsError, sentence_of
from napari_semclass.learn.model_names import free_name, taken_names
from napari_semclass.learn.plan import Plan, read_plan
from napari_semclass.learn.quick import QuickResult
from napari_semclass.learn.run_watch import RunWatch
from napari_semclass.model import Model
from napari_semclass.notebook import facts
from napari_semclass.notebook.board import RECIPE, Board
from napari_semclass.notebook.jobs import Job, Lane, Work
from napari_semclass.notebook.marked import opened
from napari_semclass.notebook.tables import BOX, Row, tile_row
from napari_semclass.notebook.training import Training
from napari_semclass.notebook.work import Learned, Progress, classify_work, learn_work


class SemClassifier(Board):
    """Classify a micrograph, mark tiles, learn and train, in a notebook.

    Parameters
    ----------
    image : path, array or Micrograph
    model : str, path or Model
        A name (see `available_models`), a file, or a model.
    categories : sequence of str or of rows
        What to mark tiles with; more can be added in the widget.
    settings : Settings, optional
    plane : int
        Which plane of a stack.
    pixel_size : float or None
        Metres per pixel of an array; files say theirs.
    **traits
        First values of `annotations`, `opacity`, `hidden`, `live` and `height`.

    Raises
    ------
    MicrographError, ModelError, SettingsError
        An image or model that cannot be used; a plane or categories that are not possible.

    Notes
    -----
    `annotations`, `categories`, `opacity`, `hidden`, `live` and `height` are set by notebook and browser both;
    `prediction`, `model` and `settings` can be set and observed in the notebook.
    """

    def __init__(
        self,
        image: Any,
        model: str | Path | Model = "starter",
        categories: Sequence[Any] = (),
        *,
        settings: Settings | None = None,
        plane: int = 0,
        pixel_size: float | None = None,
        **traits: Any,
    ) -> None:
        self._lane, self._long_lane = Lane(self._ended), Lane(self._ended)
        self._training_run: Training | None = None
        self._waiting: deque[Row] = deque()
        self._settled: set[tuple[int, ...]] = set()
        self.learned: QuickResult | None = None
        image = opened(image, plane, pixel_size)
        chosen = {"model": model, "settings": settings or Settings(), "categories": list(categories)}
        super().__init__(image, **chosen, **traits)
        self.on_msg(self._hear)
        more = f"This is plane {plane} of {image.planes} (plane= chooses). " if image.planes > 1 else ""
        self._say(f"{more}Press Classify, or add two categories and mark tiles of each.")

    # -- what can be called -----------------------------------------------------------------------------------------

    @property
    def labelled(self) -> LabelledTiles:
        """The tiles that the annotations give, as the viewer and `semclass learn` see them."""
        return self._marked().labelled

    def mark(self, y: float, x: float, category: str) -> None:
        """Mark the tile around a position (pixels) with a category, in place of what was said of it.

        Raises
        ------
        SettingsError
            When there is no tile or no such category.
        """
        self.annotations = [*self.annotations, tile_row(self.grid, y, x, category)]

    def classify(self, wait: bool = True) -> Prediction | None:
        """Classify the micrograph with the model; `wait=False` returns at once and shows the result later."""
        work = partial(
            classify_work, self.micrograph, self.model, self.settings, self._show, self._progress("Classifying")
        )
        found: Prediction | None = self._start(lambda stop: self._classified(work(stop)), wait)
        return found

    def learn(self, wait: bool = True) -> QuickResult | None:
        """Learn the annotations (a linear head, in seconds), and show what that says of the whole micrograph.

        Returns
        -------
        QuickResult or None
            The model, its figures and a sentence on them; None when it was stopped, or with `wait=False`.

        Raises
        ------
        SettingsError
            When fewer than two categories have tiles.
        """
        work = partial(learn_work, self._marked(), self.model, self.settings, self._progress("Learning"))
        found: QuickResult | None = self._start(lambda stop: self._has_learned(work(stop)), wait)
        return found

    def suggest(self) -> Row | None:
        """Ask about the tile whose mark would teach most.

        Returns
        -------
        row or None
            Its box and the category that the model gives it; None (and the widget says why) when there is none.
        """
        marked = {tuple(row[side] for side in BOX) for row in self.annotations}
        while self._waiting:
            row = self._waiting.popleft()
            box = tuple(row[side] for side in BOX)
            if box not in marked | self._settled:
                self._settled.add(box)
                self._suggestion = {**row, "left": len(self._waiting)}
                self._say(f"Is this {row['category']}? A: yes; 1 to 9: another category; N: next; Esc: enough.")
                return row
        self._suggestion = {}
        self._say("Learn once more for new suggestions." if self.learned else "Learn first; then it can ask.")
        return None

    def train(
        self, plan: str | Plan = RECIPE, name: str = "", *, wait: bool = False, download: bool = False
    ) -> Outcome | None:
        """Train the network on the annotations, in a process of its own, and classify with the new model.

        Parameters
        ----------
        plan : str or Plan
            A recipe's name, a plan file, or a plan.
        name : str
            Of the new model, which is kept in the user's folder of models; empty takes a free one.
        wait : bool
            Return when it has ended. Otherwise the notebook stays usable, and the widget shows how it goes.
        download : bool
            Fetch start weights that are not on this computer.

        Returns
        -------
        Outcome or None
            None when it was stopped, or without `wait`.

        Raises
        ------
        SettingsError
            A plan or name that is not possible, or too little to learn from.
        """
        plan = plan if isinstance(plan, Plan) else read_plan(plan)
        training = Training(name or free_name("my-model", taken_names()), self._tell_training)
        work = partial(training.begin, self.labelled, plan, self.settings.device, download)
        return self._train(training, work, wait)

    def resume(self, *, wait: bool = False) -> Outcome | None:
        """Go on with the training that was stopped."""
        if self._training_run is None:
            raise SettingsError("there is no training to resume; begin one with train().")
        return self._train(self._training_run, self._training_run.resume, wait)

    def finish(self) -> None:
        """Let the training make a model of what it has learned so far."""
        if self._training_run is not None:
            self._training_run.finish()
            self._say("The training ends after this batch; then its model is tested.")

    def stop(self) -> None:
        """Ask whatever goes on to end after its present batch; a training can be resumed."""
        self._lane.stop()
        self._long_lane.stop()

    def close(self) -> None:
        """End all work and the widget; a training ends, too, and can be resumed by `semclass train --resume`."""
        self._tiles.close()
        self.stop()
        super().close()

    # -- what the browser asks --------------------------------------------------------------------------------------

    def _hear(self, _: Any, said: Any, buffers: Any) -> None:
        wishes = {
            "tiles": lambda: self._want_tiles(said["keys"]),
            "look": lambda: self._look(float(said["y"]), float(said["x"])),
            "classify": lambda: self.classify(wait=False),
            "learn": lambda: self.learn(wait=False),
            "suggest": self.suggest,
            "enough": lambda: setattr(self, "_suggestion", {}),
            "train": lambda: self.train(str(said["plan"]), str(said["name"])),
            "resume": self.resume,
            "finish": self.finish,
            "stop": self.stop,
            "add": lambda: self._add_category(str(said["name"])),
            "rename": lambda: self._rename_category(int(said["number"]), str(said["name"])),
            "remove": lambda: self._remove_category(int(said["number"])),
            "adopt": self._adopt_categories,
        }
        try:
            wishes[said["kind"]]()
        except Exception as error:  # what a message handler raises, nobody would read
            self._say(sentence_of(error), problem=True)

    def set_state(self, sync_data: Any) -> None:
        """Take what the browser has set; marks made there are learned, if that is wished and possible."""
        super().set_state(sync_data)
        if "annotations" in sync_data and self.live and self._counts.get("ready"):
            self.learn(wait=False)

    # -- work -------------------------------------------------------------------------------------------------------

    def _start(self, work: Work, wait: bool, lane: Lane | None = None) -> Any:
        job = (lane or self._lane).start(work)
        return job.wait() if wait else None

    def _ended(self, job: Job) -> None:
        if self._lane.is_current(job):
            self._work = {}
        if self._long_lane.is_current(job) and self._training_run is not None:
            run = self._training_run
            self._training = facts.training_facts(run.watch, run.name, going=False, resumable=run.resumable)
            self._tell_about()
        if job.error is not None:
            self._say(sentence_of(job.error), problem=True)

    def _progress(self, doing: str) -> Progress:
        def tell(done: int, total: int) -> None:
            self._work = {"doing": doing, "done": done, "total": total}

        return tell

    def _classified(self, prediction: Prediction | None) -> Prediction | None:
        if prediction is not None:
            self.prediction = prediction
            self._say(text(prediction))
        return prediction

    def _has_learned(self, learned: Learned | None) -> QuickResult | None:
        if learned is None:
            return None
        self.learned, self._waiting = learned.result, deque(learned.suggestions)
        self.prediction = learned.prediction
        self._learned = learned.sentence
        if not self._suggestion:
            self._say("Learned; the overlay shows what the marks say of the whole micrograph.")
        return learned.result

    def _train(self, training: Training, work: Work, wait: bool) -> Outcome | None:
        if self._long_lane.is_busy():
            raise SettingsError("a training goes on already; stop it first, or let it end.")
        self._training_run = training
        self._say(f"{training.name}: getting ready.")
        self._tell_training(training.watch)

        def until_used(stop: threading.Event) -> Outcome | None:
            outcome: Outcome | None = work(stop)
            if outcome is None:
                self._say(f"{training.name}: stopped. Resume it to go on.")
                return None
            self.model = outcome.model
            self.classify(wait=False)
            self._learned = f"{outcome.name} is trained. {outcome.figures()}"
            self._say(f"{outcome.name} is trained; the overlay is made anew with it.")
            return outcome

        found: Outcome | None = self._start(until_used, wait, self._long_lane)
        return found

    def _tell_training(self, watch: RunWatch) -> None:
        if self._training_run is not None:
            self._training = facts.training_facts(watch, self._training_run.name, going=True)
