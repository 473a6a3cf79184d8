"""How much of the network's own speed reaches the user: end to end beside the bare forward pass, in interleaved pairs.

    python benchmarks/throughput.py [--pairs 7] [--files 6] [--side 2048] [--threads 1] [--keep]

Pixels in memory: `classification_steps` on one micrograph of SIDE x 3/4 SIDE px, grey range, grid and result included.
From files: as many such micrographs on disk as asked for, as TIFF (not compressed) and as JPEG, through the batch that
`semclass classify FOLDER --out DIR` runs: opened, decoded, data bars looked for, classified, and all results written
(overlay, table, shapes, summary, record). Left out is what happens once per process: importing, loading the model and
compiling it. The bare forward pass computes as many tiles on ready input at the best of a few batches, normalisations
folded, with the same runtime and precision.

Ratios are of processor time first, as others may be using the machine, then of wall time; each is the median of the
pairs with the smallest and largest. With the memory settings of `semclass`. `--keep` writes `results/throughput.json`.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from peers import WAYS, bare, best_batch, ours, timed
from PIL import Image
from results import keep
from scipy.ndimage import gaussian_filter

from napari_semclass import Micrograph, Model, Settings, load_model
from napari_semclass.classify import Batch
from napari_semclass.memory import keep_freed_memory
from napari_semclass.model.device import choose_device

_SHIFT = 8  # rows between one micrograph and the next


def from_files(model: Model, folder: Path, way: str) -> Callable[[], object]:
    """A batch over a folder, into a new folder each time; gives how many tiles there were."""
    runtime, precision = way.split()
    settings = Settings(precision=precision, runtime=runtime, device="cpu")
    numbers = count()

    def run() -> int:
        batch = Batch([str(folder)], model, settings, str(folder.with_name(f"{folder.name} {way} {next(numbers)}")))
        return sum(step.entry.tiles for step in batch.steps() if step.finished)

    return run


def compared(whole: Callable[[], object], alone: Callable[[], object], tiles: int, pairs: int) -> dict[str, object]:
    """Bare time over whole time, in turn: how much of the speed is left."""
    whole()
    alone()
    spent = [(timed(whole), timed(alone)) for _ in range(pairs)]
    found: dict[str, object] = {"tiles": tiles}
    for index, kind in enumerate(("processor", "wall")):
        ratios = [other[index] / one[index] for one, other in spent]
        found[kind] = [round(value, 3) for value in (statistics.median(ratios), min(ratios), max(ratios))]
    milliseconds = [1e3 * statistics.median(each[which][0] for each in spent) / tiles for which in (0, 1)]
    return found | {"ms_per_tile": round(milliseconds[0], 3), "bare_ms_per_tile": round(milliseconds[1], 3)}


def written(folder: Path, field: NDArray[np.uint8], files: int) -> dict[str, Path]:
    """Folders of micrographs, no two alike, by what is said of them."""
    folders = {"TIFF files": folder / "tiff", "JPEG files": folder / "jpeg"}
    for each in folders.values():
        each.mkdir()
    for index in range(files):
        picture = field[_SHIFT * index : len(field) - _SHIFT * (files - index)]
        tifffile.imwrite(folders["TIFF files"] / f"{index}.tif", picture, photometric="minisblack")
        Image.fromarray(picture).save(folders["JPEG files"] / f"{index}.jpg", quality=90)
    return folders


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pairs", type=int, default=7)
    arguments.add_argument("--files", type=int, default=6)
    arguments.add_argument("--side", type=int, default=2048)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--way", action="append", choices=WAYS, help="runtime and precision (default: all)")
    arguments.add_argument("--keep", action="store_true")
    options = arguments.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    model = load_model("starter").on(choose_device("cpu"))
    shape = options.side * 3 // 4 + _SHIFT * options.files, options.side
    noise = gaussian_filter(np.random.default_rng(0).normal(size=shape), 2)
    field = (255 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8)
    micrograph = Micrograph(field[: options.side * 3 // 4], source="noise", known_bars=())
    each = len(Settings().grid(micrograph, model.card))
    found: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folders = written(Path(scratch), field, options.files)
        for way in options.way or WAYS:
            batch = best_batch(model, way)
            found[way] = {"bare_batch": batch}
            alone = bare(model, each * options.files, way, batch)
            run = ours(model, micrograph, way)
            found[way]["memory"] = compared(
                lambda run=run: [run() for _ in range(options.files)], alone, each * options.files, options.pairs
            )
            for said, folder in folders.items():
                whole = from_files(model, folder, way)
                found[way][said] = compared(whole, alone, each * options.files, options.pairs)
            print(way, json.dumps(found[way]), flush=True)
    report = {"micrograph": [options.side * 3 // 4, options.side], "files": options.files, "threads": options.threads}
    report |= {"pairs": options.pairs, "ways": found}
    if options.keep:
        keep("throughput", report)


if __name__ == "__main__":
    main()
