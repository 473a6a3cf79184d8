"""`semclass train`, `audit` and `evaluate` as typed: from a folder of pictures to a model and its report."""

import json
import os
import re
import signal
import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest

from napari_semclass.cli import main
from napari_semclass.errors import OutputError
from napari_semclass.learn.events import EpochDone, read_events
from napari_semclass.learn.plan import read_plan
from napari_semclass.learn.run import Pulse, Run, Task

TINY = ["--set", "backbone=test_resnet", "--set", "pretrained=none", "--set", "tile=32", "--set", "stride=32"]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Dark, grey and bright pictures below `data`, four of each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMCLASS_MODELS", str(tmp_path / "models"))
    random = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    for number, name in enumerate(("fine", "medium", "coarse")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for copy in range(4):
            waves = np.sin((x * np.cos(copy) + y * np.sin(copy)) / (0.5 * 4**number))
            pixels = np.clip(128 + 80 * waves + random.normal(0, 15, waves.shape), 0, 255)
            iio.imwrite(tmp_path / "data" / name / f"{copy}.png", pixels.astype(np.uint8))
    return tmp_path / "data"


def test_a_model_is_trained_found_by_name_used_and_judged(data, capfd):
    assert main(["train", "data", "--out", "mine", "--recipe", "quick", "--title", "My own", *TINY]) == 0
    said = capfd.readouterr()
    assert "accuracy" in said.out
    assert "held out" in said.err
    assert main(["models"]) == 0
    assert "mine" in capfd.readouterr().out
    assert main(["classify", "data", "--out", "results", "--model", "mine"]) == 0
    assert main(["evaluate", "mine", "data", "--out", "report"]) == 0
    metrics = json.loads((data.parent / "report" / "metrics.json").read_text())
    assert metrics["n_images"] == 12
    assert (data.parent / "report" / "report.html").stat().st_size > 1000


# What `pip install ".[all]"` does not bring. The tests' own environment has all of it.
EXTRAS = (
    *("accelerate", "anywidget", "bioimageio", "distributed", "onnx", "onnxruntime", "onnxscript", "openvino"),
    *("playwright", "pyarrow", "sigstore"),
)


def test_training_and_classifying_need_nothing_that_only_an_extra_brings(data, tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for name in EXTRAS:
        (hidden / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}', name={name!r})")
    # The processes that it starts find the same.
    paths = os.pathsep.join((str(hidden), os.environ.get("PYTHONPATH", "")))
    stage = ["--set", "stages=[{size = 32, epochs = 1, batch = 16}]"]
    train = ["train", "data", "--out", "mine", "--recipe", "quick", *TINY, *stage]
    classify = ["classify", "data", "--out", "results", "--model", "mine"]
    code = f"import sys; from napari_semclass.cli import main; sys.exit(main({train}) or main({classify}))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "summary.csv").is_file()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a script stands in for Python")
def test_a_trainer_that_cannot_even_start_is_quoted(data, tmp_path, monkeypatch, capfd):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho \"NameError: name 'Accelerator' is not defined\" >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    assert main(["train", "data", "--out", "mine", "--recipe", "quick", *TINY, "--dry-run"]) == 2
    assert "broke off before it began (NameError: name 'Accelerator' is not defined)." in capfd.readouterr().err


@pytest.mark.slow
def test_a_dry_run_tells_the_minutes_and_leaves_nothing(data, capfd):
    stage = ["--set", "stages=[{size = 32, epochs = 2}]"]
    assert main(["train", "data", "--out", "mine", "--recipe", "quick", "--dry-run", *TINY, *stage]) == 0
    said = capfd.readouterr().err
    assert "Predicted" in said
    assert 'backbone = "test_resnet"' in said
    assert {path.name for path in data.parent.iterdir()} == {"data"}


@pytest.mark.slow
def test_a_learning_rate_can_be_found(data, capfd):
    stage = ["--set", "stages=[{size = 32, epochs = 2, batch = 8}]"]
    assert main(["train", "data", "--out", "mine", "--recipe", "quick", "--find-lr", *TINY, *stage]) == 0
    said = capfd.readouterr().err
    rate = float(re.search(r"learning rate of about (\S+) suits", said).group(1))
    assert 1e-6 < rate < 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="consoles of Windows send no SIGINT to a child alone")
def test_ctrl_c_stops_and_resume_finishes(data, wait_until):
    stage = ["--set", "stages=[{size = 32, epochs = 40, batch = 16}]"]
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        # A shell starts what runs in its background with Ctrl-C ignored, these tests among it.
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from napari_semclass.cli import main; sys.exit(main())",
    ]
    arguments = ["train", "data", "--out", "mine.safetensors", "--recipe", "quick", *TINY, *stage]
    process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
    run = Run("mine.run")
    wait_until(lambda: any(isinstance(event, EpochDone) for _, event in read_events(run.events_file)))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "resume" in said
    assert not (data.parent / "mine.safetensors").exists()
    assert main(["train", "data", "--out", "mine.safetensors", "--resume"]) == 0
    assert (data.parent / "mine.safetensors").exists()


def refused(capfd, *arguments):
    """The sentence with which training is refused."""
    assert main(["train", *arguments]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("semclass: error: ")
    assert said.err.count("\n") == 1
    return said.err


def test_mistakes_get_one_sentence_before_anything_starts(data, capfd):
    assert "not a folder" in refused(capfd, "nowhere", "--out", "mine")
    assert "unknown" in refused(capfd, "data", "--out", "mine", "--recipe", "fastest")
    assert "changes nothing" in refused(capfd, "data", "--out", "mine", "--set", "colour=1")
    assert ".safetensors" in refused(capfd, "data", "--out", "mine.pkl")
    assert "shipped" in refused(capfd, "data", "--out", "starter")
    assert "no plan.toml" in refused(capfd, "data", "--out", "mine", "--resume")
    (data.parent / "mine.safetensors").write_text("mine")
    assert "is there already" in refused(capfd, "data", "--out", "mine.safetensors")
    assert (data.parent / "mine.safetensors").read_text() == "mine"


def test_a_name_is_free_again_after_a_training_that_learned_nothing(data, capfd, monkeypatch):
    def begin(run):
        raise OutputError(f"begun with {run.load()[1].data}")

    monkeypatch.setattr("napari_semclass.retrain.start", begin)
    run = Run("mine.run")
    run.create(read_plan("quick"), Task("unsorted", "mine.safetensors", "mine", "mine", "cpu"))
    pulse = Pulse(run)
    pulse.start()
    pulse.say("failed", "unsorted: holds no labelled pictures.")
    pulse.end()
    assert "begun with" in refused(capfd, "data", "--out", "mine.safetensors", *TINY)
    assert run.load()[1].data == str(data)
    # What was learned is not thrown away so easily.
    run.checkpoint.write_bytes(b"learned")
    assert "is there already" in refused(capfd, "data", "--out", "mine.safetensors", *TINY)


def test_weights_that_are_not_here_are_said_with_those_that_are(data, capfd, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    said = refused(capfd, "data", "--out", "mine", "--set", "backbone=resnet18", "--set", "pretrained=starter")
    assert "none" in said
