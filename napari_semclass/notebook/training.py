"""A full training from the widget: the marks become a run in a process of its own, which is followed to its end."""

import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from napari_semclass.annotate.collect import LabelledTiles
from napari_semclass.annotate.outcome import Outcome, read_outcome
from napari_semclass.annotate.run_data import TrainingData, discard_data
from napari_semclass.errors import OutputError, SemclassError, SettingsError
from napari_semclass.learn.events import Planned
from napari_semclass.learn.model_names import taken_names, unfit
from napari_semclass.learn.plan import Plan
from napari_semclass.learn.run import Run
from napari_semclass.learn.run_watch import RunWatch
from napari_semclass.model.store import model_folder
from napari_semclass.retrain import cut_short, fetch_weights, follow, new_task, start

_EVERY_S = 0.5  # between two tellings


class Training:
    """One run in the user's folder of models.

    Parameters
    ----------
    name : str
        Of the new model.
    tell : callable
        Told how the run goes, twice a second at most; called from the thread that `begin` runs in.

    Raises
    ------
    SettingsError
        When a model cannot be called so, or one is already.
    """

    def __init__(self, name: str, tell: Callable[[RunWatch], None]) -> None:
        wrong = unfit(name, taken_names())
        if wrong:
            raise SettingsError(wrong)
        folder = model_folder()
        self.name, self._tell = name, tell
        self.run = Run(folder / f"{name}.run")
        self.out: Path = folder / f"{name}.safetensors"
        self.watch = RunWatch()

    def begin(
        self, labelled: LabelledTiles, plan: Plan, device: str, download: bool, stop: threading.Event
    ) -> Outcome | None:
        """Write the data set, start the process and follow it; None when it was stopped.

        Raises
        ------
        SemclassError
            When there is too little to learn from, start weights are missing, or the run fails.
        """
        if len(labelled.used) < 2:
            raise SettingsError(f"There is nothing to learn yet. {labelled.needs()}")
        data = TrainingData(labelled, None)
        plan = data.suited(plan)
        fetch_weights(plan, agree=lambda _: download)
        folder = data.write(self.run.folder)
        if stop.is_set():
            discard_data(self.run.folder)
            return None
        self.run.create(plan, replace(new_task(folder, self.out, device=device), colors=data.colors))
        return self._follow(0, start(self.run), stop)

    def resume(self, stop: threading.Event) -> Outcome | None:
        """Go on with a run that was stopped; as `begin`."""
        events = self.run.events_file
        return self._follow(events.stat().st_size if events.exists() else 0, start(self.run), stop)

    @property
    def resumable(self) -> bool:
        """Whether there is something to go on with."""
        return self.run.plan_file.exists() and self.watch.ended != "finished"

    def finish(self) -> None:
        """Ask for a model of what is learned so far; returns at once."""
        try:
            self.run.ask("finish")
        except OSError as error:
            raise OutputError(f"{self.name}: the training cannot be told to finish ({error.strerror}).") from error

    def _follow(self, position: int, process: "subprocess.Popen[bytes]", stop: threading.Event) -> Outcome | None:
        asked, told = False, 0.0
        for found in follow(self.run, position, process):
            if found is not None:
                self.watch.tell(found[1])
            # A process that has just begun clears away what was asked of an earlier one, so it is asked again.
            if stop.is_set() and (not asked or (found is not None and isinstance(found[1], Planned))):
                with suppress(OSError):  # on a full disk; it is asked again
                    self.run.ask("stop")
                    asked = True
                if self.watch.stage is None:  # it has learned nothing yet
                    cut_short(self.run)
            if time.monotonic() - told > _EVERY_S:
                told = time.monotonic()
                self._tell(self.watch)
        if self.watch.ended == "finished":
            return read_outcome(self.run)
        if self.watch.ended == "failed" and not stop.is_set():
            raise SemclassError(f"{self.name}: {self.watch.sentence}")
        return None
