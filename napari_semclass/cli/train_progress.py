"""How a training run is followed in a terminal: what is learned from, a bar for each epoch, and what came out."""

import subprocess
import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

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
from napari_semclass.retrain import follow


def show(run: Run, process: "subprocess.Popen[bytes]", *, position: int = 0, until: type[Event] | None = None) -> int:
    """Follow a run and its process to the end, on stderr and for the outcome on stdout; return the exit status.

    With `until`, the first event of that kind is the end, and a good one. Ctrl-C asks the run to stop and goes on
    following; a second one leaves it to itself.
    """
    console = Console(stderr=True, highlight=False)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[news]}", markup=False),
        console=console,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    shown = _Shown(console, bar)
    events = follow(run, position, process)
    asked = False
    with bar:
        while True:
            try:
                found = next(events, (0, None))
            except KeyboardInterrupt:
                if asked:
                    console.print(f"Left running; its folder is {run.folder}.")
                    return 1
                asked = True
                run.ask("stop")
                console.print("Stopping after this batch (Ctrl-C again leaves it running) ...")
                events = follow(run, shown.position, process)
                continue
            if found is None:
                continue
            position, event = found
            if event is None:
                return shown.status
            shown.position = position
            shown.tell(event)
            if until is not None and isinstance(event, until):
                return 0


class _Shown:
    """Turns events into lines and a bar; `status` is the exit status that follows from them."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console, self._bar = console, bar
        self._task = bar.add_task("", total=1, visible=False, news="")
        self._sizes: dict[int, int] = {}
        self.status = 2
        self.position = 0

    def tell(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, BatchDone | Looking):
            left = f"{event.left_s / 60:.0f} min left" if event.left_s > 90 else f"{event.left_s:.0f} s left"
        if isinstance(event, Looking):
            what = "looking at all tiles"
            self._bar.update(
                self._task, visible=True, description=what, total=event.total, completed=event.done, news=left
            )
            return
        if isinstance(event, BatchDone):
            self._bar.update(
                self._task,
                visible=True,
                description=f"epoch {event.epoch}, {self._sizes.get(event.stage, 0)} px",
                total=event.batches,
                completed=event.batch,
                news=f"loss {event.loss:.3f} · {event.images_per_second:,.0f} tiles/s · {left}",
            )
            return
        for line in _lines(event):
            self._console.print(line, markup=False, soft_wrap=True)
        if isinstance(event, StageBegun):
            self._sizes[event.stage] = event.size
        if isinstance(event, Finished):
            print(_outcome(event))
            self.status = 0
        elif isinstance(event, Stopped):
            self.status = 1


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
