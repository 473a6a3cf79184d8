"""Reads weights without executing anything, and puts them on a timm network, its classifier left out."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as dump_tensors
from torch import Tensor, nn

from napari_semclass.errors import ModelError
from napari_semclass.model.file import METADATA_KEY
from napari_semclass.model.tensors import read_weights
from napari_semclass.writing import replacing

_NOT_STORED = "num_batches_tracked"
_SOURCE_KEY = "made_from_sha256"


def is_model_file(path: Path) -> bool:
    """Whether a safetensors file holds a model of this program, with its card."""
    return METADATA_KEY in _metadata(path)


def read_weights_once(path: Path) -> dict[str, Tensor]:
    """Like `read_weights`, but the pickled file is only read the first time: a safetensors copy is kept beside it.

    Raises
    ------
    ModelError
        As `read_weights`.
    OutputError
        When the copy cannot be written.
    """
    copy = path.with_suffix(".safetensors")
    sha256 = file_sha256(path)
    if copy.is_file() and _metadata(copy).get(_SOURCE_KEY) == sha256:
        return read_weights(copy)
    tensors = {name: value.contiguous().clone() for name, value in read_weights(path).items()}
    with replacing(copy) as temporary:
        temporary.write_bytes(dump_tensors(tensors, metadata={_SOURCE_KEY: sha256}))
    return tensors


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put_weights(network: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Copy weights to everything of a timm network but its classifier, which stays as it is.

    Raises
    ------
    ModelError
        When tensors are missing, left over, of another shape or not finite.
    """
    config: Any = network.pretrained_cfg
    heads = config["classifier"] if isinstance(config["classifier"], tuple) else (config["classifier"],)
    skipped = tuple(f"{head}." for head in heads)
    wanted = {name: value for name, value in network.state_dict().items() if not _beside(name, skipped)}
    found = {name: value for name, value in weights.items() if not _beside(name, skipped)}
    advice = f"these are not weights of {config['architecture']} as timm builds it"
    for name, value in wanted.items():
        if name not in found:
            raise ModelError(f"{source}: the tensor {name!r} is missing; {advice}.")
        if found[name].shape != value.shape:
            shapes = f"{tuple(found[name].shape)} instead of {tuple(value.shape)}"
            raise ModelError(f"{source}: the tensor {name!r} has the shape {shapes}; {advice}.")
        if not torch.isfinite(found[name].float()).all():
            raise ModelError(f"{source}: the tensor {name!r} holds NaN or infinity; the file is damaged.")
    if left_over := sorted(set(found) - set(wanted)):
        raise ModelError(f"{source}: the tensor {left_over[0]!r} belongs to another network; {advice}.")
    network.load_state_dict({name: value.float() for name, value in found.items()}, strict=False)


def _beside(name: str, skipped: tuple[str, ...]) -> bool:
    return name.startswith(skipped) or name.endswith(_NOT_STORED)


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}
