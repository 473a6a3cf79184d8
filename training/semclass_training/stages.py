"""The stages: progressive resizing, each stage frozen first and then whole, resumable after every epoch and batch."""

import gc
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.callback.core import CancelFitException
from fastai.learner import Recorder
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_semclass.errors import DeviceError, SettingsError, brief
from napari_semclass.learn.events import BatchDone, EpochDone, StageBegun, Warned
from napari_semclass.learn.plan import Plan, Stage
from napari_semclass.learn.tiles import Samples
from napari_semclass.model import Card
from napari_semclass.model.device import is_out_of_memory
from napari_semclass.model.input_sizes import network_at
from semclass_training.augment import Augment
from semclass_training.callbacks import Follow, unwrapped
from semclass_training.learner import Parts, body_of, loss_weights, make_learner, plain, rates, unfreeze
from semclass_training.loaders import Share, TileLoader, even_weights, resized
from semclass_training.scores import Scores, scores_of

Emit = Callable[[Any], None]


@dataclass
class Position:
    """Where a run is: `epoch` epochs of a phase (frozen, then whole) of a stage are done, and `seen` tiles more."""

    stage: int = 0
    frozen: bool = True
    epoch: int = 0
    seen: int = 0
    batch: int = 0  # of this stage, once memory made it smaller; 0 before
    epochs: int = 0  # done in all


@dataclass
class Memory:
    """What a checkpoint holds, in plain containers and tensors only."""

    position: Position = field(default_factory=Position)
    network: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)
    average_steps: int = 0
    optimiser: Any = None
    best: float = -1.0
    since_best: int = 0


@dataclass(frozen=True, eq=False)
class Work:
    """All that the stages work on; the network is for pictures of the last stage's size.

    `save(memory)` writes a checkpoint; `keep(network, size)` the best model so far; `wish()` says whether to end.
    """

    plan: Plan
    network: nn.Module
    card_of: Callable[[int], Card]
    training: Samples
    validation: Samples | None
    device: torch.device
    emit: Emit
    save: Callable[[Memory], None]
    keep: Callable[[nn.Module, int], None]
    wish: Callable[[], bool]
    share: Share = field(default_factory=Share)


class Stages:
    """Goes through the stages of a plan from wherever its memory says it is."""

    def __init__(self, work: Work, memory: Memory, minutes: list[float]) -> None:
        self.work = work
        self.network = work.network
        self.memory = memory
        self._size = work.plan.size
        self.ended = False
        self._minutes = minutes
        self._labels = torch.from_numpy(work.training.labels)
        self._parts: Parts | None = None

    def run(self) -> bool:
        """Train `network`; True when the plan was done, False when it was asked to end before."""
        stages = self.work.plan.stages
        if self.memory.network:
            self._resize(stages[self.memory.position.stage].size)
            self.network.load_state_dict(self.memory.network)
        for number in range(self.memory.position.stage, len(stages)):
            if number > self.memory.position.stage:
                self.memory.position = Position(stage=number, epochs=self.memory.position.epochs)
            self._stage(number, stages[number])
            if self.ended:
                break
        self._resize(self.work.plan.size)
        return not self.ended

    def _resize(self, size: int) -> None:
        """Let the network take pictures of a size, which some do only with other tables of positions."""
        backbone = self.work.card_of(size).backbone
        self.network, self._size = network_at(self.network, backbone, self._size, size), size

    def find_lr(self, folder: Path) -> float:
        """Learning rate of the classifier that fastai's range test suggests for the first stage.

        `folder` holds the weights meanwhile. Source: Smith, Cyclical learning rates, WACV 2017.
        """
        stage, work = self.work.plan.stages[0], self.work
        self.memory.position.batch = stage.batch
        self._resize(stage.size)
        tiles = resized(work.training.pixels, stage.size)
        loaders = self._loaders(0, stage, False, tiles, tiles[:0])
        follow = Follow(lambda *_: None, lambda *_: None, lambda: False)
        parts = make_learner(work.plan, self.network, loaders, follow, self._loss_weights())
        parts.learner.add_cb(Recorder())
        parts.learner.path = folder
        unfreeze(parts, work.plan)
        return float(parts.learner.lr_find(show_plot=False).valley)

    def _stage(self, number: int, stage: Stage) -> None:
        """One stage; where memory runs out, its batch is halved and it goes on from the last checkpoint."""
        position = self.memory.position
        position.batch = position.batch or stage.batch
        tiles = resized(self.work.training.pixels, stage.size)
        held_out = self.work.validation
        held_out_tiles = resized(held_out.pixels if held_out else self.work.training.pixels[:0], stage.size)
        stages = self.work.plan.stages
        self.work.emit(StageBegun(number, len(stages), stage.size, stage.epochs, stage.frozen_epochs, position.batch))
        before = self.network
        self._resize(stage.size)
        if not self.memory.network:
            self._remember(None)
        elif self.network is not before:
            self.memory.network = _copied(self.network)
        if not position.epoch:
            self.memory.since_best = 0
        while True:
            try:
                for frozen, epochs in self._phases(stage):
                    loaders = self._loaders(number, stage, frozen, tiles, held_out_tiles)
                    self._fit(number, stage, frozen, epochs, loaders)
                    if self.ended:
                        return
                return
            except (RuntimeError, MemoryError) as error:
                self._halve(error)

    def _loss_weights(self) -> Tensor | None:
        training = self.work.training
        counts = np.bincount(training.labels, minlength=len(training.categories))
        return loss_weights(self.work.plan, counts.tolist(), self.work.device)

    def _phases(self, stage: Stage) -> Iterator[tuple[bool, int]]:
        """Frozen and whole epochs that are still to do."""
        position = self.memory.position
        if position.frozen and stage.frozen_epochs:
            yield True, stage.frozen_epochs
        if position.frozen:
            position.frozen, position.epoch, position.seen = False, 0, 0
            self.memory.optimiser = None
        if stage.epochs:
            yield False, stage.epochs

    def _loaders(
        self, number: int, stage: Stage, frozen: bool, tiles: Tensor, held_out: Tensor
    ) -> tuple[TileLoader, TileLoader]:
        work = self.work
        card = work.card_of(stage.size)
        batch = self.memory.position.batch
        seed = (work.plan.seed, number, int(frozen))
        weights: NDArray[np.float64] | None = None
        if work.plan.balance == "sampling":
            weights = even_weights(work.training.labels, work.training.groups)
        augment = Augment(work.plan.augmentation)
        training = TileLoader(
            tiles, self._labels, card, batch, work.device, augment=augment, weights=weights, seed=seed, share=work.share
        )
        labels = torch.from_numpy(work.validation.labels) if work.validation else self._labels[:0]
        return training, TileLoader(held_out, labels, card, max(batch, 32), work.device)

    def _fit(
        self, number: int, stage: Stage, frozen: bool, epochs: int, loaders: tuple[TileLoader, TileLoader]
    ) -> None:
        """The epochs of one phase, from where the memory is."""
        work, position = self.work, self.memory.position
        if position.epoch >= epochs:  # the run was killed right after the phase's last epoch
            self._settle()
            return
        follow = Follow(
            lambda *news: self._batch_done(number, epochs, *news),
            lambda *news: self._epoch_done(number, stage, frozen, *news),
            work.wish,
        )
        follow.start_epoch = position.epoch
        follow.skip = position.seen // position.batch
        parts = self._parts = make_learner(work.plan, self.network, loaders, follow, self._loss_weights())
        distribute(parts, work.share)
        if frozen:
            parts.learner.freeze()
            parts.still.body = body_of(self.network)
        else:
            unfreeze(parts, work.plan)
        if self.memory.optimiser is not None:
            parts.learner.opt.load_state_dict(_on_device(self.memory.optimiser, work.device))
        if parts.average is not None and self.memory.average:
            parts.average.weights = {name: value.to(work.device) for name, value in self.memory.average.items()}
            parts.average.steps = self.memory.average_steps
        parts.learner.fit_one_cycle(
            epochs, rates(work.plan, stage.lr), wd=work.plan.weight_decay, start_epoch=position.epoch
        )
        if follow.ended_at is not None:
            position.seen = follow.ended_at * position.batch
            self._remember(parts)
            self.ended = True
            return
        if parts.average is not None:
            self.memory.average = parts.average.weights
        position.epoch, position.seen = epochs, 0
        self._settle()

    def _settle(self) -> None:
        """End a phase: the running average becomes the network's weights, the optimiser is forgotten."""
        if self.memory.average:
            self.network.load_state_dict(self.memory.average)
        self.memory.average, self.memory.average_steps, self.memory.optimiser = {}, 0, None
        self.memory.network = _copied(self.network)

    def _batch_done(self, number: int, epochs: int, batch: int, batches: int, loss: float, rate: float) -> None:
        position = self.memory.position
        done = (position.epoch + batch / batches) / max(1, epochs)
        # What the estimate says of this stage, in the share that is not done, and of those to come.
        left = 60 * (self._minutes[number] * (1 - done) + sum(self._minutes[number + 1 :])) if self._minutes else 0.0
        self.work.emit(BatchDone(number, position.epochs + 1, batch, batches, round(loss, 5), round(rate, 2), left))

    def _epoch_done(
        self,
        number: int,
        stage: Stage,
        frozen: bool,
        train_loss: float,
        scores: Tensor | None,
        labels: Tensor | None,
        seconds: float,
        rate: float,
    ) -> None:
        parts, position, memory = self._parts, self.memory.position, self.memory
        if parts is None:
            return
        position.epoch += 1
        position.epochs += 1
        position.seen = 0
        found = scores_of(scores, labels) if scores is not None and labels is not None else Scores()
        total = sum(s.epochs + s.frozen_epochs for s in self.work.plan.stages)
        lr = float(parts.learner.opt.hypers[-1]["lr"])
        self.work.emit(
            EpochDone(
                stage=number,
                size=stage.size,
                epoch=position.epochs,
                epochs=total,
                frozen=frozen,
                train_loss=round(train_loss, 5),
                valid_loss=found.valid_loss,
                accuracy=found.accuracy,
                macro_f1=found.macro_f1,
                precision=found.precision,
                recall=found.recall,
                seconds=round(seconds, 2),
                images_per_second=round(rate, 2),
                lr=lr,
            )
        )
        value = found.macro_f1 if found.macro_f1 is not None else -train_loss
        better = value > memory.best or position.epochs == 1
        memory.best, memory.since_best = (value, 0) if better else (memory.best, memory.since_best + 1)
        if better:
            with parts.average.in_place() if parts.average else nullcontext():
                self.work.keep(self.network, stage.size)
        self._remember(parts)
        if self.work.plan.early_stop and memory.since_best >= self.work.plan.early_stop and not frozen:
            raise CancelFitException

    def _remember(self, parts: Parts | None) -> None:
        """Bring the memory up to date and write it."""
        memory = self.memory
        memory.network = _copied(self.network)
        if parts is not None:
            memory.optimiser = plain(parts.learner.opt.state_dict())
            if parts.average is not None:
                memory.average, memory.average_steps = parts.average.weights, parts.average.steps
        self.work.save(memory)

    def _halve(self, error: RuntimeError | MemoryError) -> None:
        """Halve the batch and go back to what is remembered; anything but lack of memory is passed on."""
        out_of_memory = isinstance(error, MemoryError) or is_out_of_memory(error)
        position = self.memory.position
        if not out_of_memory or position.batch == 1:
            raise DeviceError(f"training failed on {self.work.device} ({brief(unwrapped(error))}).") from error
        position.batch = max(1, position.batch // 2)
        self._parts = None
        gc.collect()
        if self.work.device.type == "cuda":
            torch.cuda.empty_cache()
        self.network.load_state_dict(self.memory.network)
        self.work.emit(Warned(f"Memory ran out; the batch is {position.batch} tiles from here on."))


def distribute(parts: Parts, share: Share) -> None:
    """Average gradients over the processes that train together, through fastai's support of accelerate."""
    if share.processes == 1:
        return
    try:
        from semclass_training.distributed import Together
    except (ImportError, NameError) as error:  # fastai's module names what it could not import
        raise SettingsError(
            "Training in several processes needs accelerate: pip install 'napari-semclass[distributed]'."
        ) from error

    parts.learner.add_cb(Together())


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _on_device(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _on_device(inner, device) for key, inner in value.items()}
    return [_on_device(inner, device) for inner in value] if isinstance(value, list) else value
