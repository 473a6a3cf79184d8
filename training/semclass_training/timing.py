"""How long a run will take, measured on a few batches of every stage before it begins."""

import copy
import time

import numpy as np
import torch
from torch import nn

from napari_semclass.learn.plan import Plan, Stage
from napari_semclass.learn.tiles import Samples
from napari_semclass.model import Card
from napari_semclass.model.device import fast_precision
from napari_semclass.model.input_sizes import network_at
from semclass_training.augment import Augment
from semclass_training.learner import parameter_groups
from semclass_training.loaders import TileLoader, resized
from semclass_training.prepare import Prepared, at_size, features_where_they_lie

_TRIALS = 3
# The first pass of a size prepares kernels and buffers and tells nothing of the others.
_WARM_UP = 1
_LOOKED_AT = 100  # neighbours, so that what they share is shared


def predicted_minutes(
    plan: Plan, network: nn.Module, card: Card, training: Samples, held_out: int, device: torch.device
) -> list[float]:
    """Minutes of each stage of the plan, validation on `held_out` tiles included; the network stays as it is."""
    trial = copy.deepcopy(network)
    cards = [at_size(card, stage.size) for stage in plan.stages]
    minutes, size = [], card.input_size
    for stage, of_size in zip(plan.stages, cards, strict=True):
        trial, size = network_at(trial, card.backbone, size, stage.size), stage.size
        minutes.append(_minutes(plan, stage, trial, of_size, training, held_out, device))
    if plan.head == "linear" and plan.stages:  # all tiles once, as they are validated at the last size
        loader = _loader(plan, plan.stages[-1], card, training, device)
        minutes[0] += len(training) * _seconds_per_tile(trial, loader, []) / 60
    return minutes


def looking_minutes(network: nn.Module, card: Card, prepared: Prepared, device: torch.device) -> float:
    """Minutes of a look at every tile, learned from or held out, as classifying will; measured on some neighbours."""
    training, held_out = prepared.training, prepared.validation
    together = (training.pictures == training.pictures[0]) & (training.planes == training.planes[0])
    one = training.at(np.flatnonzero(together)[:_LOOKED_AT])
    taken = []
    for _ in range(1 + _WARM_UP):
        begun = time.perf_counter()
        features_where_they_lie(network, card, prepared, one, device)
        taken.append(time.perf_counter() - begun)
    tiles = len(training) + (len(held_out) if held_out is not None else 0)
    return taken[-1] / len(one) * tiles / 60


def _loader(plan: Plan, stage: Stage, card: Card, training: Samples, device: torch.device) -> TileLoader:
    """A few batches of a stage."""
    wanted = min(len(training), stage.batch * (_TRIALS + _WARM_UP))
    return TileLoader(
        resized(training.pixels[:wanted], stage.size),
        torch.from_numpy(training.labels[:wanted]),
        card,
        min(stage.batch, wanted),
        device,
        augment=Augment(plan.augmentation),
    )


def _minutes(
    plan: Plan, stage: Stage, network: nn.Module, card: Card, training: Samples, held_out: int, device: torch.device
) -> float:
    loader = _loader(plan, stage, card, training, device)
    groups = parameter_groups(network)
    learned = {True: groups[-1:], False: groups[-plan.learned_groups :], None: []}
    per_tile = {frozen: _seconds_per_tile(network, loader, learned[frozen]) for frozen in (True, False)}
    checked = _seconds_per_tile(network, loader, learned[None])
    epochs = {True: stage.frozen_epochs, False: stage.epochs}
    seconds = sum(epochs[frozen] * (len(training) * per_tile[frozen] + held_out * checked) for frozen in epochs)
    return seconds / 60


def _seconds_per_tile(network: nn.Module, loader: TileLoader, learned: list[list[nn.Parameter]]) -> float:
    """Seconds per tile when these groups of layers learn, or of evaluation when none do."""
    network.eval().requires_grad_(False)
    for group in learned:
        for parameter in group:
            parameter.requires_grad_(True)
    taken, tiles = [], 0
    begun = time.perf_counter()
    for number, (batch, labels) in enumerate(loader):
        _step(network, batch, labels, learn=bool(learned))
        if batch.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        taken.append(now - begun)  # drawing and varying the batch included
        begun, tiles = now, len(batch)
        if number == _TRIALS:
            break
    best = sorted(taken[_WARM_UP:] or taken)
    return best[len(best) // 2] / tiles


def _step(network: nn.Module, batch: torch.Tensor, labels: torch.Tensor, *, learn: bool) -> None:
    precision = fast_precision(batch.device)
    with (
        torch.set_grad_enabled(learn),
        torch.autocast(batch.device.type, dtype=precision, enabled=precision != torch.float32),
    ):
        loss = torch.nn.functional.cross_entropy(network(batch).float(), labels)
    if learn:
        torch.autograd.backward(loss)
        network.zero_grad(set_to_none=True)
