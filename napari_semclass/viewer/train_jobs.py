"""What the Train tab does in the background: look at data, make and start runs, estimate, follow, tidy up."""

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from napari_semclass.annotate.run_data import TrainingData, discard_data
from napari_semclass.downloads import Download
from napari_semclass.errors import DownloadError, OutputError
from napari_semclass.learn.dataset import DataSet
from napari_semclass.learn.events import Estimated, Event, Failed, Finished, Stopped, read_events
from napari_semclass.learn.model_names import taken_names
from napari_semclass.learn.plan import Plan
from napari_semclass.learn.run import Run
from napari_semclass.retrain import end, fetch_weights, follow, new_task, start

_SUFFIX = ".safetensors"
_AT_ONCE = 500  # events told together


@dataclass(frozen=True, eq=False)
class Order:
    """What to learn from, by which plan, under which name, and whether start weights may be downloaded for it."""

    data: TrainingData
    plan: Plan
    name: str
    device: str
    agreed: bool = False


@dataclass(frozen=True, eq=False)
class Looked:
    """A folder of labelled pictures, and what is to know about it."""

    dataset: DataSet
    sentences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Begun:
    """A run that goes on. New events of a process that was just started begin at byte `position`."""

    run: Run
    position: int | None
    process: "subprocess.Popen[bytes] | None"


@dataclass(frozen=True)
class Earlier:
    """A run in the folder of models, and how it stands."""

    run: Run
    name: str
    state: Literal["running", "stopped", "interrupted", "failed", "finished"]


@dataclass(frozen=True)
class Shelf:
    """The user's folder of models: names that are taken, and runs, the newest first."""

    folder: Path
    taken: frozenset[str]
    runs: tuple[Earlier, ...]


class Halted(Exception):
    """Raised through a callback to leave a function that cannot be asked to stop."""


def halting(stop: threading.Event) -> Callable[[int, int], None]:
    """A progress callback that ends what it is called by once `stop` is set."""

    def look(done: int, total: int) -> None:
        if stop.is_set():
            raise Halted

    return look


def shelf_job(stop: threading.Event) -> Generator[Shelf, None, None]:
    """Look which models and runs there are."""
    from napari_semclass.model.store import model_folder

    folder = model_folder()
    found = sorted(folder.glob("*.run"), key=lambda path: path.stat().st_mtime, reverse=True)
    runs = [_earlier(Run(path)) for path in found if (path / "plan.toml").exists()]
    yield Shelf(folder, taken_names(), tuple(runs))


def _earlier(run: Run) -> Earlier:
    status = run.status()
    state: Literal["running", "stopped", "interrupted", "failed", "finished"] = "interrupted"
    if run.is_alive():
        state = "running"
    elif status is not None and status.state in ("stopped", "failed", "finished"):
        state = status.state
    return Earlier(run, run.folder.stem, state)


def folder_job(folder: Path, stop: threading.Event) -> Generator[Looked, None, None]:
    """Read a data set and audit it."""
    from napari_semclass.learn.audit import audit
    from napari_semclass.learn.dataset import read_dataset

    dataset = read_dataset(folder)
    with suppress(Halted):
        yield Looked(dataset, tuple(audit(dataset, halting(stop)).sentences()))


def begin_job(order: Order, folder: Path, stop: threading.Event) -> Generator[str | Download | Begun, None, None]:
    """Write the data set, make the run and start it; yields what is being done, or a download to agree to."""
    run, out = Run(folder / f"{order.name}.run"), folder / f"{order.name}{_SUFFIX}"
    if out.exists() or run.plan_file.exists():
        raise OutputError(f"{order.name} is there already; choose another name.")
    plan = order.data.suited(order.plan)
    asked = yield from _weights(plan, order)
    if asked is not None:
        yield asked
        return
    yield "Writing the data set…"
    data = order.data.write(run.folder)
    if stop.is_set():
        discard_data(run.folder)
        return
    run.create(plan, replace(new_task(data, out, device=order.device), colors=order.data.colors))
    yield Begun(run, 0, start(run))


def _weights(plan: Plan, order: Order) -> Generator[str, None, Download | None]:
    """Bring the start weights; what would have to be downloaded for it, if that was not agreed to yet."""
    asked: list[Download] = []

    def agree(download: Download) -> bool:
        asked.append(download)
        return order.agreed

    yield "Looking for the start weights…"
    try:
        fetch_weights(plan, agree=agree)
    except DownloadError:
        if asked and not order.agreed:
            return asked[0]
        raise
    return None


def estimate_job(order: Order, stop: threading.Event) -> Generator[str | Download | Estimated, None, None]:
    """Let the trainer measure a few batches of a plan, in a folder that is cleared away."""
    plan = order.data.suited(order.plan)
    asked = yield from _weights(plan, order)
    if asked is not None:
        yield asked
        return
    with tempfile.TemporaryDirectory(prefix="semclass-", ignore_cleanup_errors=True) as name:
        run = Run(Path(name) / "trial.run")
        yield "Measuring how long it takes…"
        data = order.data.write(run.folder)
        run.create(plan, new_task(data, Path(name) / f"trial{_SUFFIX}", device=order.device))
        process = start(run, trial="--dry-run")
        try:
            for found in follow(run, 0, process):
                if stop.is_set():
                    return
                if found is not None and isinstance(found[1], Estimated):
                    yield found[1]
                    return
                if found is not None and isinstance(found[1], Failed):
                    raise OutputError(found[1].sentence)
        finally:
            end(process)


def resume_job(run: Run, stop: threading.Event) -> Generator[Begun, None, None]:
    """Start the process of a run once more."""
    position = run.events_file.stat().st_size if run.events_file.exists() else 0
    yield Begun(run, position, start(run))


def watch_job(
    run: Run, position: int | None, process: "subprocess.Popen[bytes] | None", stop: threading.Event
) -> Generator[tuple[Event, ...], None, None]:
    """Tell what has happened in a run, and go on telling what happens, until it ends.

    Parameters
    ----------
    position : int or None
        Byte of the events file from which on its present process tells; None: whatever it is, from its last word on.
    """
    past = [found for found in read_events(run.events_file) if position is None or found[0] <= position]
    if past:
        yield tuple(event for _, event in past)
        position = past[-1][0]
        if process is None and isinstance(past[-1][1], Finished | Stopped | Failed) and not run.is_alive():
            return
    waiting: list[Event] = []
    for found in follow(run, position or 0, process):
        if stop.is_set():
            return
        if found is not None:
            waiting.append(found[1])
        if waiting and (found is None or len(waiting) >= _AT_ONCE):
            yield tuple(waiting)
            waiting = []
    if waiting:
        yield tuple(waiting)


def discard_job(run: Run, stop: threading.Event) -> Generator[None, None, None]:
    """Remove the folder of a run; the model that it made, if any, stays."""
    if run.is_alive():
        raise OutputError(f"{run.folder.stem} is still being trained; stop it first.")
    try:
        shutil.rmtree(run.folder)
    except OSError as error:
        raise OutputError(f"{run.folder}: cannot be removed ({error.strerror}).") from error
    yield None
