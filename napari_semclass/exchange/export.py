"""Export: a model written for another program's runtime, tried there, and kept only if the answers agree."""

import shutil
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from napari_semclass.errors import ModelError, OutputError, SettingsError, brief
from napari_semclass.exchange.agreement import LIMIT, Run, largest_difference
from napari_semclass.model import Model
from napari_semclass.model.windows import for_single_tiles


@dataclass(frozen=True)
class Format:
    """One format: what its file is called, which extra brings which packages, and what is said of it."""

    suffix: str
    extra: str
    packages: tuple[str, ...]
    about: str


_ONNX = ("onnx", "onnxscript", "onnxruntime")
FORMATS = {
    "onnx": Format(".onnx", "export", _ONNX, "grey tiles in [0, 1] to probabilities; checked in onnxruntime"),
    "torch": Format(".pt2", "", (), "grey tiles in [0, 1] to probabilities; checked with torch.export.load"),
    "bioimageio": Format(
        ".zip",
        "bioimageio",
        (*_ONNX, "bioimageio.core"),
        "bioimage.io's model description 0.5 with ONNX weights; checked with bioimageio.core",
    ),
    "wsinfer": Format(
        "", "", (), "folder for WSInfer with TorchScript, which PyTorch has deprecated; checked with torch.jit.load"
    ),
}
"""What a model can be exported to, by the name that `--to` takes."""


@dataclass(frozen=True)
class Export:
    """A finished export.

    Attributes
    ----------
    path
        The file, or the folder for WSInfer.
    difference
        Largest absolute difference of a probability between export and original, on generated tiles.
    about
        What it is and how it was checked.
    """

    path: Path
    difference: float
    about: str


def export_model(
    model: Model, path: str | Path, to: str, *, pixel_size: float | None = None, overwrite: bool = False
) -> Export:
    """Write a model for another runtime, load it there, and compare its answers with the original's.

    Parameters
    ----------
    model : Model
    path : str or Path
        File, with the suffix that `FORMATS` says; a folder for WSInfer.
    to : str
        A key of `FORMATS`.
    pixel_size : float or None
        Metres; only for WSInfer, whose models need one. None takes it from the card.
    overwrite : bool
        Replace what is there.

    Returns
    -------
    Export

    Raises
    ------
    SettingsError
        Unknown format, another suffix, a package that is not installed, or no pixel size for WSInfer.
    OutputError
        When `path` is there already, or cannot be written.
    ModelError
        When the network cannot be exported, or its export differs by more than `LIMIT` (0.001) in a probability;
        then nothing is left at `path` but what was there before.
    """
    path = Path(path)
    format_ = _checked(path, to)
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: is there already; choose another name, or use --overwrite.")
    single = for_single_tiles(model)  # as other runtimes are given them
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".semclass-", ignore_cleanup_errors=True) as beside:
            written = Path(beside) / path.name
            run = _written(single, written, to, pixel_size)
            difference = largest_difference(single, run)
            if not difference <= LIMIT:
                raise ModelError(
                    f"{path}: was not kept, as probabilities differ from the original's by up to {difference:.2g} on "
                    f"generated tiles and {LIMIT:g} is allowed; use another format."
                )
            _replace(written, path)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{path}: cannot be written ({error.strerror or brief(error)}).") from error
    about = format_.about
    if model.card.context > 1:
        about += (
            f"; give it tiles of {single.card.tile} px, and it answers for the {model.card.tile} px in their middle, "
            "as it was made to see what surrounds a tile"
        )
    elif model.card.windows:
        about += "; here its tiles see their surroundings, there they do not, and its answers are worse"
    return Export(path, difference, about)


def _checked(path: Path, to: str) -> Format:
    if to not in FORMATS:
        raise SettingsError(f"{to!r} is not a format that models are exported to; use {', '.join(FORMATS)}.")
    format_ = FORMATS[to]
    if path.suffix.lower() != format_.suffix:
        wanted = f"a file that ends in {format_.suffix}" if format_.suffix else "a folder, without a suffix"
        raise SettingsError(f"{path}: an export to {to} is {wanted}.")
    missing = [name for name in format_.packages if not _installed(name)]
    if missing:
        raise SettingsError(
            f"an export to {to} needs {', '.join(missing)}; "
            f"install with: pip install 'napari-semclass[{format_.extra}]'"
        )
    return format_


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # of a package above it
        return False


def _written(model: Model, path: Path, to: str, pixel_size: float | None) -> Run:
    """Write the export; return what runs it."""
    # Loaded when needed: each brings its own runtime.
    if to == "onnx":
        from napari_semclass.exchange.onnx_file import onnx_runner, write_onnx

        write_onnx(model, path)
        return onnx_runner(path)
    if to == "torch":
        from napari_semclass.exchange.torch_file import torch_runner, write_torch

        write_torch(model, path)
        return torch_runner(path)
    if to == "bioimageio":
        from napari_semclass.exchange.bioimageio_package import bioimageio_runner, write_bioimageio

        write_bioimageio(model, path)
        return bioimageio_runner(path)
    from napari_semclass.exchange.wsinfer_folder import write_wsinfer, wsinfer_runner

    path.mkdir()
    write_wsinfer(model, path, pixel_size)
    return wsinfer_runner(path)


def _replace(written: Path, path: Path) -> None:
    """Move what was written to its place; a folder is replaced only by what has the same files in it."""
    if path.is_dir():
        if written.is_dir() and {each.name for each in path.iterdir()} <= {each.name for each in written.iterdir()}:
            shutil.rmtree(path)
        else:
            raise OutputError(f"{path}: is a folder with other things in it, so it is not replaced; choose another.")
    written.replace(path)
