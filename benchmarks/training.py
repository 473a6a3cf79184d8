"""What a training epoch costs: ours, the bare forward and backward, and a plain fastai script.

    python benchmarks/training.py [--rounds 3] [--tiles 160] [--threads 1] [--keep]

The shipped network, all of it learning, for each size of the `progressive` recipe, on the same generated tiles in the
same batches. `ours` is the trainer's own Learner, loader and callbacks, augmentation included; `bare` only computes
loss, gradients and AdamW's step on ready batches; `plain fastai` is what one writes in ten lines (DataBlock, PIL,
aug_transforms, Learner). All three with the memory settings that the trainer gives itself, in turn, round by round:
processor time of an epoch is printed, and which share of ours is forward and backward. Then what these memory settings
are worth: one epoch of ours with and without them, in processes of their own. `--keep` writes `results/epoch.json`.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback
from numpy.typing import NDArray
from results import keep
from torch import nn

from napari_semclass.learn.plan import read_plan
from napari_semclass.memory import keep_freed_memory
from napari_semclass.model import load_model
from napari_semclass.model.preprocess import network_input
from semclass_training.augment import Augment
from semclass_training.callbacks import Follow
from semclass_training.learner import make_learner, rates
from semclass_training.loaders import TileLoader
from semclass_training.prepare import at_size

_CATEGORIES = 10
_Epoch = Callable[[], float]
"""Trains one epoch; gives the seconds of forward and backward, or 0 where they were not told apart."""


class Clock(Callback):  # type: ignore[misc]  # fastai is untyped
    """Adds up the processor time from a batch's being ready to its gradients' being there."""

    order = 100
    seconds = 0.0

    def before_batch(self) -> None:
        """Begin a batch."""
        self._batch = time.process_time()

    def before_step(self) -> None:
        """Gradients are there."""
        self.seconds += time.process_time() - self._batch


def network() -> nn.Module:
    """The shipped network, ready to learn."""
    return load_model("starter").network.requires_grad_(True).to(memory_format=torch.channels_last)


def ours(tiles: NDArray[np.uint8], labels: NDArray[np.int64]) -> _Epoch:
    """An epoch of the trainer."""
    plan, card, cpu = read_plan("progressive"), load_model("starter").card, torch.device("cpu")
    pixels, truth, batch = torch.from_numpy(tiles), torch.from_numpy(labels), plan.stages[0].batch
    shown = at_size(card, tiles.shape[-1])

    def run() -> float:
        training = TileLoader(pixels, truth, shown, batch, cpu, augment=Augment(plan.augmentation))
        nothing = TileLoader(pixels[:0], truth, shown, batch, cpu)
        follow = Follow(lambda *_: None, lambda *_: None, lambda: False)
        fit: Any = make_learner(plan, network(), (training, nothing), follow, None).learner
        clock = Clock()
        fit.add_cb(clock)
        fit.unfreeze()
        fit.fit_one_cycle(1, rates(plan, 1e-4))
        return clock.seconds

    return run


def bare(tiles: NDArray[np.uint8], labels: NDArray[np.int64]) -> _Epoch:
    """Forward, backward and step on batches that are ready."""
    card, batch = load_model("starter").card, read_plan("progressive").stages[0].batch
    shown = network_input(torch.from_numpy(tiles).float() / 255, at_size(card, tiles.shape[-1]))
    inputs = [part.contiguous(memory_format=torch.channels_last) for part in shown.split(batch)]
    truth = torch.from_numpy(labels).split(batch)

    def run() -> float:
        learning = network().eval()  # statistics of the start weights are kept, as the recipe has it
        optimiser = torch.optim.AdamW(learning.parameters(), lr=1e-4)
        for each, wanted in zip(inputs, truth, strict=True):
            optimiser.zero_grad()
            nn.functional.cross_entropy(learning(each), wanted).backward()
            optimiser.step()
        return 0.0

    return run


def plain(tiles: NDArray[np.uint8], labels: NDArray[np.int64]) -> _Epoch:
    """What one writes with fastai."""
    from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, Learner, Normalize, aug_transforms
    from fastai.vision.core import PILImage

    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=list(range(_CATEGORIES)))),
        get_x=lambda index: PILImage.create(np.repeat(tiles[index][..., None], 3, axis=2)),
        get_y=lambda index: int(labels[index]),
        splitter=lambda items: (list(range(len(items))), []),
        batch_tfms=[*aug_transforms(), Normalize.from_stats([0.5] * 3, [0.5] * 3)],
    )
    loaders = block.dataloaders(range(len(tiles)), bs=read_plan("progressive").stages[0].batch, num_workers=0)

    def run() -> float:
        learner = Learner(loaders, network(), loss_func=nn.functional.cross_entropy)
        with learner.no_bar(), learner.no_logging():
            learner.fit_one_cycle(1, 1e-4)
        return 0.0

    return run


def made(size: int, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Tiles of noise, and categories drawn for them."""
    random = np.random.default_rng(0)
    return random.integers(0, 255, (count, size, size), dtype=np.uint8), random.integers(0, _CATEGORIES, count)


def compared(size: int, options: argparse.Namespace) -> tuple[dict[str, float], float]:
    """Processor milliseconds per tile of each contestant, and the share of ours that is forward and backward."""
    contestants = {"ours": ours, "bare forward and backward": bare, "plain fastai": plain}
    epochs = {who: make(*made(size, options.tiles)) for who, make in contestants.items()}
    spent: dict[str, list[float]] = {who: [] for who in epochs}
    shares = []
    for number in range(options.rounds + 1):  # the first round warms up
        for who, run in epochs.items():
            begun = time.process_time()
            inside = run()
            took = time.process_time() - begun
            if number:
                spent[who].append(1e3 * took / options.tiles)
                shares += [inside / took] if inside else []
    for who in list(spent)[1:]:
        ratios = [other / own for own, other in zip(spent["ours"], spent[who], strict=True)]
        print(f"{size} px: {who}: {statistics.median(ratios):.2f} times ours ({min(ratios):.2f} to {max(ratios):.2f})")
    share = statistics.median(shares)
    print(f"{size} px: {share:.3f} of ours is forward and backward", flush=True)
    return {who: round(statistics.median(each), 2) for who, each in spent.items()}, round(share, 3)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--tiles", type=int, default=160)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--keep", action="store_true")
    arguments.add_argument("--memory", choices=("kept", "returned"), help="one epoch of ours only, and its seconds")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    sizes = list(dict.fromkeys(stage.size for stage in read_plan("progressive").stages))
    if options.memory != "returned":
        keep_freed_memory()
    if options.memory:
        run = ours(*made(sizes[-1], options.tiles))
        begun = time.process_time()
        run()
        print(time.process_time() - begun)
        return
    found = {str(size): compared(size, options) for size in sizes}
    seconds: dict[str, list[float]] = {"kept": [], "returned": []}
    for kind in (*seconds, *seconds):
        command = [sys.executable, "-W", "ignore", __file__, "--memory", kind, "--threads", str(options.threads)]
        seconds[kind].append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    worth = min(seconds["returned"]) / min(seconds["kept"])
    print(f"memory returned : kept = {worth:.2f} (best of two each)")
    report = {"threads": options.threads, "ms_per_tile": {size: spent for size, (spent, _) in found.items()}}
    report |= {"forward_backward_share": {size: share for size, (_, share) in found.items()}}
    if options.keep:
        keep("epoch", report | {"memory_returned_over_kept": round(worth, 2)})


if __name__ == "__main__":
    main()
