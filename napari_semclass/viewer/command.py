"""What the dock did as a command to type, or as Python to run: the same files, model and settings, the same numbers."""

import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from napari.layers import Image

from napari_semclass.classify.settings import Settings


def command(layers: Sequence[Image], model: str, settings: Settings) -> str:
    """The `semclass classify …` line for these layers; one not opened from a file stands as `<its name>`."""
    words = ["semclass", "classify", *(_path(layer) for layer in layers), "--out", "semclass-results"]
    words += ["--model", model]
    if settings.mode == "whole":
        words.append("--whole")
    elif settings.tile_um is not None:
        words += ["--tile-um", f"{settings.tile_um:.9g}", "--stride-um", f"{settings.stride_um:.9g}"]
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


def python(layers: Sequence[Image], model: str, settings: Settings) -> str:
    """The lines that give the `Prediction` of every plane of these layers, as `command` names their files."""
    chosen = [(field.name, getattr(settings, field.name)) for field in fields(settings)]
    changed = [f"{name}={value!r}" for name, value in chosen if value != getattr(Settings(), name)]
    return f"""from napari_semclass import Settings, classify_micrograph, load_model, open_micrographs

model = load_model({model!r})
settings = Settings({", ".join(changed)})
predictions = [
    classify_micrograph(micrograph, model, settings)
    for path in {[_path(layer) for layer in layers]!r}
    for micrograph in open_micrographs(path)
]
"""


def learn_command(project: Path, model: str) -> str:
    """The `semclass learn …` line that learns the marks of a project."""
    return shlex.join(["semclass", "learn", str(project), "--model", model, "--out", "my-marks"])


def learn_python(project: Path, model: str) -> str:
    """The lines that learn the marks of a project."""
    return f"""from napari_semclass import save_model
from napari_semclass.annotate import learn_project

result = learn_project({str(project)!r}, model={model!r}, name="my-marks")
print(result.sentence)
learned = result.model
save_model(learned.network, learned.card, "my-marks.safetensors", half=False, familiar=learned.familiar)
"""


def _path(layer: Image) -> str:
    path = layer.source.path
    return str(Path(path)) if path else f"<{layer.name}>"
