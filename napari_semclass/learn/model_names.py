"""What a new model may be called: a name that is free and can be a file's on any system."""

import re
from collections.abc import Set

from napari_semclass.names import fold, text_of_path

_NOT_IN_NAMES = '\\/:*?"<>|'
_LONGEST = 100


def unfit(name: str, taken: Set[str] | None) -> str:
    """Why a model cannot be called so, as a sentence; empty when it can.

    Parameters
    ----------
    name : str
    taken : set of str or None
        Names there are, in lower case; None while these are not known.
    """
    if not name:
        return "Give the new model a name."
    if any(c in _NOT_IN_NAMES or not c.isprintable() for c in name) or name[0] in "._-" or len(name) > _LONGEST:
        return f"{name} cannot be a model's name: begin with a letter and leave out {' '.join(_NOT_IN_NAMES)}"
    if fold(name) == "starter":
        return "starter is the shipped model's name; choose another one."
    if taken is None:
        return "Models are being looked for…"
    return f"{name} is there already; choose another name." if fold(name) in taken else ""


def free_name(wanted: str, taken: Set[str]) -> str:
    """The name, or the first of name-2, name-3, … that is not taken."""
    stem = re.sub(r"-\d{1,3}$", "", wanted.strip()) or "my-model"
    names = [stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if fold(name) not in taken)


def taken_names() -> frozenset[str]:
    """Names, in lower case, of the models and runs in the user's folder of models."""
    from napari_semclass.model.store import model_folder  # which loads torch

    folder = model_folder()
    return frozenset(fold(text_of_path(path.stem)) for kind in ("*.safetensors", "*.run") for path in folder.glob(kind))
