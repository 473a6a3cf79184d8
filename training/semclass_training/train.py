"""A run from its beginning, or from where it was stopped, to its model: what the process of a run does."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_semclass.classify.versions import versions
from napari_semclass.downloads import Download
from napari_semclass.errors import OutputError, SemclassError, SettingsError, brief
from napari_semclass.learn.events import (
    CheckpointWritten,
    Estimated,
    EventLog,
    Failed,
    Finished,
    Looking,
    Planned,
    Stopped,
    Suggested,
    Warned,
)
from napari_semclass.learn.plan import Plan
from napari_semclass.learn.run import Pulse, Run, Task
from napari_semclass.model import Card, save_model
from napari_semclass.model.device import choose_device, describe
from napari_semclass.writing import replacing
from semclass_training.callbacks import unwrapped
from semclass_training.checkpoint import read_memory, write_memory
from semclass_training.finish import blended, conclude
from semclass_training.loaders import this_share
from semclass_training.prepare import (
    Prepared,
    Progress,
    at_size,
    features_of_samples,
    features_where_they_lie,
    in_context,
    linear_head,
    make_card,
    prepare,
)
from semclass_training.previews import write_previews
from semclass_training.stages import Memory, Stages, Work
from semclass_training.timing import looking_minutes, predicted_minutes

PREVIEW_NAME = "augmentation.png"
_STOPPED = "Stopped as asked for; resume it to go on from here."
_TELLING_S = 1.0


class _StopAskedFor(Exception):
    """Ends a look at tiles."""


def train(run: Run, *, dry_run: bool = False, find_lr: bool = False, since: float = inf) -> bool:
    """Carry out a run; True when its model is written, False when it was stopped and can be resumed.

    A dry run ends before anything is learned, once its minutes are predicted; to find the learning rate is a dry run
    that tells a rate, too. It may have been asked to stop before it comes here: what was asked after the time `since`
    (seconds since 1970, such as when this process began) counts.

    Raises
    ------
    SemclassError
        Whatever went wrong, in one sentence, which the run's events and status tell, too.
    """
    plan, task = run.load()
    share = this_share()
    if share.rank:
        return _Trainer(run, plan, task, None, dry_run or find_lr, find_lr, since).run()
    pulse = Pulse(run)
    pulse.start()
    try:
        log = EventLog(run.events_file)
    except OSError as error:
        raise OutputError(f"{run.events_file}: cannot be written ({error.strerror}).") from error
    try:
        pulse.say("running")
        done = _Trainer(run, plan, task, log, dry_run or find_lr, find_lr, since).run()
        pulse.say("finished" if done else "stopped")
        return done
    except Exception as error:
        failure = _sentence(error)
        _say_if_possible(log, pulse, str(failure))
        raise failure from error
    finally:
        log.close()
        pulse.end()


def _sentence(error: Exception) -> SemclassError:
    """Any error as one of ours."""
    error = unwrapped(error)
    if isinstance(error, SemclassError):
        return error
    if isinstance(error, OSError):
        return OutputError(f"{error.filename or 'the run'}: cannot be written ({error.strerror or brief(error)}).")
    return SemclassError(f"training failed in an unforeseen way ({type(error).__name__}: {brief(error)}).")


def _say_if_possible(log: EventLog, pulse: Pulse, sentence: str) -> None:
    """Tell of a failure; on a full disk, there may be no room for that."""
    try:
        log.write(Failed(sentence))
        pulse.say("failed", sentence)
    except OSError:
        return


class _Trainer:
    """The steps of a run in this process; only the first of several processes tells of them."""

    def __init__(
        self, run: Run, plan: Plan, task: Task, log: EventLog | None, dry_run: bool, find_lr: bool, since: float
    ) -> None:
        self._run, self._plan, self._task, self._log = run, plan, task, log
        self._dry_run, self._find_lr, self._since = dry_run, find_lr, since
        self._begun = time.monotonic()
        self._out = Path(task.out)
        self._card: Card | None = None

    def emit(self, event: Any) -> None:
        """Tell of something."""
        if self._log is not None:
            try:
                self._log.write(event)
            except OSError as error:
                raise OutputError(f"{self._run.events_file}: cannot be written ({error.strerror}).") from error

    def run(self) -> bool:
        """All of it."""
        run, plan, task = self._run, self._plan, self._task
        if self._log is not None:
            run.forget_wish(self._since)
        device = choose_device(task.device)
        memory = read_memory(run.checkpoint)
        self.emit(
            Planned(
                task.data, task.out, describe(device), asdict(plan), versions(), plan.pretrained, memory is not None
            )
        )
        prepared = prepare(plan, task, run.folder, self.emit, agree=_refuse)
        card = self._card = make_card(plan, task, prepared)
        network = prepared.start.network.to(device)
        if device.type != "mps":
            network = network.to(memory_format=torch.channels_last)
        minutes = self._estimate(prepared, network, card, device)
        if plan.stages and plan.head == "linear" and not self._dry_run:
            linear_head(plan, network, features_of_samples(network, card, prepared.training, device), prepared.training)
        start = {name: value.detach().clone() for name, value in network.state_dict().items()}
        if self._log is not None and plan.stages:
            shown = torch.from_numpy(prepared.training.pixels[:5].copy()).float() / 255
            write_previews(shown, plan.augmentation, run.folder / PREVIEW_NAME)
        if self._dry_run and not (self._find_lr and plan.stages):
            return False
        if plan.stages:
            learned = self._stages(prepared, network, card, device, memory, minutes)
            if learned is None:
                return False
            network = learned
        if self._log is None:
            return True
        blended(network, start, plan.start_share)
        try:
            self._look_and_conclude(prepared, network, in_context(card, prepared), device)
        except _StopAskedFor:
            self.emit(Stopped(_STOPPED))
            return False
        return True

    def _estimate(self, prepared: Prepared, network: nn.Module, card: Card, device: torch.device) -> list[float]:
        """Tell the minutes of each stage, of which the first one's have those of the linear head, and of the end."""
        held_out = len(prepared.validation) if prepared.validation else 0
        minutes = predicted_minutes(self._plan, network, card, prepared.training, held_out, device)
        if prepared.context or not self._plan.stages:
            minutes.append(looking_minutes(network, in_context(card, prepared), prepared, device))
        self.emit(Estimated(tuple(round(value, 3) for value in minutes)))
        return minutes

    def _stages(
        self,
        prepared: Prepared,
        network: nn.Module,
        card: Card,
        device: torch.device,
        memory: Memory | None,
        minutes: list[float],
    ) -> nn.Module | None:
        """Go through the stages; the network where a model is to be made of what was learned."""
        plan = self._plan
        for parameter in network.parameters():
            parameter.requires_grad_(True)
        work = Work(
            plan,
            network,
            lambda size: at_size(card, size),
            prepared.training,
            prepared.validation,
            device,
            self.emit,
            self._save,
            self._keep,
            self._is_to_end,
            this_share(),
        )
        stages = Stages(work, memory or Memory(), minutes)
        if self._find_lr:
            self.emit(Suggested(stages.find_lr(self._run.folder)))
            return None
        if stages.run():
            return stages.network
        if self._run.wish() == "stop":
            self.emit(Stopped(_STOPPED))
            return None
        self.emit(Warned("Ended before its plan was done, with what was learned so far."))
        return stages.network

    def _is_to_end(self) -> bool:
        limit = 60 * self._plan.minutes
        return self._run.stop_file.exists() or bool(limit and time.monotonic() - self._begun > limit)

    def _save(self, memory: Memory) -> None:
        if self._log is not None:
            write_memory(memory, self._run.checkpoint)
            self.emit(CheckpointWritten(memory.position.stage, memory.position.epochs, memory.since_best == 0))

    def _keep(self, network: nn.Module, size: int) -> None:
        if self._log is not None and self._card is not None:
            save_model(network, at_size(self._card, size), self._run.best)

    def _look_and_conclude(self, prepared: Prepared, network: nn.Module, card: Card, device: torch.device) -> None:
        """Fit the last classifier, on tiles as it will be given them, where it is fitted anew; measure, and write."""
        training, held_out = prepared.training, prepared.validation
        anew = bool(prepared.context or not self._plan.stages)
        first = len(training) if anew else 0
        part = self._telling(first + (len(held_out) if held_out is not None else 0))
        features = None
        if anew:
            features = features_where_they_lie(network, card, prepared, training, device, part(0))
            linear_head(self._plan, network, features, training)
        table = self._run.held_out_file
        model, metrics = conclude(network, card, prepared, features, device, self._out, table, part(first))
        if metrics:
            with replacing(self._run.metrics_file) as temporary:
                temporary.write_text(json.dumps(metrics, indent=1), encoding="utf-8")
        seconds = round(time.monotonic() - self._begun, 1)
        shown: tuple[str, ...] = ("unit", "n", "n_groups", "accuracy", "macro_f1", "ece")
        brief_metrics = {key: metrics[key] for key in shown if key in metrics}
        self.emit(Finished(str(self._out), model.sha256, seconds, brief_metrics))

    def _telling(self, total: int) -> Callable[[int], Progress]:
        """For a look at so many tiles in parts: given how many came before a part, what is to be told its progress.

        That tells of it now and then, and ends it where the run is asked to stop.
        """
        begun = told = time.monotonic()

        def part(before: int) -> Progress:
            def progress(done: int) -> None:
                nonlocal told
                if self._run.wish() == "stop":
                    raise _StopAskedFor
                now, seen = time.monotonic(), before + done
                if now - told >= _TELLING_S and 0 < seen <= total:
                    told = now
                    self.emit(Looking(seen, total, (now - begun) / seen * (total - seen)))

            return progress

        return part


def _refuse(download: Download) -> bool:
    """A run has nobody to ask: what it needs from the network is fetched before it starts."""
    raise SettingsError(
        f"{download.name} is not on this computer yet; `semclass train` asks whether to download it before it starts."
    )
