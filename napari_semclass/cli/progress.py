"""How a batch is followed on stderr: a bar in a terminal, a line for each file anywhere else."""

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from napari_semclass.classify import BatchStep
from napari_semclass.classify.record import Entry

# Characters of a file's name beside the bar, so that all fits a terminal of 80 columns.
_NAME = 24


class Follower(Protocol):
    """Is told of every step of a batch."""

    def update(self, step: BatchStep) -> None:
        """Show where the batch is."""


def progress(files: int) -> AbstractContextManager[Follower]:
    """Follow a batch of so many files in the way that suits stderr."""
    return _Bar(files) if sys.stderr.isatty() else _Lines(files)


def share(value: float) -> str:
    """A share in [0, 1] in per cent."""
    return f"{100 * value:.0f} %"


class _Lines:
    """A line for each file that is finished."""

    def __init__(self, files: int) -> None:
        self._files = files

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def update(self, step: BatchStep) -> None:
        if step.finished:
            line = f"[{step.index + 1}/{self._files}] {step.entry.file}: {_outcome(step.entry)}"
            print(line, file=sys.stderr, flush=True)


class _Bar:
    """A bar over the files with the rate of tiles and the time left; failures are printed above it."""

    def __init__(self, files: int) -> None:
        self._tiles = 0  # of finished micrographs
        self._last: tuple[int, int] = (0, 0)  # done and total of the micrograph at hand
        self._started = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=14),
            MofNCompleteColumn(),
            TextColumn("· {task.fields[rate]} ·", markup=False),
            TimeRemainingColumn(),
            TextColumn("left", markup=False),
            console=Console(stderr=True),
            transient=True,
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
        if step.finished or step.done < self._last[0]:
            self._tiles += self._last[0]
            self._last = (0, 0)
        if not step.finished:
            self._last = (step.done, step.total)
        rate = (self._tiles + self._last[0]) / max(1e-9, time.monotonic() - self._started)
        part = 1.0 if step.finished else step.done / max(1, step.total)
        name = step.entry.file
        self._progress.update(
            self._task,
            completed=step.index + part,
            description=name if len(name) <= _NAME else f"…{name[1 - _NAME :]}",
            rate=f"{rate:,.0f} tiles/s",
        )
        if step.entry.status == "failed":
            self._progress.console.print(Text(f"{name}: {_outcome(step.entry)}"), style="red", highlight=False)


def _outcome(entry: Entry) -> str:
    """What came out of a file, in a few words."""
    errors = [row.error for row in entry.rows if row.error]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return f"failed: {errors[0]}{more}"
    if len(entry.rows) > 1:
        return f"{len(entry.rows)} planes, {entry.tiles:,} tiles"
    row = entry.rows[0]
    return f"{row.category} {share(row.confidence or 0)}"
