"""The fastai Learner on a timm network: parameter groups by depth, loss, optimiser, callbacks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import fastai.callback.schedule  # noqa: F401 - gives Learner its fit_one_cycle and lr_find
import torch
from fastai.callback.core import TrainEvalCallback
from fastai.callback.mixup import MixUp
from fastai.callback.training import GradientClip
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat, LabelSmoothingCrossEntropyFlat
from fastai.optimizer import Adam
from torch import Tensor, nn

from napari_semclass.learn.plan import Plan
from napari_semclass.model.device import fast_precision
from semclass_training.callbacks import Average, Follow, Precision, StillNorm
from semclass_training.loaders import TileLoader

_PART = re.compile(r"[^.]+(\.\d+)?")  # such as `stem` and `stages.0`


@dataclass(frozen=True, eq=False)
class Parts:
    """A Learner and those of its callbacks that the stages talk to."""

    learner: Any
    still: StillNorm
    follow: Follow
    average: Average | None


def make_learner(
    plan: Plan, network: nn.Module, loaders: Sequence[TileLoader], follow: Follow, loss_weights: Tensor | None
) -> Parts:
    """Put a network, its batches and the plan's settings into a fastai Learner.

    Parameters
    ----------
    plan : Plan
    network : nn.Module
        A timm network on its device.
    loaders : (training, validation)
        The validation loader may have no tiles.
    follow : Follow
    loss_weights : Tensor (categories,) or None
    """
    device = loaders[0].device
    still = StillNorm(always=plan.norm == "frozen")
    average = Average(plan.ema) if plan.ema else None
    callbacks: list[Any] = [TrainEvalCallback(), Precision(device, fast_precision(device)), still, follow]
    callbacks += [average] if average else []
    callbacks += [GradientClip(plan.clip)] if plan.clip else []
    callbacks += [MixUp(plan.mixup)] if plan.mixup else []
    learner = Learner(
        DataLoaders(*loaders, device=device),
        network,
        loss_func=_loss(plan, loss_weights),
        opt_func=partial(Adam, decouple_wd=True),
        splitter=parameter_groups,
        wd=plan.weight_decay,
        train_bn=False,  # else frozen BatchNorm would learn on, and features found before would no longer hold
        default_cbs=False,
        cbs=callbacks,
    )
    learner.create_opt()
    return Parts(learner, still, follow, average)


def parameter_groups(network: nn.Module) -> list[list[nn.Parameter]]:
    """Parameters from the network's first layers to its last ones, the classifier alone at the end."""
    bare = network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network
    named = dict(bare.named_parameters())
    classifier = {id(parameter) for parameter in bare.get_classifier().parameters()}  # type: ignore[operator]
    layers = _layers(bare)
    groups = [[named[name] for name in names if id(named[name]) not in classifier] for names in layers]
    return [group for group in groups if group] + [[p for p in bare.parameters() if id(p) in classifier]]


def _layers(network: nn.Module) -> list[list[str]]:
    """Names of parameters by layer, as timm divides them, else by the parts that the network is made of."""
    from timm.models import group_parameters

    try:
        return list(group_parameters(network, network.group_matcher(coarse=True)).values())  # type: ignore[operator]
    except (AttributeError, AssertionError):  # it has no such method, or one that is not finished
        parts: dict[str, list[str]] = {}
        for name, _ in network.named_parameters():
            parts.setdefault(_PART.match(name)[0], []).append(name)  # type: ignore[index]  # any name has a first part
        return list(parts.values())


def unfreeze(parts: Parts, plan: Plan) -> None:
    """Let the plan's groups of layers learn."""
    groups = len(parts.learner.opt.param_lists)
    parts.learner.freeze_to(-min(plan.learned_groups, groups) if plan.learned_groups else 0)


def body_of(network: nn.Module) -> nn.ModuleList:
    """All of a network but its classifier."""
    head = network.get_classifier()  # type: ignore[operator]
    return nn.ModuleList(child for child in network.children() if child is not head and head not in child.modules())


def rates(plan: Plan, lr: float) -> slice:
    """Discriminative learning rates from the first layers to the classifier, as fastai takes them."""
    return slice(lr * plan.body_rate, lr)


def plain(value: Any) -> Any:
    """An optimiser's state in plain containers, so that a checkpoint can be read without running code."""
    if isinstance(value, Tensor | bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return float(value)  # NumPy's floats are Python's, too, but are not read back without running code
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if hasattr(value, "__iter__"):
        return [plain(inner) for inner in value]
    return float(value)


def loss_weights(plan: Plan, counts: Sequence[int], device: torch.device) -> Tensor | None:
    """Weight of each category in the loss, mean 1 over the tiles; None where the plan wants none."""
    if plan.balance != "weights":
        return None
    each = torch.tensor([1.0 / max(1, count) for count in counts])
    return (each * sum(counts) / (each * torch.tensor(counts)).sum()).to(device)


def _loss(plan: Plan, weights: Tensor | None) -> Any:
    if plan.label_smoothing:
        return LabelSmoothingCrossEntropyFlat(eps=plan.label_smoothing, weight=weights)
    return CrossEntropyLossFlat(weight=weights)
