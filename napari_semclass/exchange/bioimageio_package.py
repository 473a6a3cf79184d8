"""A package for bioimage.io: rdf.yaml, the network as ONNX, test tensors and documentation in one zip."""

import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import ModelError
from napari_semclass.exchange.agreement import Run, generated_tiles
from napari_semclass.exchange.onnx_file import OPSET, onnx_runner, write_onnx
from napari_semclass.exchange.runnable import INPUT_NAME, OUTPUT_NAME, inside, outside
from napari_semclass.model import Model

_NETWORK_FILE = "network.onnx"
_README = "README.md"
_LICENCE = "LICENSE.txt"
_NAME = re.compile(r"[^A-Za-z0-9_+\- ()]+")
# Two, because a batch axis of one would hide a network that takes one tile only.
_TEST_TILES = 2


def write_bioimageio(model: Model, path: Path) -> None:
    """Write a model as a zip that follows bioimage.io's model description 0.5.

    Parameters
    ----------
    model : Model
    path : Path
        Ends in `.zip`.

    Raises
    ------
    ModelError
        When the network cannot be exported or the description is not valid.
    """
    from bioimageio.spec import save_bioimageio_package

    with tempfile.TemporaryDirectory(dir=path.parent) as parts, _quiet():
        folder = Path(parts)
        _write_parts(model, folder)
        try:
            save_bioimageio_package(_description(model, folder), output_path=path, local_files_only=True)
        except ValueError as error:
            found = " ".join(str(error).split())[:300]
            raise ModelError(f"{model.card.name}: bioimage.io's check refuses it ({found}).") from error


def bioimageio_runner(path: Path) -> Run:
    """What the package answers in bioimageio.core.

    Raises
    ------
    ModelError
        When bioimageio.core's own test of the package (validity, test tensors) fails.
    """
    from bioimageio.core import predict, test_model
    from bioimageio.spec import load_model_description

    with _quiet():
        summary = test_model(path, weight_format="onnx")
        if summary.status != "passed":
            raise ModelError(f"{path.name}: bioimageio.core's test of the package says {summary.status!r}.")
        description = load_model_description(path)

    def run(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        with _quiet():
            answer = predict(model=description, inputs={INPUT_NAME: tiles})
        found: NDArray[np.float32] = np.asarray(next(iter(answer.members.values())).data.data)
        return found

    return run


def _write_parts(model: Model, folder: Path) -> None:
    write_onnx(model, folder / _NETWORK_FILE)
    tiles = generated_tiles(model.card.input_size)[:_TEST_TILES]
    np.save(folder / "test_tiles.npy", tiles)
    np.save(folder / "test_probabilities.npy", onnx_runner(folder / _NETWORK_FILE)(tiles))
    (folder / "semclass.json").write_text(model.card.to_json(), encoding="utf-8")
    (folder / _LICENCE).write_text(f"{model.card.licence}\n{model.card.credit}\n", encoding="utf-8")
    (folder / _README).write_text(_readme(model), encoding="utf-8")


def _description(model: Model, folder: Path) -> Any:
    """The rdf.yaml, checked; all of its files are looked for in `folder`."""
    from bioimageio.spec.common import FileDescr
    from bioimageio.spec.model import v0_5 as spec

    card = model.card
    size = card.input_size
    tiles = spec.InputTensorDescr(
        id=spec.TensorId(INPUT_NAME),
        description=f"Grey tiles in [0, 1], normalised once per micrograph; see {_README}.",
        axes=[
            spec.BatchAxis(),
            spec.ChannelAxis(channel_names=["grey"]),
            spec.SpaceInputAxis(id=spec.AxisId("y"), size=size),
            spec.SpaceInputAxis(id=spec.AxisId("x"), size=size),
        ],
        data=spec.IntervalOrRatioDataDescr(type="float32", range=(0.0, 1.0)),
        test_tensor=FileDescr(source=folder / "test_tiles.npy"),
    )
    probabilities = spec.OutputTensorDescr(
        id=spec.TensorId(OUTPUT_NAME),
        description="Probabilities of the categories; rows sum to 1.",
        axes=[spec.BatchAxis(), spec.ChannelAxis(channel_names=list(card.names))],
        data=spec.IntervalOrRatioDataDescr(type="float32", range=(0.0, 1.0)),
        test_tensor=FileDescr(source=folder / "test_probabilities.npy"),
    )
    return spec.ModelDescr(
        name=_NAME.sub(" ", f"{card.title} (SEM classifier)").strip()[:64],
        description=card.description[:1000],
        documentation=FileDescr(source=folder / _README),
        license=FileDescr(source=folder / _LICENCE) if card.licence else None,
        attachments=[FileDescr(source=folder / "semclass.json")],
        tags=["electron-microscopy", "scanning-electron-microscopy", "classification", "2d"],
        inputs=[tiles],
        outputs=[probabilities],
        weights=spec.WeightsDescr(onnx=spec.OnnxWeightsDescr(source=folder / _NETWORK_FILE, opset_version=OPSET)),
    )


def _readme(model: Model) -> str:
    card = model.card
    tests = "\n".join(
        f"- {test.protocol}: {100 * test.accuracy:.1f} % of {test.n:,} {test.unit}s in {test.n_groups:,} groups right "
        f"(95 % interval {100 * test.accuracy_interval[0]:.1f} to {100 * test.accuracy_interval[1]:.1f} %)."
        for test in card.tests
    )
    return (
        f"# {card.title}\n\n{card.description}\n\n"
        f"## Input and output\n\nGrey tiles of {card.input_size} x {card.input_size} in [0, 1] become probabilities "
        f"of: {', '.join(card.names)}. {inside(card)}\n\n{outside(card)} The description names no preprocessing for "
        "this reason: percentiles of single tiles, which it could name, would give other answers.\n\n"
        f"## Validation\n\n{tests or 'Not tested: how often it is right is not known.'}\n\n"
        f"## Origin\n\n{card.provenance or 'Not stated.'}\n\nLicence: {card.licence or 'not stated'}. "
        f"Credit: {card.credit or 'not stated'}. SHA-256 of the model: {model.sha256}. Before it is uploaded, authors "
        "and maintainers are to be named in rdf.yaml.\n"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep bioimageio's log and the warnings of what it imports off the terminal."""
    from loguru import logger

    logger.disable("bioimageio")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.enable("bioimageio")
