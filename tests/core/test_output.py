"""Streams that are closed, full or cannot show a name: each command does its work, and its exit status says so."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from safetensors.torch import save_file

import napari_semclass.cli
from napari_semclass.annotate import Categories, Project, write_project
from napari_semclass.classify import Settings
from napari_semclass.learn.plan import Plan, Stage, write_plan
from napari_semclass.model import save_model

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(not Path("/dev/full").exists() or not hasattr(os, "fork"), reason="needs /dev/full")

# Of each command what is typed and a file that it makes; None where all it makes is printed.
COMMANDS = {
    "classify": (["classify", "pictures", "--out", "made", "--model", "tiny"], "made/summary.csv"),
    "info": (["info", "pictures"], None),
    "info as JSON": (["info", "pictures", "--json"], None),
    "audit": (["audit", "labelled"], None),
    "audit to a file": (["audit", "labelled", "--out", "made.json"], "made.json"),
    "learn": (["learn", "p.semclass", "--out", "made.safetensors"], "made.safetensors"),
    "train": (["train", "labelled", "--out", "made.safetensors", "--recipe", "plan.toml"], "made.safetensors"),
    "evaluate": (["evaluate", "tiny", "labelled", "--out", "made"], "made/report.html"),
    "export": (["export", "tiny", "--to", "torch", "--out", "made.pt2"], "made.pt2"),
    "import": (
        ["import", "weights.safetensors", "--backbone", "test_resnet", "--categories", "a,b,c", "--out", "made"],
        "models/made.safetensors",
    ),
    "models": (["models"], None),
    "one model": (["models", "tiny"], None),
    "samples": (["samples", "made"], "made/mosaics/mosaic_2.png"),
    "demo": (["demo", "--out", "made", "--no-viewer"], "made/summary.csv"),
    "help": (["--help"], None),
    "help of a command": (["train", "--help"], None),
    "version": (["--version"], None),
}
# stdin, stdout and stderr, where "" is a file.
STREAMS = {
    "stdout gone": ("", "gone", ""),
    "stdout full": ("", "full", ""),
    "stderr gone": ("", "", "gone"),
    "stderr full": ("", "", "full"),
    "both gone": ("", "gone", "gone"),
    "both full": ("", "full", "full"),
    "stdout closed": ("", "closed", ""),
    "stderr closed": ("closed", "", "closed"),
    "all closed": ("closed", "closed", "closed"),
}
# Stands in for the trainer: it says that it has trained.
TRAINER = """#!/bin/sh
echo made >"{folder}/made.safetensors"
echo '{{"schema":1,"seq":0,"time":"","kind":"finished","model":"m","sha256":"","seconds":1}}' >>"$3/events.jsonl"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_model, three_bands):
    """A folder with something for each command to work on."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "pictures").mkdir()
    for number in range(3):
        iio.imwrite(folder / "pictures" / f"{number}.png", np.roll(three_bands, 9 * number, axis=1))
    random = np.random.default_rng(0)
    for level, name in ((20, "dark"), (125, "grey"), (230, "bright")):
        (folder / "labelled" / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.clip(level + random.normal(0, 9, (64, 64)), 0, 255)
            iio.imwrite(folder / "labelled" / name / f"{number}.png", pixels.astype(np.uint8))
    categories = Categories().add("Dark").add("Grey").add("Bright")
    project = Project(categories, model="tiny", settings=Settings(tile=32), imported=(str(folder / "labelled"),))
    write_project(project, folder / "p.semclass")
    write_plan(Plan(backbone="test_resnet", pretrained="none", stages=(Stage(32, epochs=1),)), folder / "plan.toml")
    (folder / "models").mkdir()
    save_model(tiny_model.network, tiny_model.card, folder / "models" / "tiny.safetensors", half=False)
    save_file(
        {name: value.contiguous() for name, value in tiny_model.network.state_dict().items()},
        folder / "weights.safetensors",
    )
    return folder


def trainer(folder):
    """What stands in for the trainer of a folder."""
    script = folder / "trainer"
    script.write_text(TRAINER.format(folder=folder))
    script.chmod(0o755)
    return script


@pytest.fixture(scope="module")
def server(place, tmp_path_factory):
    """The process that runs the commands."""
    folder = tmp_path_factory.mktemp("first") / "here"
    shutil.copytree(place, folder)
    told = {**os.environ, "SEMCLASS_MODELS": "models", "OMP_NUM_THREADS": "1"}
    first = [
        [word.replace("made", f"made{number}") for word in arguments]
        for number, (arguments, _) in enumerate(COMMANDS.values())
    ]
    command = [sys.executable, "-W", "ignore", HERE / "forked_semclass.py", str(trainer(folder)), json.dumps(first)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=folder, env=told, **pipes) as process:
        assert process.stdout.readline() == "0\n"
        yield process
        process.stdin.close()


@pytest.fixture
def semclass(server, place, tmp_path):
    """Run a command with given streams in a folder of its own; its status, and what is on stdout and stderr."""
    folder = tmp_path / "here"
    shutil.copytree(place, folder)
    python = trainer(folder)

    def run(arguments, streams=("", "", ""), encoding="utf-8"):
        files = [tmp_path / name for name in ("in", "out", "err")]
        for file in files:
            file.write_bytes(b"")
        names = [stream or str(file) for stream, file in zip(streams, files, strict=True)]
        job = {"folder": str(folder), "arguments": arguments, "encoding": encoding, "trainer": str(python)}
        print(json.dumps(job | dict(zip(("in", "out", "err"), names, strict=True))), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        out, err = (file.read_text(encoding=encoding) for file in files[1:])
        for said in (out, err):
            assert "Traceback" not in said
            assert "Exception ignored" not in said
        return status, out, err

    run.folder = folder
    return run


# Commands that take long are tried with the streams that differ most.
SLOW, FEW = {"learn", "evaluate", "export", "import", "demo"}, {"stdout full", "stderr gone", "all closed"}


@pytest.mark.parametrize(
    ("command", "streams"), [(one, other) for one in COMMANDS for other in STREAMS if one not in SLOW or other in FEW]
)
def test_work_is_done_whatever_can_be_printed(command, streams, semclass):
    arguments, made = COMMANDS[command]
    out, err = STREAMS[streams][1:]
    status, said, complained = semclass(arguments, STREAMS[streams])
    if made is not None:
        assert (semclass.folder / made).is_file()
    # What exists in print only, and is not on the disk where it was to be, was not done.
    undone = made is None and out == "full"
    assert status == (2 if undone else 0), complained
    if out == "":
        assert said
        assert "[1/3]" not in said  # a message must not end up among the results
    if out == "full" and err == "":
        assert "could not" in complained.splitlines()[-1]
        assert "No space left on device" in complained.splitlines()[-1]
    if out in ("gone", "closed"):
        assert "could not" not in complained


def test_all_commands_are_in_this_test(semclass):
    _, _, complained = semclass(["no-such-command"])
    named = complained.split("choose from")[1].replace("'", "").replace(")", "").replace(",", " ").split()
    assert set(named) <= {arguments[0] for arguments, _ in COMMANDS.values()}
    assert len(named) == 11


@pytest.mark.parametrize("streams", STREAMS)
def test_files_that_fail_are_in_the_status_and_in_the_table(streams, semclass):
    (semclass.folder / "pictures" / "broken.tif").write_text("text")
    status, *_ = semclass(COMMANDS["classify"][0], STREAMS[streams])
    assert status == 1
    assert "broken.tif" in (semclass.folder / "made" / "summary.csv").read_text()
    status, *_ = semclass(["info", "pictures"], STREAMS[streams])
    assert status == (2 if STREAMS[streams][1] == "full" else 1)


@pytest.mark.parametrize("streams", STREAMS)
def test_refusals_keep_their_status(streams, semclass):
    assert semclass(["classify", "nowhere", "--out", "made", "--model", "tiny"], STREAMS[streams])[0] == 2
    assert semclass(["classify"], STREAMS[streams])[0] == 2
    assert not (semclass.folder / "made").exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("command", ["classify", "info", "evaluate", "learn", "models"])
def test_names_that_an_encoding_does_not_know_are_printed_with_backslashes(command, encoding, semclass):
    name = "グレイ-µ-ß"
    shutil.move(semclass.folder / "pictures", semclass.folder / name)
    shutil.move(semclass.folder / "labelled" / "grey", semclass.folder / "labelled" / name)
    project = Project(
        Categories().add("Dark").add(name), model="tiny", settings=Settings(tile=32), imported=("labelled",)
    )
    shutil.rmtree(semclass.folder / "p.semclass")
    write_project(project, semclass.folder / "p.semclass")
    arguments = [name if word == "pictures" else word for word in COMMANDS[command][0]]
    status, out, err = semclass(arguments, encoding=encoding)
    if command == "evaluate":  # the model has no such category
        assert status == 2
    elif command == "models":
        assert status == 0
        return
    else:
        assert status == 0, err
    expected = name.encode(encoding, "backslashreplace").decode(encoding)
    assert expected in out + err


def test_the_commands_print_through_one_module():
    for path in Path(napari_semclass.cli.__file__).parent.glob("*.py"):
        if path.name != "output.py":
            said = path.read_text(encoding="utf-8")
            assert "print(" not in said.replace("console.print(", "").replace("table_console().print(", ""), path.name
            assert "sys.stdout" not in said, path.name
            assert "sys.stderr" not in said, path.name
            assert "Console(" not in said, path.name
