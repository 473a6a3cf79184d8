"""Reads tensors that other programs saved, without executing anything."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load as load_tensors
from torch import Tensor

from napari_semclass.errors import ModelError, brief

# What training scripts call the state dict in their checkpoints, and what wrappers put before all names in it.
_KEYS = ("model_state_dict", "state_dict", "model", "net", "network", "weights")
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors of a safetensors file or of a state dict that torch saved (`.pth`, `.pt`, `.pth.tar`).

    A state dict may lie under `state_dict`, `model` or the like, as training scripts leave it, and all of its names may
    begin with `module.` (parallel training), `_orig_mod.` (torch.compile) or `model.` (Lightning), in any order.

    Raises
    ------
    ModelError
        Not to be opened, damaged, or with anything but tensors in it.
    """
    try:
        if path.suffix == ".safetensors":
            return _bare_names(load_tensors(path.read_bytes()))
        content = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: no weights can be read from it; it is damaged, or a pickle of something else than tensors."
        ) from error
    except Exception as error:  # safetensors and torch raise anything on damaged files
        raise ModelError(f"{path}: no weights can be read from it ({brief(error)}).") from error
    for key in _KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(f"{path}: holds something else than named tensors; save the network's state_dict() instead.")
    return _bare_names(content)


def _bare_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by their names in the network itself."""
    found = {re.sub(r"^(features\.)?module\.", r"\1", str(name)): value for name, value in tensors.items()}
    while prefix := next((p for p in _PREFIXES if found and all(name.startswith(p) for name in found)), ""):
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found
