"""What the commands' arguments have in common."""

import argparse
from pathlib import Path

from napari_semclass.errors import SettingsError
from napari_semclass.names import existing

_SUFFIX = ".safetensors"


def positive(text: str) -> int:
    """A whole number of at least 1, as argparse reads it."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def micrometres(text: str) -> float:
    """A length above 0 in micrometres (`2`, `2.0um`, `350 nm`), as argparse reads it."""
    return _length(text, "um") * 1e6


def pixel_size(text: str) -> float:
    """A length above 0 in metres per pixel, from nanometres or with its unit (`7.3`, `0.1um`), as argparse reads it."""
    return _length(text, "nm")


def _length(text: str, unit: str) -> float:
    from napari_semclass.micrograph.metadata.quantities import length  # loads numpy: --help must not wait

    metres = length(text, unit)
    if metres is None or metres <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no length above 0, such as 2{unit}")
    return metres


def auto_off_or_share(text: str) -> str | float:
    """`auto`, `off`, or a number from 0 to 1, as argparse reads it."""
    if text in ("auto", "off"):
        return text
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor off nor a confidence from 0 to 1")
    return number


def model_file(out: str) -> Path:
    """Where a model goes that `--out` names: a file, or a name in the user's folder of models.

    Raises
    ------
    SettingsError
        When it is neither.
    """
    from napari_semclass.model.store import model_folder

    path = Path(out)
    if path.suffix == _SUFFIX:
        return existing(path)
    if path.suffix or path.name != out:
        raise SettingsError(f"--out {out}: give a file that ends in {_SUFFIX}, or a plain name such as my-model.")
    return existing(model_folder() / f"{out}{_SUFFIX}")
