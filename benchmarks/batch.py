"""Many micrographs: files per second, memory over time, and what killed runs repeat.

`python benchmarks/batch.py [--files 500] [--kill-at 0.4] [--tiles] [--workers N] [--scratch DIR] [--keep]` writes
generated micrographs of one megapixel (1 MB each, no two alike), runs `semclass classify --whole` on them, kills it
(SIGKILL) whenever one of the shares given is done, runs it again each time, and prints JSON: files per second, resident
memory (MB) in the second and the last tenth of each run, its slope over files, and how many of the files finished
before a kill were done again. `--keep` writes it to `results/many_files.json`, too. Ten thousand files take 10 GB in
`--scratch`, which are removed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import tifffile
from results import keep
from scipy.ndimage import gaussian_filter

SIDE = 1000
_POINTS = 150  # of memory, that are kept of a run


def make(folder: Path, files: int) -> None:
    """Micrographs of smooth noise: cut-outs of one field, each at a place and of a brightness of its own."""
    random = np.random.default_rng(0)
    field = gaussian_filter(random.normal(size=(2 * SIDE, 2 * SIDE)), 3)
    field = (200 * (field - field.min()) / np.ptp(field)).astype(np.uint8)
    for index in range(files):
        top, left = divmod(index * 7919, SIDE)
        picture = field[top % SIDE :, left:][:SIDE, :SIDE] + np.uint8(index % 50)
        tifffile.imwrite(folder / f"{index:06}.tif", picture, photometric="minisblack")


def finished(out: Path) -> dict[str, int]:
    """Files noted as done, and when their overlays were written (ns)."""
    lines = (out / "run.jsonl").read_bytes().splitlines()[1:] if (out / "run.jsonl").exists() else []
    entries = [json.loads(line) for line in lines if line.endswith(b"}")]
    if (out / "run.json").exists():
        entries += json.loads((out / "run.json").read_bytes())["files"]
    stems = {entry["stem"] for entry in entries if entry["status"] == "done"}
    return {stem: (out / f"{stem}.overlay.png").stat().st_mtime_ns for stem in stems}


def memory(process: psutil.Process) -> float:
    """Resident memory in MB of a process and all that it started."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6


def follow(command: list[str], out: Path, stop_after: int | None) -> tuple[list[tuple[int, float]], float, float]:
    """Run to the end or until so many files are done: (files done, resident MB) over time, seconds, CPU seconds."""
    samples: list[tuple[int, float]] = []
    used = 0.0
    begun = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        time.sleep(0.5)
        done = sum(1 for name in os.listdir(out) if name.endswith(".png")) if out.is_dir() else 0  # noqa: PTH208 - twice as fast as Path.iterdir for 10,000 names, ten times a second
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            samples.append((done, memory(process)))
            used = sum(process.cpu_times()[:2])
        if stop_after is not None and done >= stop_after:
            for child in process.children(recursive=True):
                child.kill()
            process.kill()
            process.wait()
    return samples, time.perf_counter() - begun, used


def run_of(samples: list[tuple[int, float]], seconds: float, used: float) -> dict[str, object]:
    """What is said of a run: its first tenth, in which torch is loaded, counts for the speed only."""
    done, resident = np.array(samples).T
    tenth = max(1, len(samples) // 10)
    files = int(done[-1] - done[0])
    slope = float(np.polyfit(done[tenth:], resident[tenth:], 1)[0]) if files else 0.0
    every = max(1, len(samples) // _POINTS)
    return {
        "files": files,
        "files_per_second": round(files / seconds, 2),
        "cpu_seconds_per_file": round(used / max(1, files), 4),
        "memory_mb": [round(float(part.mean()), 1) for part in (resident[tenth : 2 * tenth], resident[-tenth:])],
        "slope_mb_per_1000_files": round(1000 * slope, 2),
        "peak_mb": round(float(resident.max()), 1),
        "samples": [[number, round(size, 1)] for number, size in samples[::every]],
    }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=500)
    arguments.add_argument("--kill-at", type=float, nargs="*", default=[0.4], help="shares of the files, ascending")
    arguments.add_argument("--tiles", action="store_true", help="tiles instead of whole pictures")
    arguments.add_argument("--workers", type=int)
    arguments.add_argument("--model", default="starter")
    arguments.add_argument("--scratch", type=Path, help="folder for pictures and results; default the system's")
    arguments.add_argument("--keep", action="store_true")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder, out = Path(scratch) / "in", Path(scratch) / "out"
        folder.mkdir()
        make(folder, options.files)
        program = [sys.executable, "-c", "import sys; from napari_semclass.cli import main; sys.exit(main())"]
        command = [*program, "classify", str(folder), "--out", str(out), "--model", options.model]
        command += [] if options.tiles else ["--whole"]
        command += ["--workers", str(options.workers)] if options.workers else []
        runs, kept, redone = [], [], 0
        for share in [*options.kill_at, None]:
            before = finished(out)
            measured = follow(command, out, None if share is None else int(share * options.files))
            after = finished(out)
            redone += sum(after.get(stem) != written for stem, written in before.items())
            runs.append(run_of(*measured))
            kept.append(len(after))
        report = {
            "files": options.files,
            "finished_at_each_end": kept,
            "redone": redone,
            "runs": runs,
            "summary_lines": len((out / "summary.csv").read_text(encoding="utf-8").splitlines()) - 1,
        }
    if options.keep:
        keep("many_files", report)
    else:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
