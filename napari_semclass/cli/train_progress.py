"""How a training run is followed in a terminal: what is learned from, a bar for each epoch, and what came out."""

import subprocess
from contextlib import suppress

from rich.progress import BarColumn, Progress, TextColumn

from napari_semclass.cli import output
from napari_semclass.errors import brief
from napari_semclass.learn.event_lines import event_lines
from napari_semclass.learn.events import (
    BatchDone,
    Event,
    Failed,
    Finished,
    Looking,
    StageBegun,
    Stopped,
    Suggested,
)
from napari_semclass.learn.run import Run
from napari_semclass.process import CTRL_C, StopSignal, is_hangup
from napari_semclass.retrain import follow

_LAST_WORDS_S = 30.0  # in which a trainer that has told its end is gone


def show(run: Run, process: "subprocess.Popen[bytes]", *, position: int = 0, until: type[Event] | None = None) -> int:
    """Follow a run and its process to the end, on stderr and for the outcome on stdout; return the exit status.

    With `until`, the first event of that kind is the end, and a good one. Ctrl-C or a signal that ends this process
    asks the run to stop and goes on following; a second one, or a terminal that goes away, leaves it to itself.
    """
    bar = output.progress_bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[news]}", markup=False),
    )
    shown = _Shown(bar, position)
    with bar:
        ended = False
        while not ended:
            try:
                ended = _followed(run, process, shown, until)
            except KeyboardInterrupt as stop:
                if until is not None:  # nothing is learned that could be lost
                    raise
                status = stop.status if isinstance(stop, StopSignal) else CTRL_C
                if shown.stopped or is_hangup(stop):
                    shown.say(f"Left running; its folder is {run.folder}.")
                    return status
                shown.stopped = status
                _ask_to_stop(run, shown)
                shown.say("Stopping after this batch (Ctrl-C again leaves it running) ...")
    if shown.outcome:
        output.result(shown.outcome)
    return shown.status


def _followed(run: Run, process: "subprocess.Popen[bytes]", shown: "_Shown", until: type[Event] | None) -> bool:
    """Show what happens until nothing more will; True then."""
    for found in follow(run, shown.position, process):
        if found is not None:
            position, event = found
            shown.tell(event)
            shown.position = position  # when it is told: Ctrl-C may come between
            if until is not None and isinstance(event, until):
                shown.status = 0
                return True
    with suppress(subprocess.TimeoutExpired):  # a batch system may end what is left when this process has ended
        process.wait(_LAST_WORDS_S)
    return True


def _ask_to_stop(run: Run, shown: "_Shown") -> None:
    try:
        run.ask("stop")
    except OSError as error:
        shown.say(f"The training cannot be told to stop ({error.strerror or brief(error)}).")


class _Shown:
    """Turns events into lines and a bar; `status` is the exit status that follows from them."""

    def __init__(self, bar: Progress, position: int) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=1, visible=False, news="")
        self._sizes: dict[int, int] = {}
        self.status = 2
        self.stopped = 0  # the exit status of who asked the run here to stop, if anybody did
        self.position = position
        self.outcome = ""

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(line, markup=False, soft_wrap=True)

    def tell(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, BatchDone | Looking):
            self._move(event)
            return
        for line in _lines(event):
            self.say(line)
        if isinstance(event, StageBegun):
            self._sizes[event.stage] = event.size
        if isinstance(event, Finished):
            self.outcome = _outcome(event)
            self.status = 0
        elif isinstance(event, Stopped):
            self.status = self.stopped or 1

    def _move(self, event: BatchDone | Looking) -> None:
        left = f"{event.left_s / 60:.0f} min left" if event.left_s > 90 else f"{event.left_s:.0f} s left"
        if isinstance(event, Looking):
            what, done, total, news = "looking at all tiles", event.done, event.total, left
        else:
            what, done, total = f"epoch {event.epoch}, {self._sizes.get(event.stage, 0)} px", event.batch, event.batches
            news = f"loss {event.loss:.3f} | {event.images_per_second:,.0f} tiles/s | {left}"
        self._bar.update(self._task, visible=True, description=what, total=total, completed=done, news=news)


def _lines(event: Event) -> list[str]:
    if isinstance(event, Suggested):
        return [f"A learning rate of about {event.lr:.1e} suits the first stage: --set stages.0.lr={event.lr:.1e}"]
    if isinstance(event, Failed):
        return [f"semclass: error: {event.sentence}"]
    return event_lines(event)


def _outcome(event: Finished) -> str:
    metrics = event.metrics
    measured = "nothing was held out, so it was not measured"
    if "accuracy" in metrics:
        measured = (
            f"on {metrics['n']:,} held-out {metrics['unit']}s of {metrics['n_groups']} groups: accuracy "
            f"{metrics['accuracy']:.1%}, macro-F1 {metrics['macro_f1']:.3f}"
        )
    return f"{event.model}: trained in {event.seconds / 60:.1f} minutes; {measured}."
