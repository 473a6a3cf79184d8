"""Starting the trainer: no refusal of a priority is an error, and nothing that is there counts as not started."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from napari_semclass import retrain
from napari_semclass.errors import OutputError
from napari_semclass.learn.plan import Plan
from napari_semclass.learn.run import Run, Task

REPOSITORY = Path(__file__).parents[2]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="a script stands in for Python")


@pytest.fixture
def run(tmp_path):
    """A run that is ready to start."""
    run = Run(tmp_path / "mine.run")
    run.create(Plan(), Task("data", str(tmp_path / "mine.safetensors"), "mine", "mine", "cpu"))
    return run


@pytest.fixture
def sleeper(tmp_path, monkeypatch):
    """A script in Python's place that sleeps; all of them are gone after the test."""
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    yield script
    for child in children():
        child.kill()


def children():
    return [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


def refusing(error):
    def refuse(*arguments, **options):
        raise error

    return refuse


@POSIX
@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), ProcessLookupError(3, "No such process")])
@pytest.mark.parametrize("step", ["getpriority", "setpriority"])
def test_a_priority_that_is_refused_is_no_error(step, error, run, sleeper, monkeypatch):
    monkeypatch.setattr(os, step, refusing(error))
    process = retrain.start(run)
    assert process.poll() is None
    retrain.end(process)
    assert process.returncode == -signal.SIGKILL


@POSIX
def test_a_log_that_cannot_be_closed_is_no_error(run, sleeper, monkeypatch):
    """As on a network drive that is full by then."""

    class Log(io.FileIO):
        def close(self):
            super().close()
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda path, *arguments, **options: Log(path, "ab"))
    process = retrain.start(run)
    assert process.poll() is None
    retrain.end(process)


@POSIX
@pytest.mark.parametrize("failing", ["stop_file", "status_file", "log_file", "python"])
def test_a_start_that_fails_leaves_no_process(failing, run, sleeper, monkeypatch):
    if failing == "python":
        monkeypatch.setattr(sys, "executable", str(sleeper.with_name("no-such-python")))
    else:
        getattr(run, failing).mkdir()  # a folder is in its place
    with pytest.raises(OutputError, match=r"cannot be started \(.+\)\.$"):
        retrain.start(run)
    assert not children()


PROGRAM = """
import os, sys
from pathlib import Path
from napari_semclass import retrain
from napari_semclass.learn.run import Run

folder, niceness = Path(sys.argv[1]), int(sys.argv[2])
if os.getuid() == 0:
    os.chown(folder, 65534, 65534)
    os.chown(folder / "log.txt", 65534, 65534)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
os.nice(niceness)
sys.executable = str(folder / "python")
process = retrain.start(Run(folder))
print(os.getpriority(os.PRIO_PROCESS, process.pid))
retrain.end(process)
"""


@POSIX
@pytest.mark.parametrize("niceness", [0, 5, 10, 15, 19])
def test_an_ordinary_user_of_any_niceness_starts_a_trainer(niceness, tmp_path_factory):
    """As a batch system does with `nice -n 19`: raising a priority is root's alone."""
    folder = tmp_path_factory.mktemp("run")
    for above in (folder, *folder.parents[:3]):
        if above.stat().st_uid == os.getuid() and above != Path("/tmp"):  # noqa: S108
            above.chmod(0o755)  # pytest's own folders
    (folder / "python").write_text("#!/bin/sh\nexec sleep 60\n")
    (folder / "python").chmod(0o755)
    (folder / "log.txt").touch()
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "training"), os.environ.get("PYTHONPATH", "")])
    before = os.getpriority(os.PRIO_PROCESS, 0)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, folder, str(niceness)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == max(10, min(19, before + niceness))


@pytest.mark.parametrize(("priority", "flags"), [("NORMAL", 0x4208), ("BELOW_NORMAL", 0x4208), ("IDLE", 0x208)])
def test_flags_of_windows_never_raise_a_priority(priority, flags, run, monkeypatch):
    constants = {"DETACHED_PROCESS": 0x8, "CREATE_NEW_PROCESS_GROUP": 0x200, "BELOW_NORMAL_PRIORITY_CLASS": 0x4000}
    for name, value in constants.items():
        monkeypatch.setattr(subprocess, name, value, raising=False)
    monkeypatch.setattr(psutil, "IDLE_PRIORITY_CLASS", "IDLE", raising=False)
    fake = SimpleNamespace(nice=lambda: priority, create_time=lambda: 0.0)
    monkeypatch.setattr(psutil, "Process", lambda pid=None: fake)
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **options: started.append(options) or SimpleNamespace(pid=1))
    monkeypatch.setattr(sys, "platform", "win32")
    for refused in ("getpriority", "setpriority"):  # which Windows does not have
        monkeypatch.delattr(os, refused, raising=False)
    retrain.start(run)
    (options,) = started
    assert options["creationflags"] == flags
    assert "start_new_session" not in options


@pytest.fixture
def patient(tmp_path, monkeypatch):
    """A trainer that ends once it is asked to stop, and says so."""
    script = tmp_path / "python"
    script.write_text(
        '#!/bin/sh\nwhile [ ! -e "$3/stop" ]; do sleep 0.1; done\n'
        'echo \'{"schema":1,"seq":0,"time":"","kind":"stopped","sentence":"Stopped."}\' >>"$3/events.jsonl"\n'
    )
    script.chmod(0o755)
    return script


@POSIX
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_signals_to_the_command_stop_its_trainer_but_a_lost_terminal_does_not(name, status, patient, tmp_path):
    (tmp_path / "data").mkdir()
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"sys.executable = {str(patient)!r}; from napari_semclass.cli import main; sys.exit(main())"
    )
    command = ["train", "data", "--out", "mine.safetensors", "--set", "pretrained=none"]
    process = subprocess.Popen([sys.executable, "-c", code, *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    run = Run(tmp_path / "mine.run")
    deadline = time.monotonic() + 60
    while not run.log_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=60)
    assert process.returncode == status, said
    assert "Traceback" not in said
    assert run.stop_file.exists() == (name != "SIGHUP")
    assert ("Left running" in said) == (name == "SIGHUP")
    run.ask("stop")


@POSIX
def test_a_trainer_that_a_batch_system_ends_is_asked_to_stop(run):
    code = (
        "import os, signal, sys; sys.modules['semclass_training.train'] = type(sys)('semclass_training.train');"
        "sys.modules['semclass_training.train'].train = lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM);"
        "from semclass_training.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run.folder)], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert run.wish() == "stop"
