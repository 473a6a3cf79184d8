"""Evaluation of a model on pictures on disk, as a user of the command line or of Python has it."""

import argparse
import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import softmax

from napari_semclass.classify.forward import Forward
from napari_semclass.cli.evaluate import add_evaluate, evaluate
from napari_semclass.errors import OutputError, SettingsError
from napari_semclass.learn.answers import answers_of
from napari_semclass.learn.dataset import data_sha256, read_dataset
from napari_semclass.learn.evaluate import evaluate_model
from napari_semclass.model import Model, Preprocessing, load_model_file, save_model

LEVELS = {"dark": 20, "grey": 125, "bright": 235}


@pytest.fixture(scope="module")
def flat(tiny_model, tmp_path_factory):
    """The file of a model that takes the darkest pixel for black and the brightest for white."""
    steps = Preprocessing(mean=0.5, std=0.5, low_percentile=0.0, high_percentile=100.0)
    path = tmp_path_factory.mktemp("flat") / "flat.safetensors"
    save_model(tiny_model.network, replace(tiny_model.card, name="flat", preprocessing=steps), path, half=False)
    return path


@pytest.fixture
def model(flat):
    return load_model_file(flat)


def draw(path, level, seed, shape=(64, 96)):
    """A picture about one grey level with blotches of its own, a black and a white pixel."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.normal(level, 4, (6, 9)).astype(np.float32))
    pixels = np.array(coarse.resize(shape[::-1], Image.Resampling.BICUBIC)) + random.normal(0, 4, shape)
    pixels[0, 0], pixels[-1, -1] = 0, 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def write_manifest(folder, rows):
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "class", "group"), *rows])


@pytest.fixture
def data(tmp_path):
    """Four pictures of each of three categories in two specimens each; one of them carries the wrong label."""
    folder = tmp_path / "data"
    rows = []
    for category, level in LEVELS.items():
        for number in range(4):
            path = folder / category / f"{number}.png"
            wrong = (category, number) == ("dark", 3)
            draw(path, LEVELS["bright"] if wrong else level, seed=level + number)
            rows.append((f"{category}/{number}.png", category, f"{category}{number // 2}"))
    write_manifest(folder, rows)
    return folder


def run(*arguments):
    parser = argparse.ArgumentParser()
    add_evaluate(parser.add_subparsers(dest="command"))
    return evaluate(parser.parse_args(["evaluate", *map(str, arguments)]))


def test_the_command_writes_figures_charts_and_one_page(flat, data, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(flat, data, "--out", out, "--device", "cpu") == 0
    assert {path.name for path in out.iterdir()} == {
        "metrics.json",
        "report.html",
        "confusion.png",
        "per_class.png",
        "reliability.png",
        "top_losses.png",
    }
    found = json.loads((out / "metrics.json").read_text())
    assert (found["unit"], found["n"], found["n_images"], found["n_groups"]) == ("tile", 12 * 6, 12, 6)
    assert found["per_image"]["n"] == 12
    assert found["accuracy"] == pytest.approx(66 / 72)
    assert found["per_class"]["bright"]["recall"] == 1
    assert found["confusion_matrix"][0][2] == 6  # the mislabelled picture: dark, taken for bright
    assert found["random_split"]["folds"] == 2
    assert found["warnings"] == []
    said = capsys.readouterr().out
    assert "flat is right on 91.7 % of 72 tiles of 12 pictures in 6 groups" in said
    assert str(out) in said


def test_the_same_command_gives_the_same_files(flat, data, tmp_path):
    for name in ("first", "second"):
        run(flat, data, "--out", tmp_path / name, "--device", "cpu")
    first = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}


def test_the_mislabelled_picture_is_the_first_mistake(model, data, tmp_path):
    found = evaluate_model(model, data, tmp_path / "out", device="cpu")
    assert len(found.mistakes) == 1  # one of each picture, though all six tiles are wrong
    mistake = found.mistakes[0]
    assert (mistake.file, mistake.truth, mistake.answer) == ("dark/3.png", "dark", "bright")
    assert mistake.pixels.shape == (32, 32)
    assert not list((tmp_path / "out").iterdir())  # nothing is left beside the results


def test_categories_that_the_model_lacks_are_named(model, data, tmp_path):
    draw(data / "spotted" / "0.png", 100, 0)
    rows = [(f"{name}/0.png", name, name) for name in (*LEVELS, "spotted")]
    write_manifest(data, rows)
    with pytest.raises(SettingsError, match="spotted"):
        evaluate_model(model, data, tmp_path / "out", device="cpu")


def test_categories_that_the_data_lack_stay_out_of_averages(model, data, tmp_path):
    write_manifest(data, [(f"{name}/{n}.png", name, f"{name}{n}") for name in ("grey", "bright") for n in range(4)])
    found = evaluate_model(model, data, tmp_path / "out", device="cpu")
    assert found.metrics.scores.macro_f1.value == 1
    assert found.to_json()["per_class"]["dark"]["recall"] is None
    assert any("dark" in note for note in found.notes)


def test_data_that_the_card_names_are_no_silent_test(model, data, tmp_path):
    sha256 = data_sha256(read_dataset(data).pictures)
    card = replace(model.card, provenance=f"Trained on {sha256}.")
    found = evaluate_model(Model(model.network, card, "0" * 64), data, tmp_path / "out", device="cpu")
    assert "no independent test" not in "".join(found.notes)
    assert "not an independent test" in found.warnings[0]


def test_only_the_validation_part_is_judged(model, tmp_path):
    folder = tmp_path / "parts"
    for part, count in (("train", 3), ("valid", 2)):
        for name, level in LEVELS.items():
            for number in range(count):
                draw(folder / part / name / f"{part}{number}.png", level, seed=level + number + 10 * count)
    found = evaluate_model(model, folder, tmp_path / "out", device="cpu")
    assert found.metrics.scores.images == 6
    assert any("only the validation part" in note for note in found.notes)


def test_a_model_of_whole_pictures_is_judged_by_pictures(model, data, tmp_path):
    card = replace(model.card, unit="image")
    found = evaluate_model(Model(model.network, card, "0" * 64), data, tmp_path / "out", device="cpu")
    scores = found.metrics.scores
    assert (scores.unit, scores.n) == ("image", 12)
    assert scores.accuracy.value == pytest.approx(11 / 12)
    assert (found.random_split.unit, found.random_split.n) == ("image", 12)


def test_an_output_folder_that_is_a_file_is_found_before_work_begins(model, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(OutputError, match="taken"):
        evaluate_model(model, tmp_path / "no data are needed", taken, device="cpu")
    assert taken.read_text() == "mine"


def test_learning_curves_come_from_the_run_folder(flat, data, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(SettingsError, match="training run"):
        run(flat, data, "--out", tmp_path / "out", "--run", folder)
    epoch = {"kind": "epoch", "stage": 1, "size": 32, "epoch": 1, "epochs": 1, "frozen": False, "train_loss": 1.0}
    epoch |= {"valid_loss": None, "accuracy": None, "macro_f1": None, "precision": None, "recall": None}
    epoch |= {"seconds": 1.0, "images_per_second": 1.0, "lr": 0.1}
    (folder / "events.jsonl").write_text(json.dumps(epoch) + "\n")
    run(flat, data, "--out", tmp_path / "out", "--run", folder, "--device", "cpu")
    assert (tmp_path / "out" / "learning_curves.png").is_file()
    assert "How it learned" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_scores_and_features_are_those_of_the_network(model, tmp_path):
    card = replace(model.card, temperature=2.5)
    model = save_model(model.network, card, tmp_path / "warm.safetensors", half=False)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 32, 32), dtype=np.uint8)
    wanted = np.arange(70) % 3 == 0
    logits, features = answers_of(Forward.on(model, "cpu"), pixels, wanted)
    with torch.inference_mode():
        expected = model.logits(torch.from_numpy(pixels.astype(np.float32) / 255)).numpy()
    for temperature in (1.0, 2.5):
        shares = softmax(expected / temperature, axis=1)
        assert softmax(logits / temperature, axis=1) == pytest.approx(shares, abs=1e-5)
    head = model.network.get_classifier()
    assert features @ head.weight.numpy().T + head.bias.numpy() == pytest.approx(expected[wanted], abs=1e-3)
    assert not head._forward_pre_hooks


def test_parts_computed_twice_for_want_of_memory_count_once(model, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (70, 32, 32), dtype=np.uint8)
    wanted = np.ones(70, dtype=bool)
    expected = answers_of(Forward.on(model, "cpu", 16), pixels, wanted)
    head, calls = model.network.get_classifier(), []

    def fails_once(given):
        calls.append(len(given))
        if len(calls) == 2:
            raise RuntimeError("CUDA out of memory")
        return torch.nn.functional.linear(given, head.weight, head.bias)

    monkeypatch.setattr(head, "forward", fails_once)
    found = answers_of(Forward.on(model, "cpu", 16), pixels, wanted)
    assert set(calls[2:]) <= {8, 6}
    for after, before in zip(found, expected, strict=True):
        assert after == pytest.approx(before, abs=1e-3)
