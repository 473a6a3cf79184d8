"""How much of the network's own speed reaches the user: tiles/s end to end over a bare forward pass.

`python benchmarks/throughput.py [--model NAME] [--pairs 7]` prints both rates of every interleaved pair and the median
ratio. Pixels lie in memory; the bare forward runs the same network on ready input at the best of a few batches.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from napari_semclass import Micrograph, Model, Settings, classification_steps, load_model
from napari_semclass.model.device import choose_device

SIDE_TILES = 12
BATCHES = (4, 8, 16, 32)


def end_to_end(model: Model, micrograph: Micrograph) -> float:
    """Tiles per second of a whole classification, grey range and result included."""
    begun = time.perf_counter()
    *_, last = classification_steps(micrograph, model, Settings())
    return last.total / (time.perf_counter() - begun)


def bare(model: Model, batch: int, tiles: int) -> float:
    """Tiles per second of the network alone on input that is ready."""
    size = model.card.input_size
    ready = torch.rand(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    begun = time.perf_counter()
    with torch.inference_mode():
        for _ in range(max(1, tiles // batch)):
            model.network(ready)
    return max(1, tiles // batch) * batch / (time.perf_counter() - begun)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", default="starter")
    arguments.add_argument("--pairs", type=int, default=7)
    options = arguments.parse_args()
    model = load_model(options.model).on(choose_device("cpu"))
    side = SIDE_TILES * model.card.tile
    pixels = np.random.default_rng(0).integers(0, 255, (side, side), dtype=np.uint8)
    micrograph = Micrograph(pixels, source="noise", known_bars=())
    tiles = SIDE_TILES**2
    end_to_end(model, micrograph)
    trial = {batch: bare(model, batch, 48) for batch in BATCHES}
    trial = {batch: max(speed, bare(model, batch, 48)) for batch, speed in trial.items()}
    best = max(trial, key=lambda batch: trial[batch])
    print(f"{torch.get_num_threads()} threads, {tiles} tiles of {model.card.tile} px, bare forward at batch {best}")
    ratios = []
    for pair in range(options.pairs):
        whole, alone = end_to_end(model, micrograph), bare(model, best, tiles)
        ratios.append(whole / alone)
        print(f"pair {pair + 1}: end to end {whole:6.1f}/s, bare {alone:6.1f}/s, ratio {ratios[-1]:.3f}")
    print(f"median ratio {statistics.median(ratios):.3f} (min {min(ratios):.3f}, max {max(ratios):.3f})")


if __name__ == "__main__":
    main()
