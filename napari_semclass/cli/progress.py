"""How a batch is followed on stderr: a bar in a terminal, a line for each file anywhere else."""

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from napari_semclass.classify import BatchStep
from napari_semclass.classify.record import Entry
from napari_semclass.cli import output

# Characters of a file's name beside the bar, so that all fits a terminal of 80 columns.
_NAME = 24
_NOTHING = Entry("", "", "", "")


class Follower(Protocol):
    """Is told of every step of a batch."""

    def update(self, step: BatchStep) -> None:
        """Show where the batch is."""


def progress(files: int) -> AbstractContextManager[Follower]:
    """Follow a batch of so many files in the way that suits stderr."""
    return _Bar(files) if output.is_live() else _Lines(files)


def share(value: float) -> str:
    """A share in [0, 1] in per cent."""
    return f"{100 * value:.0f} %"


class _Lines:
    """A line for each file that is finished."""

    def __init__(self, files: int) -> None:
        self._files, self._finished = files, 0

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def update(self, step: BatchStep) -> None:
        if step.finished:
            self._finished += 1
            output.message(f"[{self._finished}/{self._files}] {step.entry.file}: {_outcome(step.entry)}")


class _Bar:
    """A bar over the files with the rate of tiles and the time left; failures are printed above it."""

    def __init__(self, files: int) -> None:
        self._files = self._tiles = 0  # finished
        self._shown = 0.0
        self._now = BatchStep(_NOTHING, -1)  # of the micrograph at hand
        self._started = time.monotonic()
        self._progress = output.progress_bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=14),
            MofNCompleteColumn(),
            TextColumn("| {task.fields[rate]} |", markup=False),
            TimeRemainingColumn(),
            TextColumn("left", markup=False),
        )
        self._task = self._progress.add_task("", total=files, rate="starting")

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, step: BatchStep) -> None:
        if step.finished:  # while the one after it is computed already
            self._files, self._tiles = self._files + 1, self._tiles + step.entry.tiles
        if not step.finished or step.index == self._now.index:
            self._now = step
        now = BatchStep(_NOTHING, -1) if self._now.finished else self._now
        rate = (self._tiles + now.done) / max(1e-9, time.monotonic() - self._started)
        self._shown = max(self._shown, self._files + now.done / max(1, now.total))
        name = output.printable(step.entry.file)
        self._progress.update(
            self._task,
            completed=self._shown,
            description=name if len(name) <= _NAME else f"...{name[3 - _NAME :]}",
            rate=f"{rate:,.0f} tiles/s",
        )
        if step.entry.status == "failed":
            self._progress.console.print(Text(f"{name}: {_outcome(step.entry)}"), style="red")


def _outcome(entry: Entry) -> str:
    """What came out of a file, in a few words."""
    errors = [row.error for row in entry.rows if row.error]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return f"failed: {errors[0]}{more}"
    if len(entry.rows) > 1:
        return f"{len(entry.rows)} planes, {entry.tiles:,} tiles"
    row = entry.rows[0]
    return f"{row.category} (probability {share(row.confidence or 0)})"
