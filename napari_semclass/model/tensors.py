"""Reads tensors that other programs saved, without executing anything."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load as load_tensors
from torch import Tensor

from napari_semclass.errors import ModelError, brief


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors of a safetensors file or of a state dict that torch saved (`.pth`, `.pt`, `.pth.tar`).

    A state dict may lie under `state_dict` or `model`, as training scripts leave it, and have been saved from parallel
    training, with `module.` in its names.

    Raises
    ------
    ModelError
        Not to be opened, damaged, or with anything but tensors in it.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_tensors(path.read_bytes()))
        content = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: no weights can be read from it; it is damaged, or a pickle of something else than tensors."
        ) from error
    except Exception as error:  # safetensors and torch raise anything on damaged files
        raise ModelError(f"{path}: no weights can be read from it ({brief(error)}).") from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(f"{path}: holds something else than named tensors; save the network's state_dict() instead.")
    return {re.sub(r"^(features\.)?module\.", r"\1", str(name)): value for name, value in content.items()}
