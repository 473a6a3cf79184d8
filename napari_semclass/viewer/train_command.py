"""A training run as a command to type, or as Python to run: the same data and plan, under another name."""

import shlex

from napari_semclass.errors import SemclassError
from napari_semclass.learn.run import Run


def train_command(run: Run) -> str:
    """The `semclass train …` line that trains the same model once more."""
    try:
        _, task = run.load()
    except SemclassError as error:
        return f"# {error}"
    words = ["semclass", "train", task.data, "--recipe", str(run.plan_file), "--out", f"{run.folder.stem}-again"]
    if task.device != "auto":
        words += ["--device", task.device]
    return shlex.join(words)


def train_python(run: Run) -> str:
    """The lines that train the same model once more."""
    try:
        _, task = run.load()
    except SemclassError as error:
        return f"# {error}"
    device = f", device={task.device!r}" if task.device != "auto" else ""
    return f"""from napari_semclass.model.store import model_folder
from napari_semclass.retrain import train_model

out = model_folder() / "{run.folder.stem}-again.safetensors"
train_model({task.data!r}, out, recipe={str(run.plan_file)!r}{device})
"""
