"""Kills the viewer's window at random moments of marking, learning and classifying: what was saved is there.

    xvfb-run python benchmarks/faults_window.py [--kills 20] [--seed 0]

A napari window with the dock, in a process of its own, is marked on without a pause (a tile every 80 ms, two
categories, two micrographs), learns live from what is marked, and classifies; a training goes on beside it. It notes
outside how many marks its autosave has told of as saved. It is killed (SIGKILL) at a random moment of the first half
minute of that; then every file it left is read, its training (a process of its own) is ended and its run opened, and a
new window recovers the session as "Recover…" does. Prints how many marks were made, saved, and came back, and what was
lost of the saved ones; exits with 1 if any were.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from faults import damaged, tiny_model

from napari_semclass.annotate.autosave import leftovers
from napari_semclass.learn.run import Run
from napari_semclass.samples import synthetic_micrograph

_LONGEST_S = 30.0
_OPEN = """
import os, sys, time
from pathlib import Path
import napari
from qtpy.QtWidgets import QApplication
from napari_semclass.learn.plan import Plan, Stage

def wait(until):
    while not until():
        QApplication.processEvents()
        time.sleep(0.005)

viewer = napari.Viewer()
_, dock = viewer.window.add_plugin_dock_widget("napari-semclass", "SEM classifier")
wait(lambda: dock.inputs.model() is not None)
"""
_RECOVER = """
from napari_semclass.viewer.mark_layers import mark_layers
(left,) = [left for left in dock.annotating.desk.leftovers() if left.folder.name == sys.argv[1]]
dock.annotating.desk.open(left.folder, named=False)
wait(lambda: dock.state.message.startswith("Opened") or dock.state.problem)
print(sum(len(layer.data) for layer in mark_layers(viewer)), flush=True)
os._exit(0)  # a window need not be taken down
"""
_MARK = """

noted, pictures = Path(sys.argv[1]), sys.argv[2:]
dock.inputs.models.setCurrentIndex(dock.inputs.models.findData("tiny"))
dock.inputs.models.activated.emit(dock.inputs.models.currentIndex())
dock.classifying.settings.tile.setValue(32)
images = [viewer.open(path, plugin="napari", layer_type="image")[0] for path in pictures]
dock.inputs.micrographs.setCurrentIndex(dock.inputs.micrographs.findData("all"))
tab = dock.annotating
wait(lambda: len(tab.teacher.grids) == len(images))
tab.add_category()
tab.add_category()
made = 0

def write(saved):
    beside = noted.with_suffix(".new")
    beside.write_text(f"{made} {saved}")
    beside.replace(noted)

class Counting:
    '''What the desk saves, and how many marks of it the autosave then tells of.'''
    def __init__(self, desk):
        self.saved, known = 0, desk._saved
        def _saved(folder, project):
            known(folder, project)
            self.saved = sum(len(layer.data) for layer in project.layers)
            write(self.saved)
        desk._saved = _saved

counting = Counting(tab.desk)
print("ready", flush=True)
grids = [tab.teacher.grids[str(image.unique_id)][0] for image in images]
for tile in range(min(map(len, grids))):
    for index, image in enumerate(images):
        tab.book.mark_tile(image, 0, grids[index].box(tile), 1 + (tile // 8 + index) % 2)
        made += 1
        write(counting.saved)
        begun = time.perf_counter()
        wait(lambda: time.perf_counter() - begun > 0.08)
    if made == 24:
        dock.tabs.setCurrentIndex(2)
        training = dock.training
        wait(lambda: training._shelf is not None)
        training.plan.set_value(Plan(
            backbone="test_resnet", pretrained="none", tile=32, stride=32, head="random", norm="learned",
            stages=(Stage(32, epochs=5000, batch=4),),
        ))
        until = time.monotonic() + 5
        wait(lambda: training.desk.panel.train.isEnabled() or time.monotonic() > until)
        training.train()
        dock.tabs.setCurrentIndex(1)
    if made % 40 == 0:
        dock.classifying.classify()
wait(lambda: False)
"""


def kill_one(number: int, pictures: list[Path], scratch: Path, delay: float) -> tuple[int, int, int, list[str]]:
    """Marks made, saved, and found after the kill, and what is wrong with what is left."""
    noted = scratch / f"noted {number}"
    command = [sys.executable, "-W", "ignore", "-c", _OPEN + _MARK, str(noted), *map(str, pictures)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as window:
        if window.stdout is None or window.stdout.readline().strip() != "ready":
            return 0, 0, 0, ["the window did not open"]
        time.sleep(delay)
        window.send_signal(signal.SIGKILL)
    made, saved = map(int, noted.read_text().split()) if noted.exists() else (0, 0)
    root = scratch / "autosave"
    newest = max(leftovers(), key=lambda left: left.saved, default=None)
    own = newest if newest is not None and f"-{window.pid}-" in newest.folder.name else None
    wrong = damaged(root)
    found = 0
    if own is not None:
        command = [sys.executable, "-W", "ignore", "-c", _OPEN + _RECOVER, own.folder.name]
        done = subprocess.run(command, capture_output=True, text=True)
        found = int(done.stdout or 0)
        wrong += [f"not recovered: {done.stderr.strip()[-300:]}"] if done.returncode else []
    if found < saved:
        wrong.append(f"{saved} marks were saved, {found} are there")
    for folder in scratch.rglob("*.run"):
        run = Run(folder)
        status = run.status()
        if status is None:
            continue  # killed before its first word; the run's folder is whole and can be begun again
        if run.is_alive():
            os.kill(status.pid, signal.SIGKILL)
        run.load()
    return made, saved, found, wrong


def main() -> int:
    """Kill, and say what was lost."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    random = np.random.default_rng(options.seed)
    lost = 0
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name in ("autosave", "cache", "config", "models"):
            (scratch / name).mkdir()
            os.environ[f"SEMCLASS_{name.upper()}"] = str(scratch / name)
        tiny_model(scratch / "models" / "tiny.safetensors")
        pictures = []
        for kind in ("Fibres", "Particles"):
            pictures.append(scratch / f"{kind}.tif")
            tifffile.imwrite(pictures[-1], synthetic_micrograph(kind, seed=1)[:512, :512])
        for number in range(options.kills):
            made, saved, found, wrong = kill_one(number, pictures, scratch, random.uniform(0, _LONGEST_S))
            lost += bool(wrong)
            print(f"kill {number}: {made} marks made, {saved} told of as saved, {found} found; "
                  f"{'; '.join(wrong) or 'nothing lost'}", flush=True)  # fmt: skip
    print(f"{options.kills} kills of a window: {lost} with anything lost or damaged")
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
