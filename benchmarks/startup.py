"""How long until something happens: importing, the dock in a window, the first answer; each in a process of its own.

`xvfb-run python benchmarks/startup.py [--rounds 5] [--keep]` takes in turn, round by round, and prints medians of
processor and wall seconds: Python doing nothing, `import napari_semclass`, `semclass --help`, torch's import alone, the
first answer (`load_model("starter")` and a generated micrograph of 4 tiles), napari with an empty window, and the same
with the dock open. `--keep` writes `results/startup.json`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

from results import keep

_WINDOW = "import napari; viewer = napari.Viewer(); "
_DRAWN = "from qtpy.QtWidgets import QApplication; QApplication.processEvents(); viewer.close()"
_DOCK = "viewer.window.add_plugin_dock_widget('napari-semclass', 'SEM classifier'); "
STARTS = {
    "Python alone": "pass",
    "import napari_semclass": "import napari_semclass",
    "semclass --help": "import sys; from napari_semclass.cli import main; sys.argv = ['semclass', '--help']; main()",
    "import torch": "import torch",
    "first answer": (
        "import numpy as np; from napari_semclass import Micrograph, classify_micrograph, load_model; "
        "pixels = np.random.default_rng(0).integers(0, 255, (448, 448), dtype=np.uint8); "
        "classify_micrograph(Micrograph(pixels, known_bars=()), load_model('starter'))"
    ),
    "napari, empty window": _WINDOW + _DRAWN,
    "napari, dock open": _WINDOW + _DOCK + _DRAWN,
}


def started(code: str) -> tuple[float, float]:
    """Processor and wall seconds of a process that runs this, its own children included."""
    before, wall = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, time.perf_counter() - wall


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--keep", action="store_true")
    options = arguments.parse_args()
    rounds = []
    for count in range(options.rounds + 1):  # the first one reads the disk
        found = {what: started(code) for what, code in STARTS.items()}
        rounds += [found] if count else []
        print({what: round(used, 2) for what, (used, _) in found.items()}, file=sys.stderr, flush=True)
    seconds = {
        what: [round(statistics.median(each[what][kind] for each in rounds), 3) for kind in (0, 1)] for what in STARTS
    }
    report = {"rounds": options.rounds, "processor_and_wall_s": seconds}
    if options.keep:
        keep("startup", report)
    else:
        print(report)


if __name__ == "__main__":
    main()
