"""Where the time of a training epoch goes: `python benchmarks/training.py` prints the share of forward and backward.

One epoch of the shipped network for each size of the `progressive` recipe, on generated tiles, through the trainer's
own Learner, loader and callbacks. Also prints what `keep_freed_memory` is worth: the same epoch with and without it,
in processes of their own, as a ratio.
"""

import argparse
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback

from napari_semclass.learn.plan import read_plan
from napari_semclass.memory import keep_freed_memory
from napari_semclass.model import load_model
from semclass_training.augment import Augment
from semclass_training.callbacks import Follow
from semclass_training.learner import make_learner, rates
from semclass_training.loaders import TileLoader
from semclass_training.prepare import at_size

TILES = 320


class Clock(Callback):  # type: ignore[misc]
    """Adds up the time from a batch's being ready to its gradients' being there."""

    order = 100

    def __init__(self) -> None:
        self.seconds = self.epoch_seconds = 0.0

    def before_train(self) -> None:
        """Begin an epoch."""
        self._epoch = time.perf_counter()

    def before_batch(self) -> None:
        """Begin a batch."""
        self._batch = time.perf_counter()

    def before_step(self) -> None:
        """Gradients are there."""
        self.seconds += time.perf_counter() - self._batch

    def after_train(self) -> None:
        """End an epoch."""
        self.epoch_seconds = time.perf_counter() - self._epoch


def epoch(size: int) -> Clock:
    """Train one epoch of generated tiles of a size."""
    plan = read_plan("progressive")
    model = load_model("starter")
    network = model.network.requires_grad_(True).to(memory_format=torch.channels_last)
    random = np.random.default_rng(0)
    tiles = torch.from_numpy(random.integers(0, 255, (TILES, size, size), dtype=np.uint8))
    labels = torch.from_numpy(random.integers(0, 10, TILES))
    card, cpu, batch = at_size(model.card, size), torch.device("cpu"), plan.stages[0].batch
    training = TileLoader(tiles, labels, card, batch, cpu, augment=Augment(plan.augmentation))
    nothing = TileLoader(tiles[:0], labels[:0], card, batch, cpu)
    follow = Follow(lambda *_: None, lambda *_: None, lambda: False)
    parts = make_learner(plan, network, (training, nothing), follow, None)
    clock = Clock()
    fit: Any = parts.learner
    fit.add_cb(clock)
    fit.unfreeze()
    fit.fit_one_cycle(1, rates(plan, 1e-4))
    return clock


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--memory", choices=("kept", "returned"), help="one epoch only, with memory kept or not")
    memory = arguments.parse_args().memory
    if memory:
        if memory == "kept":
            keep_freed_memory()
        print(epoch(read_plan("progressive").stages[-1].size).epoch_seconds)
        return
    keep_freed_memory()
    for size in dict.fromkeys(stage.size for stage in read_plan("progressive").stages):
        clock = epoch(size)
        share = clock.seconds / clock.epoch_seconds
        print(f"{size} px: {TILES / clock.epoch_seconds:.0f} tiles/s, {share:.3f} of the time is forward and backward")
    seconds = {}
    for kind in ("kept", "returned", "kept", "returned"):
        command = [sys.executable, "-W", "ignore", __file__, "--memory", kind]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds.setdefault(kind, []).append(float(done.stdout))
    print(f"memory returned : kept = {min(seconds['returned']) / min(seconds['kept']):.2f} (best of two each)")


if __name__ == "__main__":
    main()
