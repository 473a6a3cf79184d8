"""Kills at random moments: what is on disk afterwards is whole, and going on ends as if nothing had happened.

    python benchmarks/faults.py [--kills 240] [--seed 0] [--only classify|large|marks|learn|train]

For each kind of work, a process is killed (SIGKILL) again and again at a moment drawn at random; after each kill every
file it left is opened, the work is begun again and run to its end, and its results are compared with those of an
undisturbed run. Processes are forked from this one, which has everything loaded, so that a kill does not cost the
seconds that loading takes; so this runs where there is `fork` (Linux, macOS). Prints how many kills, how many of
them hit work that was under way, and what was lost, which must be nothing: else the exit status is 1.
"""

import argparse
import csv
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import tifffile
import torch
from safetensors.torch import load_file

from napari_semclass import Settings
from napari_semclass.annotate import Categories, ImageEntry, MarkLayer
from napari_semclass.annotate.learning import learn_project
from napari_semclass.annotate.project import Project, read_project, write_project
from napari_semclass.classify import partial as kept_parts
from napari_semclass.classify.batch import Batch
from napari_semclass.classify.record import load_record
from napari_semclass.learn.plan import Plan, Stage
from napari_semclass.learn.run import Run, Task
from napari_semclass.model import Card, Category, Model, Preprocessing, build_network, load_model, save_model

_BANDS = np.repeat(np.array([10, 125, 240], np.uint8), [64, 32, 64])[None].repeat(96, 0)


@dataclass(frozen=True)
class Work:
    """A kind of work in a folder of its own, made anew for each kill.

    `prepare` makes it, `do` does it (in a process that may be killed), `faults` says what is wrong with what a kill
    left, `differences` what is wrong with the end after it was begun again.
    """

    prepare: Callable[[Path], None]
    do: Callable[[Path], None]
    faults: Callable[[Path], list[str]]
    differences: Callable[[Path, Path], list[str]]


def forked(do: Callable[[], None]) -> int:
    """Do it in a process of its own; its number."""
    child = os.fork()
    if child:
        return child
    status = 0
    try:
        do()
    except BaseException:
        traceback.print_exc()
        status = 1
    os._exit(status)


def damaged(folder: Path) -> list[str]:
    """Files below a folder that cannot be read as what their names say."""
    found = []
    for path in sorted(folder.rglob("*")):
        # Of a hidden zarr only its own reader knows which parts count; a temporary file is nobody's result.
        if path.is_dir() or ".zarr" in str(path) or path.suffix in (".part", ".lock"):
            continue
        try:
            _READERS.get(path.suffix, lambda _: None)(path)
        except Exception as error:
            found.append(f"{path.name}: {error}")
    return found


def _read_table(path: Path) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or {len(row) for row in rows} != {len(rows[0])}:
        raise ValueError("rows differ in length")


_READERS: dict[str, Callable[[Path], object]] = {
    ".json": lambda path: json.loads(path.read_bytes()),
    ".geojson": lambda path: json.loads(path.read_bytes()),
    ".csv": _read_table,
    ".png": iio.imread,
    ".toml": lambda path: tomllib.loads(path.read_text(encoding="utf-8")),
    ".safetensors": load_file,
    ".npz": lambda path: dict(np.load(path, allow_pickle=False)),
}


def tiny_model(path: Path) -> Model:
    """A small network with random weights: what it answers does not matter, only that it is the same again."""
    torch.manual_seed(0)
    card = Card(
        name="tiny", title="Tiny", description="", backbone="test_resnet", unit="tile", tile=32, input_size=32,
        categories=tuple(Category(name, "#d55e00") for name in ("dark", "grey", "bright")),
        preprocessing=Preprocessing(mean=0.5, std=0.5),
    )  # fmt: skip
    return save_model(build_network(card.backbone, 3), card, path, half=False)


# -- classifying a folder, and one large micrograph ------------------------------------------------------------------


def pictures(folder: Path) -> None:
    """Twelve pictures."""
    (folder / "in").mkdir(parents=True)
    for number in range(12):
        iio.imwrite(folder / "in" / f"{number}.png", np.roll(_BANDS, 7 * number, axis=1))


def large(folder: Path) -> None:
    """A micrograph of 96 MP on disk, of which parts are kept while it is classified."""
    (folder / "in").mkdir(parents=True)
    tifffile.imwrite(folder / "in" / "large.tif", np.tile(_BANDS, (12, 8)), tile=(256, 256))


def classify(model: Model, settings: Settings, folder: Path) -> None:
    """As `semclass classify in --out out`."""
    os.chdir(folder)
    for _ in Batch(["in"], model, settings, "out").steps():
        pass


def classified(folder: Path, whole: Path) -> list[str]:
    """How the results of two folders differ."""
    found = [f"{path} is left" for path in (folder / "out").rglob("*.part")]
    for name in sorted({path.name for out in (folder, whole) for path in (out / "out").glob("[!.r]*")}):
        one, other = folder / "out" / name, whole / "out" / name
        if not one.exists() or not other.exists() or one.read_bytes() != other.read_bytes():
            found.append(f"{name} differs")
    return found


def redone(folder: Path) -> list[str]:
    """Files that were finished before the kill and were written again after it; to be called between the two."""
    record = load_record(folder / "out")
    done = {} if record is None else {e.stem for e in record.files if e.status == "done"}
    return [f"{path}" for stem in done for path in (folder / "out").glob(f"{stem}.tiles.csv")]


# -- marks, and learning from them -----------------------------------------------------------------------------------


def project(count: int, folder: Path) -> Project:
    """A project with so many marks of each of two categories."""
    categories = Categories().add().add()
    first, second = (one.number for one in categories.items)
    painted = np.zeros((96, 160), np.uint8)
    painted[:32, :32], painted[:32, 128:], painted[64:, :32], painted[64:, 128:] = first, second, first, second
    points = np.full((count, 2), 40.0)
    image = ImageEntry("a", "a", str(folder / "a.png"), (96, 160), "uint8")
    layers = MarkLayer("a", "labels", "p", painted), MarkLayer("a", "points", "d", points, (first,) * count)
    return Project(categories=categories, images=(image,), layers=layers)


def mark(folder: Path) -> None:
    """Save after each of 200 marks, as the dock does; the number of marks saved is noted outside."""
    there = folder / "p.semclass"
    saved = read_project(there) if (there / "project.json").exists() else Project()
    noted = (folder / "noted").open("wb", buffering=0)
    for count in range(1, 200):
        now = project(count, folder)
        saved = write_project(replace(now, saved=saved.saved, stamp=saved.stamp), there)
        noted.seek(0)
        noted.write(b"%6d" % count)


def marks_lost(folder: Path) -> list[str]:
    """Marks that were saved and are not there."""
    noted = int((folder / "noted").read_bytes() or b"0") if (folder / "noted").exists() else 0
    if not noted and not (folder / "p.semclass" / "project.json").exists():
        return []
    found = read_project(folder / "p.semclass")
    there = len(found.layers[1].data)
    return [*found.problems, *([f"{noted} marks saved, {there} there"] if there < noted else [])]


def learn(folder: Path) -> None:
    """As `semclass learn`."""
    os.environ["SEMCLASS_CACHE"] = str(folder / "cache")
    result = learn_project(folder / "p.semclass", model=str(folder / "tiny.safetensors"))
    save_model(result.model.network, result.model.card, folder / "learned.safetensors", half=False)


# -- training --------------------------------------------------------------------------------------------------------

PLAN = Plan(
    backbone="test_resnet", pretrained="none", tile=48, stride=48, head="random", norm="learned", body_rate=0.5,
    stages=(Stage(32, epochs=2, frozen_epochs=1, lr=3e-3, batch=8), Stage(48, epochs=3, lr=1e-3, batch=8)),
)  # fmt: skip


def training(folder: Path) -> None:
    """Three categories of five pictures, and a run."""
    for number, period in enumerate((3, 12, 48)):
        (folder / "data" / str(period)).mkdir(parents=True)
        for seed in range(5):
            random = np.random.default_rng(10 * number + seed)
            y, x = np.mgrid[:96, :96]
            waves = np.sin(2 * np.pi * (x + y * random.uniform(0, 1)) / period)
            grey = np.clip(128 + 80 * waves + random.normal(0, 15, waves.shape), 0, 255)
            iio.imwrite(folder / "data" / str(period) / f"{seed}.png", grey.astype(np.uint8))
    Run(folder / "run").create(PLAN, Task(str(folder / "data"), str(folder / "m.safetensors"), "m", "M", "cpu"))


def train(folder: Path) -> None:
    """As the trainer's own process."""
    from semclass_training.train import train as carry_out

    if not carry_out(Run(folder / "run")):
        raise RuntimeError("the training stopped")


def trained(folder: Path, whole: Path) -> list[str]:
    """How the models of two runs differ."""
    one, other = (load_model(where / "m.safetensors").network.state_dict() for where in (folder, whole))
    return [name for name, value in one.items() if not torch.allclose(value.float(), other[name].float(), atol=1e-3)]


# -- the campaign ----------------------------------------------------------------------------------------------------


def kinds(model_file: Path) -> dict[str, tuple[Work, float]]:
    """Each kind of work, and its share of the kills."""
    model = load_model(str(model_file))
    tiles = Settings(device="cpu", precision="fp32", reject="off")

    def labelled(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        iio.imwrite(folder / "a.png", _BANDS)
        shutil.copyfile(model_file, folder / "tiny.safetensors")
        write_project(project(3, folder), folder / "p.semclass")

    def learned(folder: Path, whole: Path) -> list[str]:
        one, other = (load_model(str(where / "learned.safetensors")).sha256 for where in (folder, whole))
        return [] if one == other else ["the learned model differs"]

    def any_damage(folder: Path) -> list[str]:
        return damaged(folder)

    return {
        "classify": (Work(pictures, lambda f: classify(model, tiles, f), any_damage, classified), 0.3),
        "large": (Work(large, lambda f: classify(model, tiles, f), any_damage, classified), 0.2),
        "marks": (Work(lambda f: f.mkdir(parents=True), mark, marks_lost, lambda f, _: marks_lost(f)), 0.25),
        "learn": (Work(labelled, learn, any_damage, learned), 0.1),
        "train": (Work(training, train, any_damage, trained), 0.15),
    }


def campaign(name: str, work: Work, kills: int, random: np.random.Generator, folder: Path) -> tuple[int, int]:
    """Kill so many times; how many hit work under way, and what went wrong (printed)."""
    whole = folder / "whole"
    work.prepare(whole)
    begun = time.perf_counter()
    _, status = os.waitpid(forked(lambda: work.do(whole)), 0)
    seconds = time.perf_counter() - begun
    if status:
        raise SystemExit(f"{name}: the undisturbed run failed")
    hit = wrong = 0
    for turn in range(kills):
        place = folder / f"{name}-{turn}"
        work.prepare(place)
        child = forked(partial(work.do, place))
        time.sleep(random.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        hit += os.WIFSIGNALED(status)
        found = work.faults(place)
        kept = {path: Path(path).stat().st_mtime_ns for path in redone(place)} if (place / "out").exists() else {}
        _, status = os.waitpid(forked(lambda place=place: work.do(place)), 0)  # type: ignore[misc]  # mypy cannot infer it
        found += ["going on failed"] if status else work.differences(place, whole)
        found += [f"{path} was done again" for path, then in kept.items() if Path(path).stat().st_mtime_ns != then]
        for sentence in found:
            print(f"  {name}, kill {turn}: {sentence}", flush=True)
        wrong += bool(found)
        shutil.rmtree(place)
    print(f"{name}: {kills} kills within {seconds:.1f} s, {hit} of them under way; {wrong} with a loss", flush=True)
    return hit, wrong


def main() -> int:
    """Kill, and say what was lost."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=240)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--only", choices=["classify", "large", "marks", "learn", "train"])
    options = arguments.parse_args()
    torch.set_num_threads(1)  # threads of torch do not survive a fork
    kept_parts.LARGE_PX = 100_000
    if options.only in (None, "train"):
        import semclass_training.train  # noqa: F401 - so that forked processes need not load fastai
    random = np.random.default_rng(options.seed)
    hit = wrong = total = 0
    with tempfile.TemporaryDirectory() as scratch:
        tiny_model(Path(scratch) / "tiny.safetensors")
        for name, (work, share) in kinds(Path(scratch) / "tiny.safetensors").items():
            if options.only in (None, name):
                kills = options.kills if options.only else max(1, round(share * options.kills))
                counted = campaign(name, work, kills, random, Path(scratch) / name)
                hit, wrong, total = hit + counted[0], wrong + counted[1], total + kills
    print(f"{total} kills, {hit} of work under way: {wrong} with anything lost, damaged, redone or different")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
