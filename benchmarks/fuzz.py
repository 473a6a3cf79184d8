"""Coverage-guided fuzzing of every reader (atheris): whatever bytes come, a result or an error of ours, and no hang.

    python benchmarks/fuzz.py TARGET [--minutes 3] [--keep FOLDER]

TARGET is one of those in `TARGETS`, or `all`, which takes them in turn, each in a process of its own. Inputs begin
from small whole files; those that reach new code of this program are kept in FOLDER for the next time. Ends with how
many inputs were tried, or with the input that broke a reader, which libFuzzer keeps as `crash-*`. Needs `pip install
atheris` (Linux, macOS).
"""

import argparse
import io
import json
import logging
import os
import re
import resource
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["napari_semclass"]):
    import fuzz_structured as structured

    from napari_semclass.annotate.arrays import load_arrays, save_arrays
    from napari_semclass.annotate.project_file import from_json
    from napari_semclass.classify.journal import replay
    from napari_semclass.classify.record import Entry, Record, load_record
    from napari_semclass.errors import SemclassError
    from napari_semclass.learn.dataset import read_manifest
    from napari_semclass.learn.events import read_events
    from napari_semclass.learn.plan import read_plan, write_plan
    from napari_semclass.learn.run import Run
    from napari_semclass.micrograph import open_micrographs
    from napari_semclass.model.file import read_card

_SECONDS_AN_INPUT = 20
_MB = 4000  # more than this while one input is read is a failure, too
_PICTURE = np.random.default_rng(0).integers(0, 255, (24, 20), dtype=np.uint8)


@dataclass(frozen=True)
class Target:
    """`read` is given a file with the input in it; `seeds` are whole ones."""

    read: Callable[[Path], object]
    seeds: Callable[[Path], list[bytes]]


def _pixels(path: Path) -> None:
    for micrograph in open_micrographs(path)[:4]:
        micrograph.read(0, min(64, micrograph.shape[0]), 0, min(64, micrograph.shape[1]))


def _tiffs(folder: Path) -> list[bytes]:
    import tifffile

    found = []
    zeiss = "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 7.30 nm\r\n"
    for options in ({}, {"compression": "zlib"}, {"tile": (16, 16)}, {"description": zeiss}, {"imagej": True}):
        tifffile.imwrite(folder / "a.tif", _PICTURE, **options)
        found.append((folder / "a.tif").read_bytes())
    return found


def _pictures(folder: Path) -> list[bytes]:
    from PIL import Image

    found = []
    for kind in ("PNG", "JPEG", "BMP"):
        buffer = io.BytesIO()
        Image.fromarray(_PICTURE).save(buffer, kind)
        found.append(buffer.getvalue())
    return found


def _plans(folder: Path) -> list[bytes]:
    write_plan(read_plan("progressive"), folder / "a.toml")
    return [(folder / "a.toml").read_bytes()]


def _manifests(folder: Path) -> list[bytes]:
    return [
        b"path,class,group,pixel_size,y0,x0,y1,x1\na.png,grain,g,1e-9,0,0,9,9\n",
        b"\xef\xbb\xbfpath,class\na.png,b\n",
    ]


def _records(folder: Path) -> list[bytes]:
    Record({}, "cpu", "float32", {"sha256": "0"}, {}, ["a"], "now", files=[Entry("a", "/a", "a", "a")]).save(folder)
    return [(folder / "run.json").read_bytes().replace(b"\n", b" ")]


def _read_record(path: Path) -> None:
    path.with_name("run.json").write_bytes(path.read_bytes())
    path.with_name("run.jsonl").write_bytes(b'{"started": "now"}\n' + path.read_bytes())
    record = load_record(path.parent)
    if record is not None:
        replay(path.parent, record)


def _read_run(path: Path) -> None:
    run = Run(path.parent)
    for file in (run.status_file, run.stop_file, run.events_file):
        file.write_bytes(path.read_bytes())
    run.is_alive()
    run.wish()
    list(read_events(run.events_file))


def _runs(folder: Path) -> list[bytes]:
    status = {"state": "running", "pid": 1, "created": 1.0, "heartbeat": 2.0}
    event = {"schema": 1, "seq": 0, "time": "2026-01-01T00:00:00+00:00", "sentence": "x", "kind": "warning"}
    return [json.dumps(status).encode(), json.dumps(event).encode() + b"\n", b"finish"]


def _cards(folder: Path) -> list[bytes]:
    from napari_semclass.model.store import _SHIPPED

    content = next(_SHIPPED.glob("*.safetensors")).read_bytes()
    return [content[: 8 + int.from_bytes(content[:8], "little")]]


def _arrays(folder: Path) -> list[bytes]:
    return [(folder / save_arrays({"plane0": _PICTURE}, folder)).read_bytes()]


def _projects(folder: Path) -> list[bytes]:
    return [(structured.a_project(folder) / "project.json").read_bytes()]


def _choices(_: Path) -> list[bytes]:
    """Bytes that stand for changes: any do."""
    random = np.random.default_rng(0)
    return [random.bytes(64) for _ in range(20)]


TARGETS = {
    "tiff": Target(_pixels, _tiffs),
    "pictures": Target(_pixels, _pictures),
    "plan": Target(read_plan, _plans),
    "manifest": Target(lambda path: read_manifest(path.rename(path.with_name("manifest.csv")).parent), _manifests),
    "record": Target(_read_record, _records),
    "run": Target(_read_run, _runs),
    "card": Target(read_card, _cards),
    "project": Target(lambda path: from_json(path.read_bytes(), path), _projects),
    "edited": Target(lambda path: structured.edited()(path), _choices),
    "arrays": Target(load_arrays, _arrays),
    "tags": Target(structured.read_tags, structured.tags),
    "sidecar": Target(structured.read_sidecar, structured.sidecars),
}
_SUFFIX = {"tiff": "tif", "pictures": "png", "plan": "toml", "card": "safetensors", "arrays": "npz"}


def fuzz(name: str, seconds: int, keep: Path) -> None:
    """Fuzz one target; does not return."""
    target, scratch = TARGETS[name], Path(tempfile.mkdtemp())
    keep.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds(scratch)):
        (keep / f"seed{number}").write_bytes(seed)
    path = scratch / f"input.{_SUFFIX.get(name, 'txt')}"
    resource.setrlimit(resource.RLIMIT_AS, (3 * _MB * 1_000_000,) * 2)
    warnings.simplefilter("ignore")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)

    def once(content: bytes) -> None:
        path.write_bytes(content)
        try:
            target.read(path)
        except SemclassError as error:
            if "\n" in str(error) or not str(error):
                raise RuntimeError(f"not one sentence: {error}") from error

    options = [f"-max_total_time={seconds}", f"-timeout={_SECONDS_AN_INPUT}", f"-rss_limit_mb={_MB}", "-max_len=20000"]
    atheris.Setup([sys.argv[0], *options, str(keep)], once)
    atheris.Fuzz()


def main() -> int:
    """Fuzz what is asked for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("target", choices=["all", *TARGETS])
    arguments.add_argument("--minutes", type=float, default=3)
    arguments.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "semclass-fuzz")
    options = arguments.parse_args()
    if options.target != "all":
        fuzz(options.target, round(60 * options.minutes), options.keep / options.target)
    status = 0
    for name in TARGETS:
        command = [sys.executable, __file__, name, "--minutes", str(options.minutes), "--keep", str(options.keep)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
        tried = re.findall(r"^#(\d+)", done.stderr, re.MULTILINE)
        print(
            f"{name}: {int(tried[-1]) if tried else 0:,} inputs, "
            + ("nothing found" if not done.returncode else "BROKEN")
        )
        if done.returncode:
            print("\n".join(done.stderr.splitlines()[-40:]))
        status |= done.returncode
    return int(status != 0)


if __name__ == "__main__":
    sys.exit(main())
