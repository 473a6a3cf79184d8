"""A real process in a real shell: pipes that are closed, signals of batch systems, terminals of every kind."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time

import imageio.v3 as iio
import numpy as np
import pytest

from napari_semclass.process import StopSignal, on_ending_signals, unfailing_streams

pty = pytest.importorskip("pty", reason="POSIX has these signals and shells")
BASH = shutil.which("bash") or ""
CODE = "import sys; from napari_semclass.cli import main; sys.exit(main())"


@pytest.fixture
def place(tmp_path, three_bands, models, monkeypatch):
    """Pictures below `in`, and `$semclass` for a shell."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(12):
        iio.imwrite(tmp_path / "in" / f"{number:02}.png", np.roll(three_bands, 9 * number, axis=1))
    script = tmp_path / "semclass"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{CODE}' \"$@\"\n")
    script.chmod(0o755)
    return tmp_path


def shell(line):
    """What bash says to a line."""
    done = subprocess.run([BASH, "-c", line], capture_output=True, text=True, timeout=200)
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr
    return done.stdout.split()


def done(folder):
    """How many pictures are in the summary of a folder."""
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return len(list(csv.DictReader(file)))


def test_head_reads_a_line_and_the_work_is_done(place):
    for line in (
        "./semclass info in | head -1",
        "./semclass info in | true",
        "./semclass --help | head -1",
        "./semclass info in 2>&1 >/dev/full | true",
    ):
        status = shell(f"{line} >/dev/null; echo ${{PIPESTATUS[0]}}")[-1]
        assert status == ("2" if "full" in line else "0"), line
    command = "./semclass classify in --model tiny --out"
    assert shell(f"{command} a 2>&1 | head -1 >/dev/null; echo ${{PIPESTATUS[0]}}") == ["0"]
    assert shell(f"{command} b >&- 2>&- <&-; echo $?") == ["0"]
    assert done(place / "a") == done(place / "b") == 12


def test_a_limit_on_the_size_of_a_log_ends_no_work(place):
    """As where a quota is reached in the middle of the log."""
    line = "ulimit -f 1; ./semclass --help >log; echo $?"
    (place / "log").write_text("x" * 1000)
    assert shell(line.replace(">log", ">>log"))[-1] == "2"


def begun(place, *before):
    """A classification that would last for minutes, after its first pictures."""
    noise = np.random.default_rng(0).integers(0, 255, (1500, 1500), dtype=np.uint8)
    for number in range(12, 300):
        os.link(place / "in" / "00.png", place / "in" / f"{number}.png")
    iio.imwrite(place / "in" / "last.png", noise)
    command = [*before, sys.executable, "-c", CODE, "classify", "in", "--model", "tiny", "--tile", "8", "--out", "out"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert "[1/" in process.stderr.readline()
    return process


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_that_end_a_process_end_it_like_ctrl_c(name, place):
    process = begun(place)
    number = getattr(signal, name)
    for _ in range(3):  # `timeout` and batch systems send it to a process and to its group
        process.send_signal(number)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 128 + number, said
    assert "stopped; run the same command again to go on" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert 1 <= done(place / "out") < 300
    assert not list((place / "out").glob("*.lock"))


def test_nohup_goes_on(place):
    for number in range(4, 12):
        (place / "in" / f"{number:02}.png").unlink()
    line = (
        "nohup ./semclass classify in --model tiny --out out 2>err >/dev/null & sleep 1; kill -HUP $!; wait $!; echo $?"
    )
    assert shell(line) == ["0"]
    assert done(place / "out") == 4


def test_a_signal_is_heard_once_in_a_while_and_never_where_it_is_ignored():
    heard = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        on_ending_signals(heard.append)
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
        assert heard == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert StopSignal(signal.SIGTERM).status == 143


def in_terminal(arguments, **words):
    """Run a command in a terminal; its exit status, and what stands there."""
    child, terminal = pty.fork()
    if child == 0:
        command = [sys.executable, "-c", CODE, *arguments]
        os.execve(sys.executable, command, {**os.environ, **words})  # noqa: S606
    said = b""
    while True:
        try:
            some = os.read(terminal, 1 << 16)
        except OSError:  # the other side has ended
            break
        if not some:
            break
        said += some
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.decode("utf-8", "replace")


@pytest.mark.parametrize("words", [{"TERM": "dumb"}, {"TERM": "xterm", "COLUMNS": "1"}])
def test_terminals_of_every_kind(words, place):
    status, said = in_terminal(["classify", "in", "--model", "tiny", "--out", "out"], **words)
    assert status == 0
    assert "12 files classified" in said
    assert ("[12/12]" in said) == (words["TERM"] == "dumb")  # a bar elsewhere
    status, said = in_terminal(["info", "in"], **words)
    assert status == 0
    assert "in/11.png: The pixel size is unknown" in said


def test_a_terminal_that_is_closed_ends_it_in_order(place):
    child, terminal = pty.fork()
    if child == 0:
        command = [sys.executable, "-c", CODE, "classify", "in", "--model", "tiny", "--out", "out", "--tile", "8"]
        os.execve(sys.executable, command, {**os.environ, "TERM": "dumb"})  # noqa: S606
    said = b""
    while b"[1/" not in said:
        said += os.read(terminal, 1 << 16)
    os.close(terminal)
    deadline = time.monotonic() + 100
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert os.waitstatus_to_exitcode(ended[1]) in (129, 0)  # 0 where it had just done all
    assert done(place / "out") >= 1


def test_a_pipe_that_is_not_waited_for_loses_nothing():
    """As of a parent that has made it non-blocking."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "".join(f"line {number}\n" for number in range(40_000))
    before = sys.stdout
    with open(writer, "w", encoding="ascii") as sys.stdout, unfailing_streams():  # noqa: PTH123
        child = os.fork()
        if child == 0:
            os.close(reader)
            print(text, end="")
            os._exit(0)
    sys.stdout = before
    with open(reader, encoding="ascii") as file:  # noqa: PTH123
        assert file.read() == text
    os.waitpid(child, 0)
