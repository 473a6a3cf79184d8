"""How long the GUI thread is held while tiles classify, marks are learned and a training runs, next to idle napari.

    xvfb-run python benchmarks/responsiveness.py

Prints, for each kind of work, the 50th, 99th and 100th percentile of the gaps of a 10 ms timer in the GUI thread, and
the three longest calls of ours in it by name: each is an entry from Qt or napari into a function of `viewer/`, timed by
wrapping all of them, with what napari did on its behalf. CPU time of the thread stands beside the wall time: on a busy
machine they differ by what others took. "Idle" is the same window with a classification and a training in other
processes, so that both share the processor with as much. What napari itself takes to add a layer of labels is printed
first: the first overlay of a micrograph cannot take less.
"""

import argparse
import functools
import importlib
import inspect
import multiprocessing
import os
import pkgutil
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter
from tifffile import imwrite

if TYPE_CHECKING:
    from napari_semclass.viewer.dock import SemClassifier

_TICK_MS = 10
_SECONDS = 20.0
_SHOWN = 3


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


class Entries:
    """Times every outermost call, in the GUI thread, of a function or method defined in `napari_semclass.viewer`."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, float, str]] = []  # wall ms, CPU ms, name
        self._depth = 0
        self._wrapped: dict[FunctionType, FunctionType] = {}

    def wrap_all(self) -> None:
        """Wrap them, wherever they are known by name; before any window is made."""
        package = importlib.import_module("napari_semclass.viewer")
        modules = [
            importlib.import_module(f"{package.__name__}.{one.name}") for one in pkgutil.iter_modules(package.__path__)
        ]
        for holder in (*modules, *_classes(modules)):
            for name, value in list(vars(holder).items()):
                ours = isinstance(value, FunctionType) and value.__module__.startswith(package.__name__)
                if ours and not (name.startswith("__") or inspect.isgeneratorfunction(value)):
                    setattr(holder, name, self._timed(value))

    def _timed(self, function: FunctionType) -> Any:
        if function in self._wrapped or function in self._wrapped.values():
            return self._wrapped.get(function, function)
        parameters = inspect.signature(function).parameters.values()
        takes_all = any(one.kind is one.VAR_POSITIONAL for one in parameters)
        # Qt tries again with fewer arguments where there are too many; it cannot see through this.
        most = (
            None
            if takes_all
            else sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
        )

        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            if self._depth or threading.current_thread() is not threading.main_thread():
                return function(*arguments[:most], **named)
            self._depth += 1
            wall, cpu = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments[:most], **named)
            finally:
                self._depth -= 1
                spent = time.thread_time() - cpu
                self.calls.append((1e3 * (time.perf_counter() - wall), 1e3 * spent, function.__qualname__))

        self._wrapped[function] = timed
        return timed


def _classes(modules: list[Any]) -> Iterator[type]:
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__:
                yield value


def run_for(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Let Qt work, in its own event loop."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(int(1e3 * seconds), loop.quit)
    watch = QTimer()
    watch.timeout.connect(lambda: loop.quit() if until() else None)
    watch.start(200)
    loop.exec()


class Meter:
    """Measures one kind of work after the other, and prints a line or more for each."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        print(f"{'gaps of a 10 ms timer, in ms':34} {'median':>6} {'99th %':>8} {'longest':>8}")

    def measure(
        self,
        what: str,
        work: Callable[[], object] = lambda: None,
        until: Callable[[], bool] = lambda: False,
        seconds: float = _SECONDS,
    ) -> None:
        """Print the gaps while work goes on, and the calls of ours that took longest."""
        heart = Heart()
        self._entries.calls.clear()
        work()
        run_for(seconds, until)
        heart.stop()
        middle, high, most = np.percentile(heart.gaps[2:], [50, 99, 100])
        print(f"{what:34} {middle:6.1f} {high:8.1f} {most:8.1f}   {len(heart.gaps):6,} beats", flush=True)
        longest: dict[str, tuple[float, float, str]] = {}
        for call in sorted(self._entries.calls):
            longest[call[2]] = call
        for wall, cpu, name in sorted(longest.values(), reverse=True)[:_SHOWN]:
            count = sum(call[2] == name for call in self._entries.calls)
            print(f"    {wall:6.1f} ms ({cpu:.1f} of CPU)  {name}, the longest of {count:,}", flush=True)


def burn(seconds: float) -> None:
    """Classify in a process of its own, as a load on the processor."""
    from napari_semclass.classify import classify_micrograph
    from napari_semclass.micrograph import as_micrographs
    from napari_semclass.model import load_model

    model, pixels = load_model("starter"), _picture()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        classify_micrograph(as_micrographs(pixels)[0], model)


def add_labels() -> None:
    """Print how long napari, without any of ours, is held by a layer of labels that is added: a first, and a second."""
    import napari
    import skimage.color.colorconv  # noqa: F401 - as the dock does: napari would load it in the midst

    viewer = napari.Viewer(show=True)
    viewer.add_image(_picture(), name="mosaic")
    run_for(3)
    for which in ("first", "second"):
        wall, cpu = time.perf_counter(), time.thread_time()
        viewer.add_labels(np.zeros((100, 100), np.uint8), name=which)
        spent = time.thread_time() - cpu
        print(f"napari adds its {which} labels: {1e3 * (time.perf_counter() - wall):.1f} ms ({1e3 * spent:.1f} of CPU)")
        run_for(1)
    viewer.close()


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

    spawn = multiprocessing.get_context("spawn")
    alone = spawn.Process(target=add_labels)
    alone.start()
    alone.join()
    entries = Entries()
    entries.wrap_all()
    from napari_semclass.viewer.dock import SemClassifier

    meter = Meter(entries)
    viewer = napari.Viewer(show=True)
    imwrite(folder / "mosaic.tif", _picture())
    viewer.open(folder / "mosaic.tif", plugin="napari", layer_type="image")
    run_for(3)
    load = spawn.Process(target=burn, args=(_SECONDS + 15,), daemon=True)
    load.start()
    run_for(12)
    meter.measure("idle napari, same load beside it")
    load.terminate()
    load.join()
    dock = SemClassifier(viewer)
    viewer.window.add_dock_widget(dock, area="right")
    meter.measure("dock opens, models are found", until=lambda: dock.classifying._speed is not None)
    _classify(meter, dock)
    _learn(meter, dock, folder)
    _train(meter, dock, folder)
    dock.close()
    viewer.close()


def _classify(meter: Meter, dock: "SemClassifier") -> None:
    from napari_semclass.viewer.state import Phase

    meter.measure("2,000 tiles classify", dock.classifying.run.classify.click, lambda: dock.state.phase is Phase.IDLE)
    dock.classifying.stop()
    run_for(20, lambda: dock.state.phase is Phase.IDLE)
    settings = dock.classifying.settings
    _every(meter, "tile size is typed", 400, lambda turn: settings.tile.setValue(200 + turn))
    settings.tile.setValue(224)


def _learn(meter: Meter, dock: "SemClassifier", folder: Path) -> None:
    tab = dock.annotating
    dock.tabs.setCurrentIndex(1)
    run_for(10, lambda: bool(tab.teacher.grids))
    (image,) = dock.inputs.layers()
    (grid,) = tab.teacher.grids[str(image.unique_id)]
    for _ in range(4):
        tab.add_category()
    numbers = [one.number for one in tab.book.categories.items]
    for turn in range(8):
        tab.book.mark_tile(image, 0, grid.box(turn * 37), numbers[turn % 4])
    meter.measure("2,000 tiles are looked at", until=lambda: bool(tab.teacher.names), seconds=120)
    places = np.random.default_rng(0).permutation(len(grid))

    def mark(turn: int) -> None:
        tab.book.mark_tile(image, 0, grid.box(int(places[turn])), numbers[turn % 4])

    _every(meter, "live: a mark every 1.5 s", 1500, mark)
    name = tab.panel.categories.topLevelItem(0)
    _every(meter, "a category is renamed", 1500, lambda turn: name is not None and name.setText(1, f"Pores {turn}"))
    project = folder / "kept.semclass"
    tab.desk.save_as(project)
    run_for(10, lambda: tab.panel.project_state.text() == project.name)
    kept = shutil.copytree(project, folder / "again.semclass")  # of the other, what is closed now is taken away
    dock.inputs._viewer.layers.clear()
    run_for(3)
    meter.measure("a project is opened", lambda: tab.desk.open(kept), seconds=10)


def _train(meter: Meter, dock: "SemClassifier", folder: Path) -> None:
    _labelled_pictures(folder / "data")
    tab = dock.training
    dock.tabs.setCurrentIndex(2)
    tab.look_at_folder(str(folder / "data"))
    run_for(60, lambda: not tab.data.missing())
    plan = tab.plan.value()
    tab.plan.set_value(replace(plan, stages=tuple(replace(stage, epochs=50) for stage in plan.stages)))
    _every(meter, "a plan's name is typed", 400, lambda turn: tab.plan.name.setText("x" * (turn + 1)))
    meter.measure("a training begins", tab.train, lambda: tab.desk.panel.progress.value() > 0, seconds=180)
    meter.measure("a training runs")
    dock.tabs.setCurrentIndex(0)
    meter.measure("a training runs, tiles classify", dock.classifying.run.classify.click)
    dock.classifying.stop()
    run = tab.running()
    if run is not None:
        run.ask("stop")
        run_for(30, lambda: tab.running() is None)


def _every(meter: Meter, what: str, pause_ms: int, act: Callable[[int], object]) -> None:
    """Measure while something is done again and again."""
    from qtpy.QtCore import QTimer

    turns = iter(range(10**6))
    timer = QTimer()
    timer.timeout.connect(lambda: act(next(turns)))
    timer.start(pause_ms)
    meter.measure(what, seconds=_SECONDS / 2)
    timer.stop()
    run_for(2)


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
