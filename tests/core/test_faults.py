"""Disks that are full or cannot be written, files that change or vanish, kills, clocks: one sentence, nothing lost."""

import builtins
import io
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import psutil
import pytest
import tifffile

from napari_semclass.annotate import Categories, MarkLayer
from napari_semclass.annotate.project import Project, read_project, write_project
from napari_semclass.classify import Settings
from napari_semclass.classify.batch import Batch
from napari_semclass.errors import OutputError
from napari_semclass.learn.plan import Plan, Stage, write_plan
from napari_semclass.learn.run import Run
from napari_semclass.micrograph import Micrograph
from napari_semclass.model import save_model
from napari_semclass.writing import alone_in, clear_leftovers, replacing

REPOSITORY = Path(__file__).parents[2]
PATH = os.pathsep.join(filter(None, [str(REPOSITORY), str(REPOSITORY / "training"), os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, three_bands):
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(4):
        iio.imwrite(folder / f"{number}.png", np.roll(three_bands, 9 * number, axis=1))
    return folder


@pytest.fixture
def model_file(tiny_model, tmp_path):
    save_model(tiny_model.network, tiny_model.card, tmp_path / "tiny.safetensors", half=False)
    return tmp_path / "tiny.safetensors"


def classify(pictures, model, out, **options):
    batch = Batch([pictures], model, Settings(reject="off"), out, **options)
    for _ in batch.steps():
        pass
    return batch


def status_of(batch):
    return [entry.status for entry in batch.entries]


# -- real disks ------------------------------------------------------------------------------------------------------


def can_mount() -> bool:
    """Whether a user may have mounts of their own here, as on most Linux systems."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    tried = subprocess.run([unshare, "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    return tried.returncode == 0


SMALL_DISK = """
import json, subprocess, sys
from pathlib import Path
from napari_semclass.cli import main

disk, kept, kilobytes, commands = *map(Path, sys.argv[1:3]), *map(json.loads, sys.argv[3:])

def mount(options):  # named in full: of its own accord mount would repeat the user's number, unknown in here
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)

mount(f"size={kilobytes}k")
for command in commands:
    match command:
        case "grow": mount("remount,size=99m")
        case "freeze": mount("remount,ro")
        case ["keep", name, other]: subprocess.run(["cp", "-r", disk / name, kept / other], check=True)
        case _: print("status", main(command), file=sys.stderr)
"""


@dataclass(frozen=True)
class SmallDisk:
    """A disk that only the process sees that `run` starts; what it keeps of it is in a folder that stays."""

    disk: Path
    kept: Path

    def run(self, kilobytes: int, *commands: "str | list[str]") -> list[tuple[int, list[str]]]:
        """Status and lines on stderr of each of these commands of `semclass`, on a disk of so many kB.

        Between them the disk may "grow", "freeze", or a file or folder of it be kept: ["keep", name, other name].
        """
        script = ["unshare", "-rm", sys.executable, "-W", "ignore", "-c", SMALL_DISK]
        arguments = [str(self.disk), str(self.kept), str(kilobytes), json.dumps(commands)]
        where = {**os.environ, "PYTHONPATH": PATH}
        done = subprocess.run([*script, *arguments], env=where, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        ended, lines = [], []
        for line in done.stderr.splitlines():
            if line.startswith("status "):
                ended.append((int(line.split()[1]), lines))
                lines = []
            else:
                lines.append(line)
        return ended


@pytest.fixture
def small_disk(tmp_path):
    if not can_mount():
        pytest.skip("no small disk can be mounted here (unshare)")
    (tmp_path / "disk").mkdir()
    (tmp_path / "kept").mkdir()
    return SmallDisk(tmp_path / "disk", tmp_path / "kept")


def test_a_disk_that_fills_up_while_classifying(small_disk, pictures, model_file):
    """The first command says so; with more room the same command does the rest, to the same results."""
    command = ["classify", str(pictures), "--model", str(model_file), "--reject", "off", "--out"]
    there, elsewhere = str(small_disk.disk / "out"), str(small_disk.kept / "whole")
    full, again, whole = small_disk.run(
        60, [*command, there], ["keep", "out", "full"], "grow", [*command, there], ["keep", "out", "out"],
        [*command, elsewhere],
    )  # fmt: skip
    assert (full[0], again[0], whole[0]) == (2, 0, 0)
    assert any("No space left on device" in line for line in full[1])
    for path in (small_disk.kept / "full").iterdir():
        if path.suffix == ".csv":
            assert path.read_text().endswith("\n")
        elif path.suffix in (".json", ".geojson"):
            json.loads(path.read_bytes())
        elif path.suffix == ".png":
            iio.imread(path)
    found, whole = (sorted((small_disk.kept / name).glob("[!.r]*")) for name in ("out", "whole"))
    assert [path.name for path in found] == [path.name for path in whole]
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(found, whole, strict=True))


@pytest.fixture
def plan_file(tmp_path):
    stages = (Stage(32, epochs=2, lr=3e-3, batch=8), Stage(48, epochs=2, lr=1e-3, batch=8))
    plan = Plan(
        backbone="test_resnet", pretrained="none", tile=48, stride=48, stages=stages, head="random", norm="learned"
    )
    write_plan(plan, tmp_path / "plan.toml")
    return tmp_path / "plan.toml"


@pytest.fixture
def classes(tmp_path):
    for number, spread in enumerate((3, 60)):
        (tmp_path / "data" / f"{number}").mkdir(parents=True)
        for seed in range(5):
            random = np.random.default_rng(10 * number + seed)
            grey = np.clip(random.normal(128, spread, (96, 96)), 0, 255).astype(np.uint8)
            iio.imwrite(tmp_path / "data" / f"{number}" / f"{seed}.png", grey)
    return tmp_path / "data"


def test_a_disk_that_fills_up_while_training(small_disk, classes, plan_file):
    """One sentence, and with more room the run is resumed to its end."""
    model = str(small_disk.disk / "m.safetensors")
    command = ["train", str(classes), "--recipe", str(plan_file), "--device", "cpu", "--out", model]
    full, again = small_disk.run(
        1500, command, ["keep", ".", "full"], "grow", [*command, "--resume"], ["keep", ".", "again"]
    )
    assert full[0] not in (0, 1), full
    assert any("No space left on device" in line for line in full[1])
    assert not (small_disk.kept / "full" / "m.safetensors").exists()
    assert again[0] == 0, again
    assert (small_disk.kept / "again" / "m.safetensors").is_file()


def test_a_disk_that_cannot_be_written(small_disk, pictures, model_file, classes, plan_file):
    """One sentence, of classifying and of training."""
    out, model = str(small_disk.disk / "out"), str(small_disk.disk / "m.safetensors")
    for status, lines in small_disk.run(
        500,
        "freeze",
        ["classify", str(pictures), "--model", str(model_file), "--out", out],
        ["train", str(classes), "--recipe", str(plan_file), "--device", "cpu", "--out", model],
    ):
        assert status == 2
        assert "Read-only file system" in lines[-1]


# -- files that change while they are read ---------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["removed", "stalls and breaks off", "does not fit in memory"])
def test_a_file_that_fails_while_it_is_read_is_one_row(what, pictures, tiny_model, tmp_path, monkeypatch):
    source = tmp_path / "in"
    shutil.copytree(pictures, source)
    read = Micrograph.read

    def failing(micrograph, *box):
        if Path(micrograph.source).name == "1.png":
            time.sleep(0.05)
            raise MemoryError if "memory" in what else OSError(5, "Input/output error")
        return read(micrograph, *box)

    batch = Batch([source], tiny_model, Settings(reject="off"), tmp_path / "out")
    if what == "removed":
        (source / "1.png").unlink()
    else:
        monkeypatch.setattr(Micrograph, "read", failing)
    for _ in batch.steps():
        pass
    assert status_of(batch) == ["done", "failed", "done", "done"]
    (row,) = batch.entries[1].rows
    assert "\n" not in row.error
    assert {"removed": "no such file", "stalls and breaks off": "Input/output", "does not fit in memory": "emory"}[
        what
    ] in row.error
    monkeypatch.undo()
    shutil.copyfile(pictures / "1.png", source / "1.png")
    again = classify(source, tiny_model, tmp_path / "out")
    assert len(again.todo) == 1
    assert status_of(again) == ["done"] * 4


def test_a_file_that_changes_while_it_is_classified_is_classified_again(pictures, tiny_model, tmp_path):
    source = tmp_path / "in"
    shutil.copytree(pictures, source)
    batch = Batch([source], tiny_model, Settings(reject="off"), tmp_path / "out")
    for step in batch.steps():
        if not step.finished and step.entry.file.endswith("2.png"):
            iio.imwrite(source / "2.png", np.zeros((64, 64), np.uint8) + np.arange(64, dtype=np.uint8))
    again = Batch([source], tiny_model, Settings(reject="off"), tmp_path / "out")
    assert [Path(entry.file).name for entry in again.todo] == ["2.png"]


class Drive(io.RawIOBase):
    """A file on a network drive: it gives a few kB at a time, with pauses, and from some byte on what `end` says."""

    def __init__(self, path, end=None, at=0):
        self._file, self._end, self._at, self._calls = io.FileIO(path), end, at, 0

    def readable(self):
        return True

    seekable = readable

    def seek(self, offset, whence=0):
        return self._file.seek(offset, whence)

    def tell(self):
        return self._file.tell()

    def readinto(self, buffer):
        self._calls += 1
        if self._calls % 50 == 1:
            time.sleep(0.02)
        wanted = min(len(buffer), 3000)
        if self._end is not None and self._file.tell() + wanted > self._at:
            if self._end == "is gone":
                raise OSError(5, "Input/output error")
            return 0
        return self._file.readinto(memoryview(buffer)[:wanted])

    def close(self):
        self._file.close()
        super().close()


@pytest.fixture
def drive(tmp_path, three_bands, monkeypatch):
    """Micrographs of each kind of file in a folder of which Python reads through a `Drive`; `drive.end` breaks one."""
    folder = tmp_path / "share"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 40, three_bands.shape, dtype=np.uint8)
    tifffile.imwrite(folder / "strips.tif", three_bands ^ noise)
    tifffile.imwrite(folder / "tiles.tif", three_bands ^ noise, tile=(32, 32), compression="zlib")
    iio.imwrite(folder / "a.png", three_bands ^ noise)
    opened, state = io.open, SimpleNamespace(folder=folder, ends={}, used=set())

    def through(file, mode="r", *rest, **options):
        if isinstance(file, str | os.PathLike) and Path(file).parent == folder and mode == "rb":
            name = Path(file).name
            state.used.add(name)
            raw = Drive(file, state.ends.get(name), Path(file).stat().st_size // 2)
            return io.BufferedReader(raw)
        return opened(file, mode, *rest, **options)

    monkeypatch.setattr(builtins, "open", through)
    monkeypatch.setattr(io, "open", through)
    return state


def test_short_reads_and_pauses_of_a_network_drive_change_nothing(drive, tiny_model, tmp_path, monkeypatch):
    slow = classify(drive.folder, tiny_model, tmp_path / "slow")
    assert status_of(slow) == ["done"] * 3
    assert drive.used == {path.name for path in drive.folder.iterdir()}
    monkeypatch.undo()
    classify(drive.folder, tiny_model, tmp_path / "local")
    tables = sorted(path.name for path in (tmp_path / "local").glob("*.tiles.csv"))
    assert len(tables) == 3
    for name in tables:
        assert (tmp_path / "slow" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


@pytest.mark.parametrize("end", ["is gone", "ends early"])
@pytest.mark.parametrize("broken", ["strips.tif", "tiles.tif", "a.png"])
def test_a_network_drive_that_drops_in_the_middle_of_a_file_costs_that_file(broken, end, drive, tiny_model, tmp_path):
    """Half a micrograph is never classified as if it were whole, and when the drive is back only that one is done."""
    drive.ends[broken] = end
    batch = classify(drive.folder, tiny_model, tmp_path / "out")
    states = {Path(entry.file).name: entry.status for entry in batch.entries}
    assert states.pop(broken) == "failed"
    assert set(states.values()) == {"done"}
    (row,) = next(entry.rows for entry in batch.entries if Path(entry.file).name == broken)
    assert row.error
    assert "\n" not in row.error
    drive.ends.clear()
    again = classify(drive.folder, tiny_model, tmp_path / "out")
    assert [Path(entry.file).name for entry in again.todo] == [broken]
    assert status_of(again) == ["done"] * 3


# -- kills, clocks, and others at the same work ----------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kills_lose_nothing():
    """A short form of the campaign: every kind of work is killed a few times at random moments."""
    command = [sys.executable, "-W", "ignore", REPOSITORY / "benchmarks" / "faults.py", "--kills", "10"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": PATH})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 kills" in done.stdout
    assert ": 0 with anything lost" in done.stdout


def test_two_processes_do_not_write_into_one_folder(pictures, tiny_model, tmp_path):
    first = Batch([pictures], tiny_model, Settings(reject="off"), tmp_path / "out")
    steps = first.steps()
    next(steps)
    code = f"""
from pathlib import Path
from napari_semclass.writing import alone_in
with alone_in(Path({str(tmp_path / "out")!r})):
    pass
"""
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "another process is writing results there" in other.stderr
    with pytest.raises(OutputError, match=r"another process.*choose another output folder"):
        classify(pictures, tiny_model, tmp_path / "out")
    for _ in steps:
        pass
    assert status_of(first) == ["done"] * 4
    assert not classify(pictures, tiny_model, tmp_path / "out").todo
    assert not list((tmp_path / "out").glob("*.lock"))


def test_a_dead_process_holds_no_folder(tmp_path):
    code = f"""
import os
from pathlib import Path
from napari_semclass.writing import alone_in
with alone_in(Path({str(tmp_path)!r})):
    os._exit(1)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 1
    with alone_in(tmp_path):
        pass


def test_what_a_killed_process_left_is_cleared_away(pictures, tiny_model, tmp_path):
    out = tmp_path / "out"
    (out / "sub").mkdir(parents=True)
    for folder in (out, out / "sub"):
        (folder / ".0123456789abcdef.part").write_bytes(b"half")
    (out / "mine.part").write_bytes(b"a user's own")
    classify(pictures, tiny_model, out)
    assert [path.name for path in out.rglob("*.part")] == ["mine.part"]


def test_files_that_another_process_writes_now_are_left_alone(tmp_path):
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
        clear_leftovers(tmp_path, older_s=3600)
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_two_windows_on_one_project_lose_no_marks(tmp_path):
    """The second to save is refused in a sentence, and what the first saved stays."""
    categories = Categories().add()
    number = categories.items[0].number

    def marked(count, saved):
        layer = MarkLayer("a", "points", "p", np.zeros((count, 2)), (number,) * count)
        return replace(saved, categories=categories, layers=(layer,))

    write_project(marked(1, Project()), tmp_path / "p.semclass")
    code = f"""
from dataclasses import replace
import numpy as np
from napari_semclass.annotate import MarkLayer
from napari_semclass.annotate.project import read_project, write_project
found = read_project({str(tmp_path / "p.semclass")!r})
layer = MarkLayer("a", "points", "p", np.zeros((9, 2)), found.layers[0].numbers * 9)
write_project(replace(found, layers=(layer,)), {str(tmp_path / "p.semclass")!r})
"""
    mine = read_project(tmp_path / "p.semclass")
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(OutputError, match="save under another name"):
        write_project(marked(3, mine), tmp_path / "p.semclass")
    assert len(read_project(tmp_path / "p.semclass").layers[0].data) == 9


def test_a_process_that_got_no_time_for_minutes_is_not_dead(tmp_path):
    """On a machine that is busy, full or was suspended it cannot say that it is alive, but it is there."""
    run, process = Run(tmp_path / "run"), psutil.Process()
    run.folder.mkdir()
    status = {"state": "running", "pid": process.pid, "created": process.create_time(), "heartbeat": 1.0}
    run.status_file.write_text(json.dumps(status))
    assert run.is_alive()


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_ends_no_run_and_loses_no_result(jump, pictures, tiny_model, tmp_path, monkeypatch):
    from napari_semclass.learn.run import Pulse

    run = Run(tmp_path / "run")
    run.folder.mkdir()
    pulse = Pulse(run)
    pulse.start()
    try:
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + jump)
        pulse.say("running")  # the next beat, after the jump
        assert run.is_alive()
        assert status_of(classify(pictures, tiny_model, tmp_path / "out")) == ["done"] * 4
        monkeypatch.undo()
        assert not classify(pictures, tiny_model, tmp_path / "out").todo
    finally:
        pulse.end()


def test_the_same_work_again_and_again_keeps_nothing():
    """Memory, threads, open files and temporary files after rounds of it; a short form of the soak."""
    soak = REPOSITORY / "benchmarks" / "soak.py"
    command = [sys.executable, "-W", "ignore", soak, "--minutes", "0", "--only", "classify", "learn"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": PATH})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing grows" in done.stdout
