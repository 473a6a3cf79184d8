"""Disks that are full or cannot be written, files that change or vanish, kills, clocks: one sentence, nothing lost."""

import builtins
import io
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
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


@pytest.fixture
def small_disk(tmp_path):
    """Run a shell script with a disk of so many kB at $DISK, which `grow` makes large; what it says, and its status.

    What is written into $KEPT stays.
    """
    if not can_mount():
        pytest.skip("no small disk can be mounted here (unshare)")
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    kept.mkdir()

    def run(kilobytes: int, script: str, **words: object):
        begin = f"""
mount -t tmpfs -o size={kilobytes}k tmpfs "$DISK"
grow() {{ mount -o remount,size=99m "$DISK"; }}
freeze() {{ mount -o remount,ro "$DISK"; }}
semclass() {{ "$PYTHON" -W ignore -c "import sys; from napari_semclass.cli import main; sys.exit(main())" "$@"; }}
"""
        told = {**os.environ, "DISK": str(disk), "KEPT": str(kept), "PYTHON": sys.executable, "PYTHONPATH": PATH}
        told |= {name: str(value) for name, value in words.items()}
        command = ["unshare", "-rm", "sh", "-c", begin + script]
        return subprocess.run(command, env=told, capture_output=True, text=True)

    run.kept = kept
    return run


def the_sentence(done) -> str:
    """The last line of what a command said on stderr, which must not be a traceback."""
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_a_disk_that_fills_up_while_classifying(small_disk, pictures, model_file):
    """The first command says so; with more room the same command does the rest, to the same results."""
    script = """
set -- "$IN" --model "$MODEL" --reject off --out
semclass classify "$@" "$DISK/out"; echo $? >"$KEPT/status"; cp -r "$DISK/out" "$KEPT/full"
grow
semclass classify "$@" "$DISK/out" && cp -r "$DISK/out" "$KEPT/out" && semclass classify "$@" "$KEPT/whole"
"""
    done = small_disk(60, script, IN=pictures, MODEL=model_file)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr
    assert (small_disk.kept / "status").read_text().strip() == "2"
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


def test_a_disk_that_cannot_be_written(small_disk, pictures, model_file):
    script = 'freeze; semclass classify "$IN" --model "$MODEL" --out "$DISK/out"'
    done = small_disk(500, script, IN=pictures, MODEL=model_file)
    assert done.returncode == 2
    assert "Read-only file system" in the_sentence(done)


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
    script = """
set -- "$DATA" --recipe "$PLAN" --device cpu --out "$DISK/m.safetensors"
semclass train "$@"; echo $? >"$KEPT/status"; ls -A "$DISK" >"$KEPT/there"
grow
semclass train "$@" --resume; cp "$DISK/m.safetensors" "$KEPT"
"""
    done = small_disk(1500, script, DATA=classes, PLAN=plan_file)
    assert (small_disk.kept / "status").read_text().strip() not in ("0", "1"), done.stderr
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr
    assert "m.safetensors\n" not in (small_disk.kept / "there").read_text()
    assert (small_disk.kept / "m.safetensors").is_file(), done.stderr


def test_a_disk_that_a_training_cannot_write(small_disk, classes, plan_file):
    script = 'freeze; semclass train "$DATA" --recipe "$PLAN" --device cpu --out "$DISK/m.safetensors"'
    done = small_disk(500, script, DATA=classes, PLAN=plan_file)
    assert done.returncode == 2
    assert "Read-only file system" in the_sentence(done)


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


@pytest.mark.parametrize("work", ["classify", "learn"])
def test_the_same_work_again_and_again_keeps_nothing(work):
    """Memory, threads, open files and temporary files after rounds of it; a short form of the soak."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        REPOSITORY / "benchmarks" / "soak.py",
        "--minutes",
        "0.05",
        "--only",
        work,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": PATH})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing grows" in done.stdout
