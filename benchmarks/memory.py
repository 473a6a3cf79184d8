"""Does memory stay flat? Peak resident memory of classifying generated zarr micrographs of growing size.

`python benchmarks/memory.py [--sides 10000 20000]` classifies each in a process of its own (tiles of the model, stride
= tile), prints the peak in MB, and the difference between the largest and the smallest.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import zarr

CHUNK = 1024


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


def classify(path: str, model: str) -> None:
    """Classify one micrograph as the command line does, outputs included, and print tiles, seconds and peak memory."""
    from napari_semclass import classify_micrograph, load_model, open_micrographs
    from napari_semclass.classify.overlay import write_overlay
    from napari_semclass.classify.tables import write_geojson, write_tiles_csv

    begun = time.perf_counter()
    (micrograph,) = open_micrographs(path)
    prediction = classify_micrograph(micrograph, load_model(model))
    beside = Path(path)
    write_overlay(prediction, micrograph, beside.with_suffix(".overlay.png"))
    write_tiles_csv(prediction, beside.with_suffix(".tiles.csv"))
    write_geojson(prediction, beside.with_suffix(".geojson"))
    seconds = time.perf_counter() - begun
    unit = 1e3 if sys.platform != "darwin" else 1e6  # macOS counts bytes, Linux kilobytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(f"{len(prediction.grid)} {seconds:.1f} {peak:.0f}")


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sides", type=int, nargs="+", default=[10_000, 20_000])
    arguments.add_argument("--model", default="starter")
    arguments.add_argument("--one", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.one:
        classify(options.one, options.model)
        return
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for side in options.sides:
            path = make(Path(folder), side)
            command = [sys.executable, __file__, "--one", str(path), "--model", options.model]
            tiles, seconds, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            peaks.append(float(peak))
            print(
                f"{side:>7,} px: {int(tiles):>7,} tiles in {float(seconds):6.1f} s, peak {peaks[-1]:,.0f} MB",
                flush=True,
            )
    print(f"largest minus smallest: {max(peaks) - min(peaks):,.0f} MB")


if __name__ == "__main__":
    main()
