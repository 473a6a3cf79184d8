"""A micrograph of any size through the whole path: memory, chunks read, and resuming in its middle.

`python benchmarks/huge.py [--sides 20000 200000] [--tile 2000] [--kill-at 0.5] [--keep]` makes a virtual zarr (chunks
of 1,000 px, made when they are read, so that nothing of it lies on disk) and runs it through a batch with a network
that looks at the mean grey level only. The run is killed (SIGKILL) in its middle and started again. Prints one line of
JSON per side: tiles, seconds, peak resident memory (MB), tiles at the start of the second run, and how often chunks
were read.
`--keep` writes them to `results/huge.json`, with the resident memory over time of the second run.
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from results import keep

CHUNK = 1000


class Virtual:
    """A zarr-like array whose chunks are made when they are read, and counted."""

    def __init__(self, side: int) -> None:
        self.shape, self.chunks, self.dtype = (side, side), (CHUNK, CHUNK), np.dtype(np.uint8)
        self.reads: Counter[tuple[int, int]] = Counter()
        self._texture = np.random.default_rng(0).integers(0, 128, (CHUNK, CHUNK), dtype=np.uint8)

    def __getitem__(self, box: tuple[slice, slice]) -> Any:
        (y0, y1, _), (x0, x1, _) = (part.indices(n) for part, n in zip(box, self.shape, strict=True))
        out = np.empty((y1 - y0, x1 - x0), np.uint8)
        for row in range(y0 // CHUNK, -(-y1 // CHUNK)):
            for column in range(x0 // CHUNK, -(-x1 // CHUNK)):
                self.reads[row, column] += 1
                top, bottom = max(y0, row * CHUNK), min(y1, (row + 1) * CHUNK)
                left, right = max(x0, column * CHUNK), min(x1, (column + 1) * CHUNK)
                chunk = self._texture + np.uint8((row * 7 + column * 3) % 128)
                place = (
                    slice(top - row * CHUNK, bottom - row * CHUNK),
                    slice(left - column * CHUNK, right - column * CHUNK),
                )
                out[top - y0 : bottom - y0, left - x0 : right - x0] = chunk[place]
        return out


def stub() -> Any:
    """A model whose network averages the grey levels of its input: almost free."""
    import torch

    from napari_semclass.model import Card, Category, Model, Preprocessing

    class Mean(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor([-1.0, 1.0]), requires_grad=False)

        def get_classifier(self) -> torch.nn.Module:
            return self

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return batch.mean(dim=(1, 2, 3))[:, None] * self.weight

    card = Card(
        name="mean", title="Mean", description="Looks at the mean grey level.", backbone="none", unit="tile", tile=224,
        categories=(Category("dark", "#d55e00"), Category("bright", "#56b4e9")), input_size=32,
        preprocessing=Preprocessing(mean=0.5, std=0.5),
    )  # fmt: skip
    return Model(Mean(), card, "0" * 64)


def classify(side: int, tile: int, out: str) -> None:
    """One run of the batch; prints its first count of tiles at once, and the rest at its end."""
    import napari_semclass.classify.pipeline as pipeline
    from napari_semclass.classify import Batch, Settings
    from napari_semclass.micrograph import as_micrographs

    virtual = Virtual(side)
    pipeline.open_micrographs = lambda path: as_micrographs(virtual, source=str(path))
    begun, first, step = time.perf_counter(), None, None
    process, samples = psutil.Process(), []
    for step in Batch([f"{out}.tif"], stub(), Settings(tile=tile, device="cpu"), out).steps():
        if first is None:
            first = step.done
            print(first, flush=True)
        if not step.finished and step.done % 10 == 0:
            print(step.done / step.total, flush=True)
            samples.append([round(step.done / step.total, 4), round(process.memory_info().rss / 1e6)])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e3 if sys.platform != "darwin" else 1e6)
    counts = Counter(virtual.reads.values())
    said = {"tiles": step.entry.tiles, "first": first, "seconds": round(time.perf_counter() - begun, 1)}
    print(
        json.dumps(
            {
                **said,
                "peak_mb": round(peak),
                "chunks_read_so_often": dict(sorted(counts.items())),
                "samples": samples[:: max(1, len(samples) // 150)],
            }
        ),
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sides", type=int, nargs="+", default=[20_000, 200_000])
    arguments.add_argument("--tile", type=int, default=2000)
    arguments.add_argument("--kill-at", type=float, default=0.5, help="share of the tiles; 0 leaves it alone")
    arguments.add_argument("--keep", action="store_true")
    arguments.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.one:
        classify(int(options.one[0]), options.tile, options.one[1])
        return
    found = []
    for side in options.sides:
        with tempfile.TemporaryDirectory() as scratch:
            out = str(Path(scratch) / "out")
            Path(f"{out}.tif").touch()
            command = [sys.executable, __file__, "--tile", str(options.tile), "--one", str(side), out]
            killed_at = 0.0
            if options.kill_at:
                with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                    for line in process.stdout or []:
                        killed_at = float(line) if not line.startswith("{") else 1.0
                        if options.kill_at < killed_at < 1:
                            process.send_signal(signal.SIGKILL)
                            break
            lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
            found.append({"side": side, "tile": options.tile, "killed_at": killed_at, **json.loads(lines[-1])})
            print(json.dumps(found[-1]), flush=True)
    if options.keep:
        keep("huge", {"sides": found})


if __name__ == "__main__":
    main()
