"""Many micrographs: seconds per file, memory over time, and what a killed run repeats.

`python benchmarks/batch.py [--files 500] [--kill-at 0.4] [--tiles] [--workers N]` writes generated micrographs of one
megapixel (a few, under many names), runs `semclass classify --whole` on them, kills it (SIGKILL) when a share is done,
runs it again, and prints one line of JSON: seconds per file, resident memory (MB) in the second and the last tenth of
each run, and how many of the files finished before the kill were done again.
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
from scipy.ndimage import gaussian_filter

SIDE = 1024
DIFFERENT = 20


def make(folder: Path, files: int) -> None:
    """Micrographs of smooth noise; each of a few pictures stands under many names."""
    random = np.random.default_rng(0)
    field = gaussian_filter(random.normal(size=(2 * SIDE, 2 * SIDE)), 3)
    field = (255 * (field - field.min()) / np.ptp(field)).astype(np.uint8)
    for index in range(files):
        path = folder / f"{index:06}.tif"
        if index < DIFFERENT:
            top, left = random.integers(0, SIDE, 2)
            tifffile.imwrite(path, field[top : top + SIDE, left : left + SIDE])
        else:
            os.link(folder / f"{index % DIFFERENT:06}.tif", path)


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


def follow(command: list[str], out: Path, stop_after: int | None) -> tuple[list[float], float, float]:
    """Run to the end or until so many files are done; resident memory over time, seconds, CPU seconds."""
    samples: list[float] = []
    used = 0.0
    begun = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        time.sleep(0.5)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            samples.append(memory(process))
            used = sum(process.cpu_times()[:2])
        done = sum(1 for path in out.iterdir() if path.suffix == ".png") if out.is_dir() else 0
        if stop_after is not None and done >= stop_after:
            for child in process.children(recursive=True):
                child.kill()
            process.kill()
            process.wait()
    return samples, time.perf_counter() - begun, used


def tenths(samples: list[float]) -> list[float]:
    """Mean of the second and of the last tenth (the first one loads torch)."""
    n = max(1, len(samples) // 10)
    return [round(sum(part) / len(part), 1) for part in (samples[n : 2 * n] or samples, samples[-n:])]


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=500)
    arguments.add_argument("--kill-at", type=float, default=0.4)
    arguments.add_argument("--tiles", action="store_true", help="tiles instead of whole pictures")
    arguments.add_argument("--workers", type=int)
    arguments.add_argument("--model", default="starter")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(scratch) / "in", Path(scratch) / "out"
        folder.mkdir()
        make(folder, options.files)
        program = [sys.executable, "-c", "import sys; from napari_semclass.cli import main; sys.exit(main())"]
        command = [*program, "classify", str(folder), "--out", str(out), "--model", options.model]
        command += [] if options.tiles else ["--whole"]
        command += ["--workers", str(options.workers)] if options.workers else []
        first, *_ = follow(command, out, int(options.kill_at * options.files))
        before = finished(out)
        second, seconds, used = follow(command, out, None)
        after = finished(out)
        redone = [stem for stem, written in before.items() if after.get(stem) != written]
        here = options.files - len(before)
        report = {
            "files": options.files,
            "finished_before_kill": len(before),
            "redone": len(redone),
            "done_at_the_end": len(after),
            "seconds_per_file": round(seconds / here, 4),
            "cpu_seconds_per_file": round(used / here, 4),
            "memory_mb_first_run": tenths(first),
            "memory_mb_second_run": tenths(second),
            "peak_mb": round(max(first + second), 1),
            "summary_lines": len((out / "summary.csv").read_text(encoding="utf-8").splitlines()) - 1,
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
