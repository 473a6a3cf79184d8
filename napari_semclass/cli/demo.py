"""`semclass demo`: a synthetic mosaic, classified by the same code as any file, and opened in napari."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_semclass.classify import Batch, Prediction, Settings
from napari_semclass.cli import output
from napari_semclass.cli.classify import report, run_batch
from napari_semclass.cli.progress import share
from napari_semclass.micrograph import open_micrographs
from napari_semclass.model import load_model
from napari_semclass.process import let_signals_end
from napari_semclass.samples import CATEGORIES, synthetic_mosaic
from napari_semclass.writing import replacing

_MOSAIC = "synthetic_mosaic.png"
_SHAPE = (2048, 2048)
_QT = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def demo(out: str, *, viewer: bool = True) -> int:
    """Make, classify and show the mosaic; return the exit status."""
    path = Path(out) / _MOSAIC
    again = path.exists()  # then the folder is a demo's, and its results may be replaced
    output.message(f"Drawing a synthetic mosaic of {_SHAPE[0]:,} x {_SHAPE[1]:,} px ...")
    pixels, truth = synthetic_mosaic(_SHAPE)
    batch = Batch([path], load_model("starter"), Settings(), out, overwrite=again)
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG")
    prediction = run_batch(batch)
    status = report(batch)
    if prediction is None:
        return status
    output.result(_agreement(prediction, truth))
    if viewer:
        output.result(_show(path, prediction))
    return status


def _agreement(prediction: Prediction, truth: NDArray[np.uint8]) -> str:
    """How much of the area got the category that was drawn there."""
    height, width = truth.shape
    cells = prediction.cells()
    labels = cells.expand(cells.labels(), np.arange(height), np.arange(width))
    drawn = np.array([1 + prediction.names.index(name) if name in prediction.names else -1 for name in CATEGORIES])
    agreement = float(np.mean(labels == drawn[truth]))
    return (
        f"{share(agreement)} of the mosaic's area got the category that was drawn there. "
        "The mosaic is synthetic: this says nothing about real micrographs."
    )


def _show(path: Path, prediction: Prediction) -> str:
    """Open napari where that is possible, until its window is closed; return what to say about it."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "There is no display here, so napari was not opened; look at the overlay instead."
    if not any(find_spec(binding) for binding in _QT):
        return 'napari was not opened: it needs Qt; install it with: pip install "napari-semclass[all]"'
    from napari_semclass.viewer.show import show_prediction

    let_signals_end()  # all is written, and a window that waits for its user would not hear them
    show_prediction(open_micrographs(path)[0], prediction)
    return "napari was closed."
