"""Import: weights that timm or torchvision trained, and a list of categories, become a model of this program."""

import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_semclass.annotate.categories import PALETTE
from napari_semclass.errors import ModelError, OutputError, SettingsError
from napari_semclass.exchange.agreement import generated_tiles
from napari_semclass.exchange.torchvision_names import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Original,
    original_of,
    timm_name,
)
from napari_semclass.model import Card, Category, Model, Preprocessing, build_network, save_model
from napari_semclass.model.backbone import own_size, refuse_unknown
from napari_semclass.model.card import card_name
from napari_semclass.model.input_sizes import refuse_size
from napari_semclass.model.tensors import read_weights
from napari_semclass.names import key, printable, text_of_path, trimmed

_NOT_STORED = "num_batches_tracked"
_SHOWN = 4


@dataclass(frozen=True, eq=False)
class Imported:
    """A model made of other programs' weights.

    Attributes
    ----------
    model
        As read back from its file.
    grey_difference
        Largest change of a probability, on generated tiles, because grey tiles are standardised with one mean and one
        standard deviation where the weights were trained with one for each channel; None when these were not given.
    torchvision
        torchvision's name of the network that the weights fit; empty when they are not torchvision's.
    torchvision_difference
        Largest difference of a logit from that network's, on generated pictures, as a share of the largest logit where
        that is above 1; None without such a network.
    """

    model: Model
    grey_difference: float | None
    torchvision: str = ""
    torchvision_difference: float | None = None


def import_weights(
    weights: str | Path,
    out: str | Path,
    *,
    backbone: str,
    categories: Sequence[str],
    tile: int | None = None,
    input_size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    title: str = "",
    overwrite: bool = False,
) -> Imported:
    """Make a model file of a checkpoint with its classifier, and a list of categories.

    Parameters
    ----------
    weights : str or Path
        A safetensors file, or a state dict that `torch.save` wrote; only tensors are read, nothing is executed.
    out : str or Path
        Model file to write (`.safetensors`); tensors keep their precision.
    backbone : str
        timm's name of the network, or torchvision's. Weights of torchvision's networks are recognised by the names of
        their tensors, translated, and compared with torchvision's network.
    categories : sequence of str
        In the order of the network's outputs.
    tile, input_size : int or None
        Side of a tile in source pixels, and of the network's input; None takes the input size, and timm's, or
        torchvision's for weights that only torchvision's network fits.
    mean, std : sequence of 0, 1 or 3 floats
        What grey levels in [0, 1] were standardised with in training. Of three (one a channel) the average is used,
        as the network is given the same grey level three times; without any, timm's for the backbone
        or torchvision's.
    title : str
        What viewers call the model; empty takes the name of `out`.
    overwrite : bool
        Replace `out`.

    Raises
    ------
    SettingsError
        Categories, tile, input size, mean or standard deviation that make no model.
    ModelError
        Weights that cannot be read without executing code, or that do not fit the backbone; says which tensors.
        A network that timm does not have, or that answers otherwise than torchvision's.
    OutputError
        When `out` is there already, or cannot be written.
    """
    weights, out = Path(weights), Path(out)
    if out.exists() and not overwrite:
        raise OutputError(f"{out}: is there already; choose another --out, or use --overwrite.")
    names = _names(categories)
    tensors = _read(weights)
    backbone = timm_name(backbone)
    original = original_of(backbone, tensors)
    if original is not None:
        backbone = original.backbone
    refuse_unknown(backbone, "the import")
    size = input_size or (original.size if original is not None and original.renamed else own_size(backbone))
    refuse_size(backbone, size, "the import")
    with torch.device("meta"):
        skeleton = build_network(backbone, len(names), "the import", size=size)
    config: Any = skeleton.pretrained_cfg
    if original is not None:
        tensors = original.translated(skeleton)
        if original.renamed:
            config = config | {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    means, stds = (_channels(key, given, config[key]) for key, given in (("mean", mean), ("std", std)))
    steps = Preprocessing(mean=round(float(np.mean(means)), 6), std=round(float(np.mean(stds)), 6))
    tensors = _fitted(weights, skeleton, tensors, names)
    network = build_network(backbone, len(names), "the import", size=size)
    network.load_state_dict({name: value.float() for name, value in tensors.items()}, strict=False)
    card = _checked_card(
        name=card_name(text_of_path(out.stem)),
        title=printable(title) or text_of_path(out.stem)[:200],
        description=f"Imported from {weights.name}, which another program trained. Not tested here.",
        categories=tuple(Category(name, PALETTE[i % len(PALETTE)]) for i, name in enumerate(names)),
        backbone=backbone,
        unit="tile",
        tile=tile or size,
        input_size=size,
        preprocessing=steps,
    )
    difference = original.difference(network, size, steps.mean, steps.std) if original else None
    card = replace(card, provenance=_provenance(weights, original, difference))
    model = save_model(network, card, out, half=False)
    given = len(mean) == 3 or len(std) == 3
    change = _grey_difference(model, means, stds) if given else None
    return Imported(model, change, original.name if original else "", difference)


def _provenance(weights: Path, original: Original | None, difference: float | None) -> str:
    source = f"Weights of {weights.name} (SHA-256 {_sha256(weights)}), imported"
    if original is None:
        return f"{source} unchanged."
    return (
        f"{source} from torchvision's {original.name}; logits differ from those of torchvision's network by at most "
        f"{difference:.2g} on generated pictures."
    )


def _names(categories: Sequence[str]) -> list[str]:
    names = [trimmed(name) for name in categories]
    if len(names) < 2 or not all(names) or len({key(name) for name in names}) < len(names):
        listed = ", ".join(names) or "nothing"
        raise SettingsError(f"--categories {listed}: name at least two categories, each once and none empty.")
    return names


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return read_weights(path)
    except ModelError as error:
        # Only what torch names as safe to allow is a pickle of that kind; other words of it are about damage.
        if not isinstance(error.__cause__, pickle.UnpicklingError) or "safe_globals" not in str(error.__cause__):
            raise
        raise ModelError(
            f"{path}: is a pickle with more than tensors in it (such as fastai's export.pkl), which can run any code "
            "when it is opened, so it is not read; if you trust who made it, python -m semclass_training.convert "
            "makes a safetensors file of it."
        ) from error


def _channels(key: str, given: Sequence[float], usual: Sequence[float]) -> list[float]:
    """One number for each of three channels."""
    if len(given) not in (0, 1, 3):
        raise SettingsError(f"--{key} has {len(given)} numbers; give one, or one for each of three channels.")
    values = list(given) * 3 if len(given) == 1 else list(given or usual)
    if key == "std" and min(values) < 1e-3:
        raise SettingsError(f"--std {min(values):g} is impossible; give at least 0.001, for grey levels in [0, 1].")
    return values


def _fitted(path: Path, skeleton: nn.Module, found: dict[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """The tensors as the network takes them: all of them, in its shapes."""
    config: Any = skeleton.pretrained_cfg
    wanted = {name: value for name, value in skeleton.state_dict().items() if not name.endswith(_NOT_STORED)}
    found = {name: value for name, value in found.items() if not name.endswith(_NOT_STORED)}
    for layer in _several(config["first_conv"]):
        name = f"{layer}.weight"
        if name in found and name in wanted and found[name].shape[1:2] == (1,) != wanted[name].shape[1:2]:
            # Trained on one channel: a third of its weights on each of three equal channels is the same sum.
            channels = wanted[name].shape[1]
            found[name] = found[name].float().expand(-1, channels, *[-1] * (found[name].dim() - 2)) / channels
    for layer in _several(config["classifier"]):
        outputs = found.get(f"{layer}.weight", wanted[f"{layer}.weight"]).shape[0]
        if outputs != len(names):
            raise ModelError(f"{path}: has {outputs} outputs, but {len(names)} categories were named.")
    missing = [name for name in wanted if name not in found]
    left_over = [name for name in found if name not in wanted]
    shapes = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in found and found[name].shape != value.shape
    ]
    faults = {"missing": missing, "left over": left_over, "of another shape": shapes}
    if any(faults.values()):
        listed = "; ".join(f"{what}: {_some(which)}" for what, which in faults.items() if which)
        raise ModelError(
            f"{path}: does not hold the tensors of {config['architecture']} as timm builds it ({listed}); "
            "name the network that was trained, with its classifier."
        )
    unsound = [name for name, value in found.items() if not torch.isfinite(value.float()).all()]
    if unsound:
        raise ModelError(f"{path}: NaN or infinity in {_some(unsound)}; the file is damaged.")
    return found


def _several(layers: str | Sequence[str]) -> Sequence[str]:
    return (layers,) if isinstance(layers, str) else layers


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _checked_card(**fields: Any) -> Card:
    try:
        return Card(**fields)
    except ValueError as error:
        first = error.errors()[0] if hasattr(error, "errors") else {"loc": (), "msg": str(error)}
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"no model can be made of this ({where}: {first['msg']}).") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _grey_difference(model: Model, means: Sequence[float], stds: Sequence[float]) -> float:
    tiles = torch.from_numpy(generated_tiles(model.card.input_size))
    mean, std = (torch.tensor(values)[:, None, None] for values in (means, stds))
    with torch.inference_mode():
        exact = torch.softmax(model.network((tiles.expand(-1, 3, -1, -1) - mean) / std), dim=1)
        return float((exact - model.probabilities(tiles[:, 0])).abs().max())
