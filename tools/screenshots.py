"""Take the screenshots of docs/images, of generated micrographs: `xvfb-run -a python tools/screenshots.py`."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_semclass.samples import synthetic_micrograph, synthetic_mosaic
from napari_semclass.viewer.dock import SemClassifier
from napari_semclass.viewer.state import Phase

OUT = Path(__file__).parents[1] / "docs" / "images"


def wait(until: Callable[[], bool], seconds: float = 120) -> None:
    """Let the window live until something is so, and a moment longer."""
    end = time.monotonic() + seconds
    while not until():
        QApplication.processEvents()
        if time.monotonic() > end:
            sys.exit("the window never got there")
    end = time.monotonic() + 0.8
    while time.monotonic() < end:
        QApplication.processEvents()


def main() -> None:
    """Open, classify, fail; take a picture of each."""
    OUT.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer()
    window = viewer.window._qt_window
    window.resize(1280, 800)

    def take(name: str) -> None:
        window.grab().save(str(OUT / f"{name}.png"))

    _, dock = viewer.window.add_plugin_dock_widget("napari-semclass", "SEM classifier")
    if not isinstance(dock, SemClassifier):
        sys.exit("another widget answers to that name")
    wait(lambda: dock.classifying._speed is not None)
    take("dock-empty")
    viewer.add_image(synthetic_mosaic((3000, 3600), seed=2)[0], name="synthetic mosaic", scale=(7.3, 7.3), units="nm")
    wait(lambda: "about" in dock.classifying.run.estimate.text())
    take("dock-before")
    dock.classifying.settings.stride.setValue(112)
    dock.classifying.run.classify.click()
    wait(lambda: dock.state.done > dock.state.total * 0.4 > 0)
    take("dock-running")
    wait(lambda: dock.state.phase is Phase.IDLE, 600)
    take("dock")
    viewer.layers.clear()
    viewer.add_image(np.zeros((768, 1024), np.uint8), name="blank")
    for category in ("Fibres", "Particles", "Nanowires"):
        viewer.add_image(synthetic_micrograph(category, data_bar=True), name=f"synthetic {category}")
    dock.inputs.micrographs.setCurrentIndex(dock.inputs.micrographs.count() - 1)
    dock.classifying.settings.whole.setChecked(True)
    viewer.theme = "light"
    dock.classifying.run.classify.click()
    wait(lambda: dock.state.phase is Phase.IDLE)
    take("dock-error")
    viewer.close()


if __name__ == "__main__":
    main()
