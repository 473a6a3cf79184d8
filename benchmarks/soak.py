"""The same work again and again: memory, threads, open files and temporary files must not grow with the rounds.

    python benchmarks/soak.py [--minutes 10] [--only classify learn train]
    xvfb-run python benchmarks/soak.py --only dock

`classify` opens pictures, classifies them into a folder and closes them; `learn` cuts, learns and classifies with what
was learned; `train` starts a training in its own process, stops it and resumes it to its end, followed from here;
`dock` opens the dock in a napari window with two pictures, classifies them, and closes dock and layers. After a third
of the rounds, in which caches fill, each figure is noted after every round. Prints a line per kind with what one round
adds (the slope of a straight line through the rounds), and exits with 1 where threads, files or temporary files grow,
or memory by more than 0.2 MB a round.
"""

import argparse
import gc
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from faults import classify, pictures, project, tiny_model, training

from napari_semclass import Settings
from napari_semclass.learn.run import Run
from napari_semclass.memory import return_freed_memory
from napari_semclass.model import load_model, save_model

_MOST_MB = 0.2
# Rounds: of half as many, one step of a megabyte that the allocator takes once already looks like growth.
_FEWEST = 24
_COLUMNS = ("MB", "threads", "open files", "temporary files")


def figures(scratch: Path) -> list[float]:
    """Resident memory in MB, threads, open files, and temporary files of ours anywhere below the scratch folder.

    Of memory what is in use: what was freed and is kept for the next time goes up and down by some hundred MB.
    """
    gc.collect()
    return_freed_memory()
    process = psutil.Process()
    temporary = [path for path in scratch.rglob("*") if path.suffix == ".part" or path.name.startswith("tmp")]
    handles = process.num_handles() if sys.platform == "win32" else process.num_fds()
    return [process.memory_info().rss / 1e6, process.num_threads(), handles, len(temporary)]


def soak(name: str, once: Callable[[int], None], minutes: float, scratch: Path) -> bool:
    """Do it again and again; whether nothing grows."""
    noted: list[list[float]] = []
    begun = time.monotonic()
    gc.collect()
    gc.freeze()  # what is loaded by now need not be looked through after each round
    while len(noted) < _FEWEST or time.monotonic() - begun < 60 * minutes:
        once(len(noted))
        noted.append(figures(scratch))
    values = np.array(noted[len(noted) // 3 :])
    rounds = np.arange(len(values))
    slopes = [float(np.polyfit(rounds, column, 1)[0]) for column in values.T]
    grown = values[-1] - values[0]
    told = ", ".join(
        f"{column} {first:.0f} to {last:.0f} ({slope:+.3f} a round)"
        for column, first, last, slope in zip(_COLUMNS, values[0], values[-1], slopes, strict=True)
    )
    print(f"{name}: {len(noted)} rounds, {time.monotonic() - begun:.0f} s; {told}", flush=True)
    # A pool may still gain a thread or a file; what leaks does so with every round.
    return slopes[0] < _MOST_MB and all(g < max(3, 0.1 * len(values)) for g in grown[1:3]) and grown[3] <= 0


def classifying(scratch: Path) -> Callable[[int], None]:
    """A folder of pictures into another."""
    tiny_model(scratch / "tiny.safetensors")

    def once(turn: int) -> None:
        place = scratch / f"classify{turn}"
        pictures(place)
        model = load_model(str(scratch / "tiny.safetensors"))
        classify(model, Settings(device="cpu", precision="fp32", reject="off"), place)
        os.chdir(scratch)
        shutil.rmtree(place)

    return once


def learning(scratch: Path) -> Callable[[int], None]:
    """A project that is learned from."""
    import imageio.v3 as iio
    from faults import _BANDS

    from napari_semclass.annotate.learning import learn_project
    from napari_semclass.annotate.project import write_project

    tiny_model(scratch / "tiny.safetensors")
    os.environ["SEMCLASS_CACHE"] = str(scratch / "cache")

    def once(turn: int) -> None:
        place = scratch / f"learn{turn}"
        place.mkdir()
        iio.imwrite(place / "a.png", np.roll(_BANDS, turn, axis=0))
        write_project(project(3, place), place / "p.semclass")
        result = learn_project(place / "p.semclass", model=str(scratch / "tiny.safetensors"))
        save_model(result.model.network, result.model.card, place / "learned.safetensors", half=False)
        shutil.rmtree(place)

    return once


def training_again(scratch: Path) -> Callable[[int], None]:
    """A training that is stopped and resumed, followed from here."""
    from napari_semclass.learn.events import EpochDone
    from napari_semclass.retrain import follow, start

    def once(turn: int) -> None:
        place = scratch / f"train{turn}"
        training(place)
        run = Run(place / "run")
        for stop in (True, False):
            process = start(run)
            for found in follow(run, 0, process):
                if stop and found is not None and isinstance(found[1], EpochDone):
                    run.ask("stop")
                    break
            process.wait()
        if not (place / "m.safetensors").exists():
            raise RuntimeError("the training left no model")
        shutil.rmtree(place)

    return once


def docking(scratch: Path) -> Callable[[int], None]:
    """A dock that is opened, used and closed, in one window."""
    import napari
    from responsiveness import run_for

    from napari_semclass.viewer.dock import SemClassifier
    from napari_semclass.viewer.state import Phase

    for name in ("AUTOSAVE", "CACHE", "MODELS"):
        os.environ[f"SEMCLASS_{name}"] = str(scratch / name.lower())
    (scratch / "models").mkdir()
    tiny_model(scratch / "models" / "tiny.safetensors")
    viewer = napari.Viewer(show=True)
    random = np.random.default_rng(0)

    def once(turn: int) -> None:
        for name in "ab":
            viewer.add_image(random.integers(0, 255, (512, 512), dtype=np.uint8), name=name)
        dock = SemClassifier(viewer)
        widget = viewer.window.add_dock_widget(dock, area="right")
        run_for(20, lambda: dock.inputs.models.findData("tiny") >= 0)
        dock.inputs.choose_model("tiny")
        dock.classifying.run.classify.click()
        run_for(20, lambda: dock.state.phase is Phase.IDLE and bool(dock.state.message))
        viewer.window.remove_dock_widget(widget)
        viewer.layers.clear()
        run_for(0.3)

    return once


_KINDS = {"classify": classifying, "learn": learning, "train": training_again, "dock": docking}


def main() -> int:
    """Soak, and say what grows."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=10, help="for each kind of work")
    arguments.add_argument("--only", nargs="+", choices=list(_KINDS), default=["classify", "learn", "train"])
    options = arguments.parse_args()
    flat = True
    for name, kind in _KINDS.items():
        if name in options.only:
            with tempfile.TemporaryDirectory() as scratch:
                before = Path.cwd()
                tempfile.tempdir = scratch
                flat &= soak(name, kind(Path(scratch)), options.minutes, Path(scratch))
                tempfile.tempdir = None
                os.chdir(before)
    print("nothing grows" if flat else "something grows")
    return int(not flat)


if __name__ == "__main__":
    sys.exit(main())
