"""Take the screenshots of docs/images, of generated micrographs: `xvfb-run -a python tools/screenshots.py`.

`classify`, `folder`, `dark` or `light` after it takes a part of them.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QWidget

from napari_semclass.samples import CATEGORIES, synthetic_micrograph, synthetic_mosaic
from napari_semclass.viewer.dock import SemClassifier
from napari_semclass.viewer.folder_browser import FolderBrowser
from napari_semclass.viewer.state import Phase
from napari_semclass.viewer.train_state import TrainPhase

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
    """Open, classify, fail, annotate, train; take a picture of each. What the dock keeps goes into a folder for now."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("AUTOSAVE", "CACHE", "CONFIG", "MODELS"):
            os.environ[f"SEMCLASS_{name}"] = f"{folder}/{name.lower()}"
        wanted = sys.argv[1:] or ["classify", "folder", "dark", "light"]
        if "classify" in wanted:
            _classify()
        if "folder" in wanted:
            _browse(Path(folder))
        for theme in [one for one in ("dark", "light") if one in wanted]:
            _annotate_and_train(theme)


def _keep(window: QWidget, name: str) -> None:
    """Save a picture of the window, small: in as many colours as a palette has."""
    path = OUT / f"{name}.png"
    window.grab().save(str(path))
    with Image.open(path) as whole:
        few = whole.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def _classify() -> None:
    viewer = napari.Viewer()
    window = viewer.window._qt_window
    window.resize(1280, 800)

    def take(name: str) -> None:
        _keep(window, name)

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


def _browse(scratch: Path) -> None:
    source = scratch / "session 12"
    source.mkdir()
    for category in CATEGORIES:
        for seed in range(3):
            picture = synthetic_micrograph(category, (384, 512), seed=seed, data_bar=True)
            Image.fromarray(picture).save(source / f"{category.lower()}_{seed + 1}.png")
    (source / "notes.tif").write_text("no picture")
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1280, 800)
    _, browser = viewer.window.add_plugin_dock_widget("napari-semclass", "SEM folder")
    if not isinstance(browser, FolderBrowser):
        sys.exit("another widget answers to that name")
    wait(lambda: browser.models.findData("starter") >= 0)
    browser.choose(source)
    browser.settings.whole.setChecked(True)
    browser.classify.click()
    wait(lambda: "failed" in browser.message.text(), 300)
    browser.list.activated.emit(browser.list.shown.index(4, 0))
    wait(lambda: len(viewer.layers) == 2)
    wait(lambda: browser.findings.index(8).data(Qt.ItemDataRole.DecorationRole) is not None)
    for theme in ("dark", "light"):
        viewer.theme = theme
        wait(lambda: True)
        _keep(viewer.window._qt_window, f"folder-{theme}")
    viewer.close()


def _annotate_and_train(theme: str) -> None:
    viewer = napari.Viewer()
    viewer.theme = theme
    window = viewer.window._qt_window
    window.resize(1100, 820)

    def take(name: str) -> None:
        _keep(window, f"{name}-{theme}")

    _, dock = viewer.window.add_plugin_dock_widget("napari-semclass", "SEM classifier")
    if not isinstance(dock, SemClassifier):
        sys.exit("another widget answers to that name")
    image = viewer.add_image(synthetic_mosaic((2464, 3136), seed=6)[0], name="synthetic mosaic")
    wait(lambda: dock.classifying._speed is not None)
    tab = dock.annotating
    dock.tabs.setCurrentIndex(1)
    take("annotate-empty")
    tab.learn()
    wait(lambda: dock.state.problem)
    take("annotate-error")
    tab.panel.live.setChecked(False)
    truth = synthetic_mosaic((2464, 3136), seed=6)[1]
    wait(lambda: bool(tab.teacher.grids))
    (grid,) = tab.teacher.grids[str(image.unique_id)]
    pure: dict[int, list[tuple[int, int, int, int]]] = {}
    for y0, x0, y1, x1 in grid.boxes().tolist():
        values = np.unique(truth[y0:y1, x0:x1])
        if len(values) == 1:
            pure.setdefault(int(values[0]), []).append((y0, x0, y1, x1))
    # Two places of each, a tile or more apart: what is tested needs another place than what is learned from.
    places = {
        value: (boxes[:3], [box for box in boxes if box[0] >= boxes[2][2] + 224][-3:])
        for value, boxes in pure.items()
        if len(boxes) > 5
    }
    for first, second in [each for each in places.values() if len(each[1]) == 3][:4]:
        tab.add_category()
        row = tab.panel.categories.currentItem()
        tab.panel.categories.closePersistentEditor(row, 1)
        row.setText(1, f"Phase {chr(64 + len(tab.book.categories.items))}")
        number = tab.book.categories.items[-1].number
        for box in (*first, *second):
            tab.book.mark_tile(image, 0, box, number)
    wait(lambda: tab.teacher.labelled is not None and len(tab.teacher.labelled) > 6)
    take("annotate-marked")
    tab.learn()
    wait(lambda: "Learned in" in tab.panel.learned.text(), 300)
    take("annotate-learned")
    tab.marking.next()
    wait(lambda: tab.suggesting.asked is not None)
    take("annotate-next")
    window.resize(800, 600)
    wait(lambda: True)
    take("annotate-small")
    window.resize(1100, 820)
    dock.tabs.setCurrentIndex(2)
    wait(lambda: dock.training._shelf is not None)
    take("train-ready")
    dock.training.train()
    wait(lambda: dock.training.running() is not None, 120)
    wait(lambda: dock.training.desk.panel.progress.value() > 0, 300)
    take("train-running")
    wait(lambda: dock.training.desk.state.phase is TrainPhase.IDLE, 900)
    wait(lambda: not dock.training.desk.outcome.isHidden(), 120)
    take("train-done")
    viewer.close()


if __name__ == "__main__":
    main()
