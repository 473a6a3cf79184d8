"""Runs `semclass` in forked children of one process that has loaded everything, so that a run takes no seconds.

Reads jobs from stdin, a JSON object each: `folder`, `arguments`, `encoding`, and of each of `in`, `out` and `err` a
file, or `closed`, `full` (a disk without space), `gone` (a pipe that nobody reads). Writes the exit status of each.
"""

import gc
import json
import os
import sys
import traceback
from contextlib import suppress

from napari_semclass.cli import demo, samples
from napari_semclass.cli import main as semclass
from napari_semclass.model import load_model


def descriptor(stream, number):
    """Make standard stream `number` what a job says it is."""
    if stream == "closed":
        os.close(number)
        return
    if stream == "gone":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        path, how = ("/dev/full", os.O_WRONLY) if stream == "full" else (stream, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        writer = os.open(path, how, 0o600)
    os.dup2(writer, number)
    os.close(writer)


def begin(job):
    """Become a process that a shell has just started."""
    os.chdir(job["folder"])
    for number, name in enumerate(("in", "out", "err")):
        descriptor(job[name], number)
    # As Python itself opens them.
    opened = [
        None if job[name] == "closed" else open(number, mode, encoding=job["encoding"], errors=errors, closefd=False)  # noqa: SIM115
        for number, name, mode, errors in (
            (0, "in", "r", "strict"),
            (1, "out", "w", "strict"),
            (2, "err", "w", "backslashreplace"),
        )
    ]
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__ = opened
    sys.argv = ["semclass", *job["arguments"]]
    sys.executable = job["trainer"]  # the trainer is what it starts


def small_examples():
    """Have demo and samples draw little, for a model that is quick."""
    demo._SHAPE, demo.load_model = (128, 160), lambda name: load_model("tiny")
    samples._SHAPE, samples._MOSAIC, samples._SPECIMENS = (64, 80), (96, 128), {"labelled": range(1), "test": range(1)}


def end(status):
    """End as Python does, by writing what is left in the streams, but without taking all of torch down."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            status = 120
    os._exit(status or 0)


def main():
    """Do what is given once, so that all is loaded; then fork for each job."""
    jobs, statuses = os.fdopen(os.dup(0)), os.dup(1)
    small_examples()
    sys.executable, first = sys.argv[1], json.loads(sys.argv[2])
    descriptor("/dev/null", 1)
    for arguments in first:
        with suppress(SystemExit):
            semclass(arguments)
    gc.freeze()
    os.write(statuses, b"0\n")
    for line in jobs:
        child = os.fork()
        if child == 0:
            begin(json.loads(line))
            try:
                end(semclass())
            except SystemExit as ended:
                end(ended.code)
            finally:
                traceback.print_exc()
                os._exit(1)
        os.write(statuses, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
