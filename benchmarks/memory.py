"""What a micrograph costs as it grows: peak resident memory, and processor time per megapixel.

`python benchmarks/memory.py [--sides 2000 5000 10000 20000] [--keep]` classifies generated zarr micrographs, each in a
process of its own with the memory settings of the command line, tiles of the model side by side: as the starter does,
tile by tile, and as a model with surroundings does, from feature maps (`--ways tiles context`). Results are written
(overlay, table, shapes). Prints tiles, processor seconds from opening to the last result, and the peak in MB.
`--keep` writes them to `results/cost.json`.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import zarr
from results import keep

CHUNK = 1024
WAYS = ("tiles", "context")


def make(folder: Path, side: int) -> Path:
    """A zarr micrograph of random texture, written chunk by chunk; 8 bit, compressed as zarr does by default."""
    path = folder / f"{side}.zarr"
    array = zarr.create_array(str(path), shape=(side, side), chunks=(CHUNK, CHUNK), dtype="uint8")
    random = np.random.default_rng(0)
    texture = random.integers(0, 255, (2 * CHUNK, 2 * CHUNK), dtype=np.uint8)
    for y in range(0, side, CHUNK):
        for x in range(0, side, CHUNK):
            top, left = random.integers(0, CHUNK, 2)
            array[y : y + CHUNK, x : x + CHUNK] = texture[
                top : top + min(CHUNK, side - y), left : left + min(CHUNK, side - x)
            ]
    return path


def classify(path: str, way: str) -> None:
    """Classify one micrograph as the command line does, and print tiles, processor seconds and peak memory."""
    from napari_semclass import Settings, classify_micrograph, load_model, open_micrographs
    from napari_semclass.classify.overlay import write_overlay
    from napari_semclass.classify.tables import write_geojson, write_tiles_csv
    from napari_semclass.memory import keep_freed_memory

    keep_freed_memory()
    model = load_model("starter")
    if way == "context":
        model = replace(model, card=replace(model.card, windows=True, context=3.0))
    begun = time.process_time()
    (micrograph,) = open_micrographs(path)
    prediction = classify_micrograph(micrograph, model, Settings(runtime="torch", precision="fp32", device="cpu"))
    beside = Path(path)
    write_overlay(prediction, micrograph, beside.with_suffix(".overlay.png"))
    write_tiles_csv(prediction, beside.with_suffix(".tiles.csv"))
    write_geojson(prediction, beside.with_suffix(".geojson"))
    seconds = time.process_time() - begun
    unit = 1e3 if sys.platform != "darwin" else 1e6  # macOS counts bytes, Linux kilobytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(f"{len(prediction.grid)} {seconds:.1f} {peak:.0f}")


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sides", type=int, nargs="+", default=[2_000, 5_000, 10_000, 20_000])
    arguments.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    arguments.add_argument("--keep", action="store_true")
    arguments.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.one:
        classify(*options.one)
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in options.ways}
    with tempfile.TemporaryDirectory() as folder:
        for side in options.sides:
            path = make(Path(folder), side)
            for way in options.ways:
                command = [sys.executable, __file__, "--one", str(path), way]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
                tiles, seconds, peak = (float(value) for value in said)
                cost = seconds / (side * side / 1e6)
                found[way].append({"side": side, "tiles": tiles, "seconds": seconds, "peak_mb": peak})
                print(f"{side:>7,} px, {way}: {tiles:,.0f} tiles, {seconds:.1f} s, {cost:.3f} s a megapixel, "
                      f"peak {peak:,.0f} MB", flush=True)  # fmt: skip
    if options.keep:
        keep("cost", {"ways": found})


if __name__ == "__main__":
    main()
