"""The dock's action as a command to type: the same files, model and settings."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from napari.layers import Image

from napari_semclass.classify.settings import Settings


def command(layers: Sequence[Image], model: str, settings: Settings) -> str:
    """The `semclass classify …` line for these layers; one not opened from a file stands as `<its name>`."""
    words = ["semclass", "classify", *(_path(layer) for layer in layers), "--out", "semclass-results"]
    words += ["--model", model]
    if settings.mode == "whole":
        words.append("--whole")
    else:
        words += ["--tile", str(settings.tile), "--stride", str(settings.stride)]
    if settings.device != "auto":
        words += ["--device", settings.device]
    if settings.dihedral:
        words.append("--dihedral")
    if settings.keep_data_bar:
        words.append("--keep-data-bar")
    if settings.reject != "auto":
        words += ["--reject", f"{settings.reject}"]
    return shlex.join(words)


def _path(layer: Image) -> str:
    path = layer.source.path
    return str(Path(path)) if path else f"<{layer.name}>"
