"""Building timm's networks for pictures of a size, taking weights to another size, and refusing what cannot be."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from napari_semclass.errors import ModelError, SettingsError, brief

_BIAS_TABLE = "relative_position_bias_table"
_POSITIONS = "pos_embed"
_STEPS = (14, 16, 32)  # sides of patches and total strides, of which a picture may have to be a multiple
_SMALLEST, _LARGEST = 16, 2048
_TRIAL_CATEGORIES = 3


def build_network(
    backbone: str,
    categories: int,
    source: str = "the card",
    *,
    size: int | None = None,
    fixed: bool = False,
    weights: str = "",
) -> nn.Module:
    """Build a timm network with random weights, or those of a file of timm's, in evaluation mode.

    Parameters
    ----------
    backbone : str
        timm's name of it.
    categories : int
        Number of outputs.
    source : str
        Who asks for it, for the message.
    size : int or None
        Side of the pictures that it is for, in pixels. Networks whose parameters do not depend on the size take other
        sizes, too; None is timm's own size.
    fixed : bool
        Build it for this size alone where that changes nothing but its position embeddings, which other programs could
        not resample.
    weights : str
        File of weights as timm distributes them; empty for random ones.

    Raises
    ------
    ModelError
        When timm does not know the backbone, cannot build it, or cannot use the weights for it.
    """
    _refuse_unknown(backbone, source)
    try:
        settings = _fixed_settings(backbone, size) if fixed and size else _settings(backbone, size)
        return _created(backbone, categories, settings, weights).eval()
    except Exception as error:  # a known name with an unknown tag, and assertions of many kinds
        raise ModelError(f"{source}: timm cannot build the backbone {backbone!r} ({brief(error)}).") from error


def network_at(network: nn.Module, backbone: str, old: int, size: int) -> nn.Module:
    """Return the network for pictures of another size: itself, or one with position tables that are resampled.

    Raises
    ------
    ModelError
        When its parameters cannot be brought to that size; see `refuse_sizes`.
    """
    if _settings(backbone, old) == _settings(backbone, size):
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
    _refuse_unknown(backbone, source)
    wanted = sorted(set(sizes))
    failures = {size: fault for size in wanted if (fault := _fault(backbone, size))}
    if any(fault == _HEAD for fault in failures.values()):
        raise SettingsError(f"{source}: {backbone} {_HEAD}; choose another backbone.")
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


def classifier_of(network: nn.Module) -> nn.Linear:
    """The linear classifier that a network ends in.

    Raises
    ------
    SettingsError
        When it ends in something else.
    """
    classifier = network.get_classifier()  # type: ignore[operator]
    if not isinstance(classifier, nn.Linear):
        raise SettingsError(f"the network {_HEAD}; choose another backbone.")
    return classifier


def own_size(backbone: str) -> int:
    """Side of the pictures that timm made a backbone for, in pixels."""
    config: Any = _skeleton(backbone, ()).pretrained_cfg
    return int(config["input_size"][-1])


_HEAD = "does not end in one linear classifier, which is what is fitted and calibrated here"


def _refuse_unknown(backbone: str, source: str) -> None:
    import timm

    if not timm.is_model(backbone):  # also keeps timm from reading `hf-hub:` names as an order to download
        raise ModelError(f"{source}: the backbone {backbone!r} is not one that timm {timm.__version__} knows.")
    try:
        _skeleton(backbone, ())
    except Exception as error:  # a known name with an unknown tag, among others
        raise ModelError(f"{source}: timm cannot build the backbone {backbone!r} ({brief(error)}).") from error


_Settings = tuple[tuple[str, Any], ...]


def _created(backbone: str, categories: int, settings: _Settings, weights: str = "") -> nn.Module:
    import timm

    told = dict(settings)
    if weights:
        told |= {"pretrained": True, "pretrained_cfg_overlay": {"file": weights}}
    network: nn.Module = timm.create_model(backbone, num_classes=categories, **told)
    return network


@lru_cache(maxsize=64)
def _skeleton(backbone: str, settings: _Settings) -> nn.Module:
    """The network on the meta device, where nothing is allocated; not to be changed."""
    with torch.device("meta"):
        return _created(backbone, _TRIAL_CATEGORIES, settings).eval()


@lru_cache(maxsize=256)
def _takes(backbone: str, setting: str) -> bool:
    """Whether timm's constructor of a backbone knows a setting."""
    try:
        _skeleton(backbone, ((setting, own_size(backbone) if setting == "img_size" else True),))
    except TypeError:
        return False
    except Exception:  # a value that it does not like is of a setting that it knows
        return setting != "img_size"
    return True


@lru_cache(maxsize=256)
def _settings(backbone: str, size: int | None) -> _Settings:
    """What timm's constructor is told, which follows from backbone and size alone, so that no file has to say it."""
    if _takes(backbone, "dynamic_img_size"):
        return (("dynamic_img_size", True),)
    if size is None or size == own_size(backbone) or not _takes(backbone, "img_size"):
        return ()
    return () if _computes(backbone, (), size) else (("img_size", size),)


@lru_cache(maxsize=64)
def _fixed_settings(backbone: str, size: int) -> _Settings:
    settings = _settings(backbone, size)
    if settings != (("dynamic_img_size", True),):
        return settings
    fixed = (("dynamic_img_size", False), ("img_size", size))
    try:
        before, after = _skeleton(backbone, settings).state_dict(), _skeleton(backbone, fixed).state_dict()
    except Exception:  # a size that only the other takes
        return settings
    changed = {name for name in before if name not in after or before[name].shape != after[name].shape}
    return fixed if before.keys() == after.keys() and changed <= {_POSITIONS} else settings


@lru_cache(maxsize=1024)
def _fault(backbone: str, size: int) -> str:
    """Why a backbone cannot be used at a size; empty where it can."""
    try:
        network = _skeleton(backbone, _settings(backbone, size))
    except Exception as error:  # timm's constructors raise whatever they like
        return brief(error)
    if not isinstance(network.get_classifier(), nn.Linear):  # type: ignore[operator]
        return _HEAD
    return "" if _computes(backbone, _settings(backbone, size), size) else "its forward pass fails"


def _computes(backbone: str, settings: _Settings, size: int) -> bool:
    """Whether it makes features and scores of pictures of a size; no number is computed, only shapes."""
    try:
        network: Any = _skeleton(backbone, settings)
        pictures = torch.empty(2, 3, size, size, device="meta")
        with torch.no_grad():
            features = network.forward_head(network.forward_features(pictures), pre_logits=True)
            scores = network(pictures)
        width = getattr(network.get_classifier(), "in_features", features.shape[-1])
    except Exception:  # assertions, shapes that do not fit, and kernels larger than what is left of the picture
        return False
    return isinstance(scores, Tensor) and scores.shape == (2, _TRIAL_CATEGORIES) and features.shape == (2, width)


def _carries(backbone: str, old: int, size: int) -> bool:
    """Whether weights learned at one size can be taken to another."""
    before, after = _settings(backbone, old), _settings(backbone, size)
    if before == after:
        return True
    skeleton = _skeleton(backbone, after)
    try:
        found = resampled(_skeleton(backbone, before).state_dict(), skeleton)
    except Exception:  # whatever timm raises at tables that it cannot resample
        return False
    wanted = skeleton.state_dict()
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
