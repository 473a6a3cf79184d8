"""Which sizes of pictures a network can be used at, and how its weights are taken from one size to another."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from napari_semclass.errors import ModelError, SettingsError, brief
from napari_semclass.model.backbone import (
    OTHER_HEAD,
    build_network,
    classifier_of,
    computes,
    own_size,
    refuse_unknown,
    settings_for,
    skeleton,
)

_POSITIONS = "pos_embed"
_BIAS_TABLE = "relative_position_bias_table"
_STEPS = (14, 16, 32)  # sides of patches and total strides, of which a picture may have to be a multiple
_SMALLEST, _LARGEST = 16, 2048


def network_at(network: nn.Module, backbone: str, old: int, size: int) -> nn.Module:
    """Return the network for pictures of another size: itself, or one with position tables that are resampled.

    Raises
    ------
    ModelError
        When its parameters cannot be brought to that size; see `refuse_sizes`.
    """
    if settings_for(backbone, old) == settings_for(backbone, size):
        return network
    weight, training = next(network.parameters()), network.training
    other = build_network(backbone, classifier_of(network).out_features, "the plan", size=size)
    try:
        other.load_state_dict(resampled(network.state_dict(), other))
    except RuntimeError as error:
        raise ModelError(f"{backbone}: its weights cannot be brought to {size} px ({brief(error)}).") from error
    other.train(training).to(weight.device)
    learned = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    for name, parameter in other.named_parameters():
        parameter.requires_grad_(name in learned)
    return other if weight.device.type == "mps" else other.to(memory_format=torch.channels_last)


def resampled(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Resample tables of positions to the shapes that a network of another input size has; the rest stays as it is."""
    wanted = network.state_dict()
    return {
        name: value if name not in wanted or wanted[name].shape == value.shape else _table(name, value, network)
        for name, value in weights.items()
    }


def refuse_sizes(backbone: str, sizes: Iterable[int], source: str) -> None:
    """Refuse a backbone that cannot classify pictures of these sizes, one after another.

    It is tried without weights and without memory for them, which takes a second at most for each size.

    Raises
    ------
    ModelError
        When timm does not know the backbone.
    SettingsError
        When it does not end in one linear classifier, cannot compute one of the sizes, or cannot go from one to the
        other; says which sizes are possible.
    """
    refuse_unknown(backbone, source)
    wanted = sorted(set(sizes))
    failures = {size: fault for size in wanted if (fault := _fault(backbone, size))}
    if any(fault == OTHER_HEAD for fault in failures.values()):
        raise SettingsError(f"{source}: {backbone} {OTHER_HEAD}; choose another backbone.")
    if failures:
        near = list(dict.fromkeys(_nearest(backbone, size) for size in failures))
        advice = f"the nearest that it can: {_listed(near)} px" if all(near) else "choose another backbone"
        raise SettingsError(f"{source}: {backbone} cannot compute pictures of {_listed(failures)} px; {advice}.")
    if not all(_carries(backbone, wanted[0], size) for size in wanted[1:]):
        own = own_size(backbone)
        raise SettingsError(
            f"{source}: {backbone} learns at one size only, as its parameters depend on it, and {_listed(wanted)} px "
            f"are wanted; give all stages one size, such as {own if not _fault(backbone, own) else wanted[-1]} px."
        )


def refuse_size(backbone: str, size: int, source: str) -> None:
    """Refuse a backbone that cannot compute pictures of a size, whatever it ends in.

    Raises
    ------
    ModelError
        When timm does not know the backbone.
    SettingsError
        When it cannot compute that size; says which sizes it can.
    """
    refuse_unknown(backbone, source)
    if not _SMALLEST <= size <= _LARGEST or not computes(backbone, settings_for(backbone, size), size):
        near = _nearest(backbone, size) or own_size(backbone)
        raise SettingsError(
            f"{source}: {backbone} cannot compute pictures of {size} px; the nearest that it can: {near} px."
        )


@lru_cache(maxsize=1024)
def _fault(backbone: str, size: int) -> str:
    """Why a backbone cannot be used at a size; empty where it can."""
    try:
        network = skeleton(backbone, settings_for(backbone, size))
    except Exception as error:  # timm's constructors raise whatever they like
        return brief(error)
    # timm's encoders of language models have no such method.
    classifier = network.get_classifier() if hasattr(network, "get_classifier") else None  # type: ignore[operator]
    if not isinstance(classifier, nn.Linear) or classifier.bias is None:
        return OTHER_HEAD
    if not _features_fit(network, classifier.in_features, size):
        return OTHER_HEAD
    return "" if computes(backbone, settings_for(backbone, size), size) else "its forward pass fails"


def _features_fit(network: Any, width: int, size: int) -> bool:
    """Whether what comes before the classifier is what it takes; pictures that cannot be computed decide nothing."""
    try:
        with torch.no_grad():
            before = network.forward_features(torch.empty(2, 3, size, size, device="meta"))
            return bool(network.forward_head(before, pre_logits=True).shape == (2, width))
    except Exception:  # as of pictures that are too small
        return True


def _carries(backbone: str, old: int, size: int) -> bool:
    """Whether weights learned at one size can be taken to another."""
    before, after = settings_for(backbone, old), settings_for(backbone, size)
    if before == after:
        return True
    network = skeleton(backbone, after)
    try:
        found = resampled(skeleton(backbone, before).state_dict(), network)
    except Exception:  # whatever timm raises at tables that it cannot resample
        return False
    wanted = network.state_dict()
    return {n: v.shape for n, v in found.items()} == {n: v.shape for n, v in wanted.items()}


def _table(name: str, value: Tensor, network: nn.Module) -> Tensor:
    """A table of positions in the shape that a network has it; unchanged where none is known by this name."""
    from timm.layers import resample_abs_pos_embed, resize_rel_pos_bias_table

    parent, _, last = name.rpartition(".")
    shape = network.state_dict()[name].shape
    if last == _BIAS_TABLE:
        window = getattr(network.get_submodule(parent), "window_size", None)
        if window is not None:
            found: Tensor = resize_rel_pos_bias_table(value, new_window_size=window, new_bias_shape=shape)
            return found.reshape(shape)
    if name == _POSITIONS and value.ndim == len(shape) == 3:
        prefix = int(getattr(network, "num_prefix_tokens", 0))
        sides = [math.isqrt(max(0, length - prefix)) for length in (value.shape[1], shape[1])]
        if [side * side + prefix for side in sides] == [value.shape[1], shape[1]]:
            moved: Tensor = resample_abs_pos_embed(
                value, [sides[1]] * 2, [sides[0]] * 2, num_prefix_tokens=prefix, verbose=False
            )
            return moved
    return value


def _nearest(backbone: str, size: int) -> int | None:
    """The nearest size that it computes; None where none is found among multiples of usual patches."""
    multiples = {step * (size // step + more) for step in _STEPS for more in (0, 1)}
    near = sorted(multiples | {own_size(backbone)}, key=lambda side: (abs(side - size), side))
    return next((side for side in near if _SMALLEST <= side <= _LARGEST and not _fault(backbone, side)), None)


def _listed(sizes: Iterable[int | None]) -> str:
    words: Sequence[str] = [str(size) for size in sizes]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
