"""How long the GUI thread is held while 2,000 tiles classify and while a training runs, next to an idle napari.

    xvfb-run python benchmarks/responsiveness.py

Prints, for each, the 50th, 99th and 100th percentile of the gaps of a 10 ms timer in the GUI thread, and the longest
call of ours in it. "Idle" is the same window with the same work done by another process, so that both share the
processor with as much.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from tifffile import imwrite

_TICK_MS = 10
_SECONDS = 20.0


class Heart:
    """A timer in the GUI thread, and the gaps between its beats in milliseconds."""

    def __init__(self) -> None:
        from qtpy.QtCore import Qt, QTimer

        self.gaps: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(_TICK_MS)

    def _beat(self) -> None:
        now = time.perf_counter()
        self.gaps.append(1e3 * (now - self._last))
        self._last = now

    def stop(self) -> None:
        """No more beats."""
        self._timer.stop()


def run_for(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Let Qt work, in its own event loop."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(int(1e3 * seconds), loop.quit)
    watch = QTimer()
    watch.timeout.connect(lambda: loop.quit() if until() else None)
    watch.start(200)
    loop.exec()


def measured(what: str, work: Callable[[], None], until: Callable[[], bool] = lambda: False) -> None:
    """Print the gaps while work goes on."""
    heart = Heart()
    work()
    run_for(_SECONDS, until)
    heart.stop()
    gaps = np.array(heart.gaps[2:])
    middle, high, most = np.percentile(gaps, [50, 99, 100])
    print(f"{what:34} {middle:6.1f} {high:8.1f} {most:8.1f}   {len(gaps):6,} beats", flush=True)


def burn(seconds: float) -> None:
    """Classify in a process of its own, as a load on the processor."""
    from napari_semclass.classify import classify_micrograph
    from napari_semclass.micrograph import as_micrographs
    from napari_semclass.model import load_model

    model, pixels = load_model("starter"), _picture()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        classify_micrograph(as_micrographs(pixels)[0], model)


def _picture() -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    return np.random.default_rng(0).integers(0, 255, (224 * 40, 224 * 50), dtype=np.uint8)


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SEMCLASS_AUTOSAVE"], os.environ["SEMCLASS_CACHE"] = f"{folder}/autosave", f"{folder}/cache"
        os.environ["SEMCLASS_MODELS"] = f"{folder}/models"
        _measure(Path(folder))


def _measure(folder: Path) -> None:
    import napari

    from napari_semclass.viewer.dock import SemClassifier
    from napari_semclass.viewer.state import Phase

    print(f"{'gaps of a 10 ms timer, in ms':34} {'median':>6} {'99th %':>8} {'longest':>8}")
    viewer = napari.Viewer(show=True)
    viewer.add_image(_picture(), name="mosaic")
    run_for(3)
    load = multiprocessing.get_context("spawn").Process(target=burn, args=(_SECONDS + 15,), daemon=True)
    load.start()
    run_for(12)
    measured("idle napari, same load beside it", lambda: None)
    load.terminate()
    load.join()
    dock = SemClassifier(viewer)
    viewer.window.add_dock_widget(dock, area="right")
    run_for(60, lambda: dock.classifying._speed is not None)
    measured("dock open, nothing to do", lambda: None)
    measured("2,000 tiles classify", dock.classifying.run.classify.click, lambda: dock.state.phase is Phase.IDLE)
    dock.classifying.stop()
    run_for(20, lambda: dock.state.phase is Phase.IDLE)
    _labelled_pictures(folder / "data")
    tab = dock.training
    dock.tabs.setCurrentIndex(2)
    tab.look_at_folder(str(folder / "data"))
    run_for(60, lambda: not tab.data.missing())
    plan = tab.plan.value()
    tab.plan.set_value(replace(plan, stages=tuple(replace(stage, epochs=50) for stage in plan.stages)))
    tab.train()
    run_for(180, lambda: tab.desk.panel.progress.value() > 0)
    measured("a training runs", lambda: None)
    run = tab.running()
    if run is not None:
        run.ask("stop")
        run_for(30, lambda: tab.running() is None)
    dock.close()
    viewer.close()


def _labelled_pictures(folder: Path) -> None:
    """Pictures of three textures to learn from."""
    random = np.random.default_rng(0)
    for sigma in (0, 2, 6):
        (folder / f"grain {sigma}").mkdir(parents=True)
        for number in range(16):
            noise = gaussian_filter(random.normal(size=(448, 448)), sigma)
            grey = 255 * (noise - noise.min()) / np.ptp(noise)
            imwrite(folder / f"grain {sigma}" / f"{number}.tif", grey.astype(np.uint8))


if __name__ == "__main__":
    main()
