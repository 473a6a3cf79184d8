"""Where models are found by name: those shipped with the package and those in the user's folder."""

import os
from functools import lru_cache
from pathlib import Path

from platformdirs import user_data_path

from napari_semclass.errors import ModelError
from napari_semclass.model.card import Card
from napari_semclass.model.file import load_model_file, read_card
from napari_semclass.model.network import Model
from napari_semclass.names import existing, matching, text_of_path

_SHIPPED = Path(__file__).parent / "starter"
_SUFFIX = ".safetensors"


def model_folder() -> Path:
    """The user's own models: `SEMCLASS_MODELS`, else a folder where the system keeps such data."""
    chosen = os.environ.get("SEMCLASS_MODELS")
    return Path(chosen) if chosen else user_data_path("napari-semclass") / "models"


def available_models() -> dict[str, Card]:
    """Cards of all models found by name, the shipped ones first; files that are not sound are left out."""
    cards: dict[str, Card] = {}
    for name, path in _paths().items():
        try:
            cards[name] = read_card(path)
        except ModelError:
            continue  # asking for it by name says what is wrong with it
    return cards


def load_model(name_or_path: str | Path = "starter") -> Model:
    """Load a model by its name (see `available_models`) or from a file.

    The last four models stay in memory; a file that changed on disk is read again.

    Raises
    ------
    ModelError
        When there is no such model or its file is not sound.
    """
    path = find_model(name_or_path)
    stamp = path.stat()
    return _load(path.resolve(), stamp.st_mtime_ns, stamp.st_size)


def find_model(name_or_path: str | Path) -> Path:
    """The file of a model, by its name (see `available_models`) or by its path.

    Raises
    ------
    ModelError
        When there is no such model.
    """
    paths, name = _paths(), text_of_path(name_or_path)
    known = matching(name, paths)
    path = paths[known] if known is not None else existing(name_or_path)
    if not path.is_file():
        raise ModelError(f"no model named {name!r} and no such file; known are: {', '.join(paths)}.")
    return path


def _paths() -> dict[str, Path]:
    shipped = {path.stem: path for path in sorted(_SHIPPED.glob(f"*{_SUFFIX}"))}
    own = {text_of_path(path.stem): path for path in sorted(model_folder().glob(f"*{_SUFFIX}"))}
    return shipped | own | shipped  # a user's file cannot stand in for a shipped name


@lru_cache(maxsize=4)
def _load(path: Path, mtime_ns: int, size: int) -> Model:
    return load_model_file(path)
