"""Building timm's networks for pictures of a size; the only place that builds any."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from napari_semclass.errors import ModelError, SettingsError, brief

OTHER_HEAD = "does not end in one linear classifier, which is what is fitted and calibrated here"
_TRIAL_CATEGORIES = 3

Settings = tuple[tuple[str, Any], ...]
"""What timm's constructor of a network is told."""


def build_network(
    backbone: str,
    categories: int,
    source: str = "the card",
    *,
    size: int | None = None,
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
    weights : str
        File of weights as timm distributes them; empty for random ones.

    Raises
    ------
    ModelError
        When timm does not know the backbone, cannot build it, or cannot use the weights for it.
    """
    refuse_unknown(backbone, source)
    try:
        return _created(backbone, categories, settings_for(backbone, size), weights).eval()
    except Exception as error:  # a known name with an unknown tag, and assertions of many kinds
        raise ModelError(f"{source}: timm cannot build the backbone {backbone!r} ({brief(error)}).") from error


def classifier_of(network: nn.Module) -> nn.Linear:
    """The linear classifier that a network ends in.

    Raises
    ------
    SettingsError
        When it ends in something else.
    """
    classifier = network.get_classifier()  # type: ignore[operator]
    if not isinstance(classifier, nn.Linear):
        raise SettingsError(f"the network {OTHER_HEAD}; choose another backbone.")
    return classifier


def own_size(backbone: str) -> int:
    """Side of the pictures that timm made a backbone for, in pixels."""
    config: Any = skeleton(backbone, ()).pretrained_cfg
    return int(config["input_size"][-1])


def is_backbone(name: str) -> bool:
    """Whether timm knows a network by this name."""
    import timm

    return bool(timm.is_model(name))


def refuse_unknown(backbone: str, source: str) -> None:
    """Raise a `ModelError` for a backbone that timm does not know or cannot build."""
    """Raise a `ModelError` for a backbone that timm does not know or cannot build."""
    import timm

    if not is_backbone(backbone):  # also keeps timm from reading `hf-hub:` names as an order to download
        raise ModelError(f"{source}: the backbone {backbone!r} is not one that timm {timm.__version__} knows.")
    try:
        skeleton(backbone, ())
    except Exception as error:  # a known name with an unknown tag, among others
        raise ModelError(f"{source}: timm cannot build the backbone {backbone!r} ({brief(error)}).") from error


def _created(backbone: str, categories: int, settings: Settings, weights: str = "") -> nn.Module:
    import timm

    told = dict(settings)
    if weights:
        told |= {"pretrained": True, "pretrained_cfg_overlay": {"file": weights}}
    network: nn.Module = timm.create_model(backbone, num_classes=categories, **told)
    return network


@lru_cache(maxsize=64)
def skeleton(backbone: str, settings: Settings) -> nn.Module:
    """The network on the meta device, where nothing is allocated; not to be changed."""
    with torch.device("meta"):
        return _created(backbone, _TRIAL_CATEGORIES, settings).eval()


@lru_cache(maxsize=256)
def _takes(backbone: str, setting: str) -> bool:
    """Whether timm's constructor of a backbone knows a setting."""
    try:
        skeleton(backbone, ((setting, own_size(backbone) if setting == "img_size" else True),))
    except TypeError:
        return False
    except Exception:  # a value that it does not like is of a setting that it knows
        return setting != "img_size"
    return True


@lru_cache(maxsize=256)
def settings_for(backbone: str, size: int | None) -> Settings:
    """What timm's constructor is told, which follows from backbone and size alone, so that no file has to say it."""
    if _takes(backbone, "dynamic_img_size"):
        return _dynamic_settings(backbone, size)
    if size is None or size == own_size(backbone) or not _takes(backbone, "img_size"):
        return ()
    return () if computes(backbone, (), size) else (("img_size", size),)


def _dynamic_settings(backbone: str, size: int | None) -> Settings:
    """Of networks that take any size: the size itself, too, where no parameter depends on it (Swin's shifts do)."""
    dynamic: Settings = (("dynamic_img_size", True),)
    if size is None or size == own_size(backbone) or not _takes(backbone, "img_size"):
        return dynamic
    sized = (*dynamic, ("img_size", size))
    try:
        before, after = skeleton(backbone, dynamic).state_dict(), skeleton(backbone, sized).state_dict()
    except Exception:  # timm's constructors raise whatever they like
        return dynamic
    return sized if {n: v.shape for n, v in before.items()} == {n: v.shape for n, v in after.items()} else dynamic


def computes(backbone: str, settings: Settings, size: int) -> bool:
    """Whether it makes scores of pictures of a size; no number is computed, only shapes."""
    try:
        with torch.no_grad():
            scores = skeleton(backbone, settings)(torch.empty(2, 3, size, size, device="meta"))
    except Exception:  # assertions, shapes that do not fit, and kernels larger than what is left of the picture
        return False
    return isinstance(scores, Tensor) and scores.shape == (2, _TRIAL_CATEGORIES)
