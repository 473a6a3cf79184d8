"""Makes ready and starts a training run in a process of its own, follows it and tells how it ended.

fastai never loads here.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil

from napari_semclass.errors import OutputError, SemclassError, SettingsError, brief
from napari_semclass.learn.events import Event, Failed, Finished, Stopped, read_events
from napari_semclass.learn.plan import Plan, read_plan, refuse_unfit_backbone
from napari_semclass.learn.run import Run, Task
from napari_semclass.names import existing, text_of_path

if TYPE_CHECKING:
    from napari_semclass.downloads import Download

_NICE = 10
_LOOK_EVERY_S = 0.2
# So long a run without a status is waited for, where it could not be announced (a full disk).
_STARTING_S = 120.0


def new_task(data: str | Path, out: Path, *, title: str = "", device: str = "auto") -> Task:
    """What a run is for: which data, which model file, and how the model is called, by its file if not by `title`.

    Raises
    ------
    SettingsError
        When there is no such folder of data, or the name is the shipped model's.
    """
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in out.stem).strip("._-") or "model"
    if name == "starter":
        raise SettingsError("starter is the shipped model's name; choose another name for yours.")
    folder = existing(data)
    if not folder.is_dir():
        raise SettingsError(f"{data}: is not a folder; give the folder that holds a folder for each category.")
    title = title or text_of_path(out.stem)
    return Task(str(folder.absolute()), str(out.absolute()), name[:100], title[:200], device)


def fetch_weights(plan: Plan, *, agree: "Callable[[Download], bool]") -> None:
    """See to it that the start weights are on this computer: a run has nobody to ask.

    Raises
    ------
    SettingsError, DownloadError, ModelError
        A backbone that cannot compute the plan's sizes; weights that there are not, that could not be fetched, or that
        `agree` refused.
    """
    from semclass_training.weights import SOURCES, at_hand, start_network

    refuse_unfit_backbone(plan)
    if plan.pretrained in SOURCES and plan.pretrained not in at_hand(plan.backbone):
        start_network(plan.backbone, plan.pretrained, 2, agree=agree)


def start(run: Run, *, trial: Literal["", "--dry-run", "--find-lr"] = "") -> "subprocess.Popen[bytes]":
    """Start the process of a run, detached and at low priority, so that it outlives this one and stays out of the way.

    `trial` ends it before anything is learned: once its minutes are predicted, or a learning rate is found.
    Whoever wants to clear the folder away waits for the process that is returned; others need not.

    Raises
    ------
    OutputError
        When it is running already, or cannot be started.
    """
    if run.is_alive():
        raise OutputError(f"{run.folder}: this training is running already.")
    command = [sys.executable, "-m", "semclass_training", str(run.folder), *([trial] if trial else [])]
    # Its log is read as UTF-8, whatever the locale.
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace"}
    try:
        run.stop_file.unlink(missing_ok=True)
        run.status_file.unlink(missing_ok=True)
        log = run.log_file.open("ab", buffering=0)
        try:
            # Parts the runs: the last words of the one before are no sign that this one has crashed.
            log.write(f"--- started {datetime.now():%Y-%m-%d %H:%M:%S}\n".encode())
            process = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, **_detached()
            )
        finally:
            with suppress(OSError):  # of a disk that is full only now: the process is there
                log.close()
    except OSError as error:
        raise OutputError(f"{run.folder}: the training cannot be started ({brief(error)}).") from error
    # The process is there. From here on nothing may fail.
    _step_back(process.pid)
    run.announce(process.pid)
    return process


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process that `start` has started, at once, and wait until it is gone: for a trial, which learns nothing."""
    process.kill()
    process.wait()


def _detached() -> dict[str, Any]:
    """How Popen starts what outlives this process; on Windows, with its priority."""
    if sys.platform != "win32":
        return {"start_new_session": True}
    flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    # Else it gets the priority of this process, as it should where that is lower.
    if psutil.Process().nice() != psutil.IDLE_PRIORITY_CLASS:
        flags |= subprocess.BELOW_NORMAL_PRIORITY_CLASS
    return {"creationflags": flags}


def _step_back(pid: int) -> None:
    """Lower the priority of a process where that is possible; it is only a courtesy."""
    if sys.platform == "win32":
        return
    with suppress(OSError):  # it has ended, or this system does not allow it
        # It has the niceness of this process. Under `nice -n 19`, 10 would be a higher priority, which is refused.
        if os.getpriority(os.PRIO_PROCESS, pid) < _NICE:
            os.setpriority(os.PRIO_PROCESS, pid, _NICE)


def train_model(data: str | Path, out: str | Path, *, recipe: str | Path = "progressive", device: str = "auto") -> Path:
    """Train a model to its end, as `semclass train` does, and return its file; start weights are fetched if need be.

    Parameters
    ----------
    data : str or Path
        Folder of labelled pictures.
    out : str or Path
        Model file to write, ending in `.safetensors`; its run is kept beside it.
    recipe : str or Path
        Name of a recipe, or a plan file.
    device : "auto", "cpu", "cuda" or "mps"

    Raises
    ------
    SemclassError
        When there is such a file already, data or plan are not possible, or the training fails.
    """
    out = Path(out)
    run = Run(out.with_suffix(".run"))
    if out.exists() or run.plan_file.exists():
        raise OutputError(f"{out}: is there already, or its run is; choose another file.")
    plan = read_plan(recipe)
    fetch_weights(plan, agree=lambda _: True)
    run.create(plan, new_task(data, out, device=device))
    last = None
    try:
        process = start(run)
        for found in follow(run, 0, process):
            last = found[1] if found is not None else last
    except KeyboardInterrupt:
        with suppress(OSError):
            run.ask("stop")
        raise
    process.wait()
    if not out.exists():
        raise SemclassError(last.sentence if isinstance(last, Failed) else f"{out}: the training was stopped.")
    return out


def cut_short(run: Run) -> None:
    """End the process of a run at once, which loses what is not in its last checkpoint."""
    status = run.status()
    if status is not None and run.is_alive():
        with suppress(psutil.Error):  # it has ended just now
            psutil.Process(status.pid).kill()


def follow(
    run: Run, position: int = 0, process: "subprocess.Popen[bytes] | None" = None
) -> Iterator[tuple[int, Event] | None]:
    """Yield events as they come, each with the byte after it in the events file, and None while there is none.

    Ends after the event that says how the run ended; where the process died without a word, that is a `Failed`.

    Parameters
    ----------
    run : Run
        Started by `start`, in this process or another.
    position : int
        Byte of the events file to begin at.
    process : Popen, optional
        What `start` returned; one that dies before its first word is then noticed at once, and one that takes long
        to say it (a busy machine, a cold disk) is waited for.
    """
    begun = time.monotonic()
    while True:
        # Looked at before the events, so that what a process wrote last is not taken for missing.
        ended = process is not None and process.poll() is not None
        patient = process is not None or time.monotonic() - begun < _STARTING_S
        starting = run.status() is None and patient and not (ended or _crashed(run))
        alive = starting or run.is_alive()
        for after, event in read_events(run.events_file, position):
            position = after
            yield after, event
            if isinstance(event, Finished | Stopped | Failed):
                return
        if not alive:
            status = run.status()
            if status is not None and status.state in ("finished", "stopped"):
                return
            yield position, Failed(_last_words(run))
            return
        yield None
        time.sleep(_LOOK_EVERY_S)


def _crashed(run: Run) -> str:
    """What a process that did not begin broke off with: the last line of its log, if that is an error."""
    try:
        lines = run.log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip() if lines and ("error:" in lines[-1].lower() or "Error" in lines[-1]) else ""


def _last_words(run: Run) -> str:
    status = run.status()
    if status is not None and status.sentence:
        return status.sentence
    if (status is None or status.state == "starting") and (error := _crashed(run)):
        return f"The training process broke off before it began ({error.rstrip('.')})."
    return (
        "The training process ended without a word (it was killed, or the machine ran out of memory); "
        f"resume it to go on from its last epoch. What it printed is in {run.log_file}."
    )
