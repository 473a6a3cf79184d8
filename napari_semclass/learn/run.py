"""A training run as a folder, so that it outlives whoever started it: its files, its state, and how to stop it."""

import os
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import psutil
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from napari_semclass.errors import OutputError, SettingsError, brief
from napari_semclass.learn.plan import Plan, read_plan, write_plan
from napari_semclass.learn.toml import read_toml, write_toml
from napari_semclass.names import existing, path_of_text, printable, text_of_path
from napari_semclass.writing import json_text, replacing

_STRICT = ConfigDict(extra="forbid", strict=True)
_HEARTBEAT_S = 2.0
_CLOCK_S = 2.0  # some file systems tell times to two seconds

State = Literal["starting", "running", "finished", "stopped", "failed"]
# A stop that can be resumed, and one that makes a model of what is learned so far.
Wish = Literal["stop", "finish"]


@dataclass(frozen=True, config=_STRICT)
class Task:
    """What a run is for, beside its plan.

    Parameters
    ----------
    data : str
        Folder of the data set.
    out : str
        Model file to write.
    name, title : str
        Of the model's card.
    device : "auto", "cpu", "cuda" or "mps"
    colors : tuple of (str, str)
        Categories with the colours that the user gave them, as #rrggbb; others get one.
    """

    data: str
    out: str
    name: str
    title: str
    device: str = "auto"
    colors: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, config=_STRICT)
class Status:
    """Who runs it and how it stands; `created` is when the process began, `heartbeat` when it last said so (s).

    The heartbeat is for people: on a busy machine, a full disk or a laptop that was suspended it may be minutes old.
    """

    state: State
    pid: int
    created: float
    heartbeat: float
    sentence: str = ""


_TASKS, _STATUSES = TypeAdapter(Task), TypeAdapter(Status)


class Run:
    """The folder of a run and the files in it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = existing(folder)
        self.plan_file = self.folder / "plan.toml"
        self.task_file = self.folder / "task.toml"
        self.events_file = self.folder / "events.jsonl"
        self.status_file = self.folder / "status.json"
        self.stop_file = self.folder / "stop"
        self.log_file = self.folder / "log.txt"
        self.checkpoint = self.folder / "last.ckpt"
        self.best = self.folder / "best.safetensors"
        self.metrics_file = self.folder / "metrics.json"
        self.held_out_file = self.folder / "held_out.csv"

    def create(self, plan: Plan, task: Task) -> None:
        """Make the folder with its plan and task.

        Raises
        ------
        OutputError
            When the folder cannot be made or holds another run.
        """
        if self.plan_file.exists():
            raise OutputError(
                f"{self.folder}: holds a training run already; resume it (--resume) or choose another output."
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be made ({error.strerror or brief(error)}).") from error
        # Paths become text, as TOML needs it; in another locale Python reads the same bytes as other characters.
        stored = replace(task, data=text_of_path(task.data), out=text_of_path(task.out), title=printable(task.title))
        write_toml(stored, self.task_file)
        write_plan(plan, self.plan_file)

    def load(self) -> tuple[Plan, Task]:
        """The plan and the task.

        Raises
        ------
        SettingsError
            When the folder is no run.
        """
        if not self.plan_file.exists():
            raise SettingsError(f"{self.folder}: is not the folder of a training run (it has no plan.toml).")
        task = read_toml(self.task_file, _TASKS)
        return read_plan(self.plan_file), replace(task, data=path_of_text(task.data), out=path_of_text(task.out))

    def status(self) -> Status | None:
        """How the run stands by its own words; None before it said anything."""
        try:
            return _STATUSES.validate_json(self.status_file.read_bytes())
        except (OSError, ValidationError):
            return None

    def is_alive(self) -> bool:
        """Whether the process that wrote the status still works on it."""
        status = self.status()
        if status is None or status.state not in ("starting", "running"):
            return False
        try:
            process = psutil.Process(status.pid)
            same = abs(process.create_time() - status.created) < 1
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except (psutil.Error, ValueError, OverflowError):  # a damaged status may name a process that cannot be
            return False

    def announce(self, pid: int) -> None:
        """Note which process is starting to work on it, where that has not said so itself.

        It takes seconds to load, on a busy machine minutes, and others must know of it meanwhile.
        """
        try:
            status = Status("starting", pid, psutil.Process(pid).create_time(), time.time())
            with self.status_file.open("x", encoding="utf-8") as file:
                file.write(json_text(asdict(status)))
        except (OSError, psutil.Error):  # there is a status already, the process has ended, or the disk is full
            return

    def ask(self, wish: Wish) -> None:
        """Ask the run to stop (it can be resumed) or to finish with what it has learned; returns at once."""
        self.stop_file.write_text(wish, encoding="utf-8")

    def wish(self) -> Wish | None:
        """What the run was asked for, if anything."""
        try:
            return "finish" if self.stop_file.read_bytes().strip() == b"finish" else "stop"
        except OSError:
            return None

    def forget_wish(self, before: float) -> None:
        """Drop what was asked before a time (seconds since 1970): it was asked of an earlier process."""
        try:
            asked = self.stop_file.stat().st_mtime
        except OSError:
            return
        if asked < before - _CLOCK_S:
            self.stop_file.unlink(missing_ok=True)


class Pulse:
    """Keeps `status.json` of a run fresh from a thread, for as long as this process works on it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._created = psutil.Process().create_time()
        self._state: State = "starting"
        self._sentence = ""
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._beat, name="semclass-pulse", daemon=True)

    def start(self) -> None:
        """Begin; the first status is there when this returns.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        self._write()
        self._thread.start()

    def say(self, state: State, sentence: str = "") -> None:
        """Change the state."""
        self._state, self._sentence = state, sentence
        self._write()

    def end(self) -> None:
        """Stop the thread."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(_HEARTBEAT_S):
            try:
                self._write()
            except OutputError:  # a full disk: the run itself will say so where it matters
                continue

    def _write(self) -> None:
        with self._lock, replacing(self._run.status_file) as temporary:
            status = Status(self._state, os.getpid(), self._created, time.time(), self._sentence)
            temporary.write_text(json_text(asdict(status)), encoding="utf-8")
