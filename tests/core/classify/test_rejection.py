"""What is unknown: below a confidence or unlike the training, in every result, and changed without computing anew."""

import csv
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from napari_semclass.classify import (
    Batch,
    Prediction,
    Settings,
    classify_micrograph,
    tile_grid,
    write_geojson,
    write_json,
    write_overlay,
    write_tiles_csv,
)
from napari_semclass.classify.layers import labels_data
from napari_semclass.classify.prediction import Summary
from napari_semclass.classify.rejection import Rejection, rejection_of, unknown_category
from napari_semclass.errors import OutputError, SettingsError
from napari_semclass.learn.quick import predict, strangeness
from napari_semclass.micrograph import as_micrographs
from napari_semclass.model import Category, load_model, save_model

A, B = Category("A", "#ff0000"), Category("B", "#0000ff")


@pytest.fixture
def four_tiles():
    """A surely, B hardly, A surely but strange, and one not computed."""
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.95, 0.05], [np.nan, np.nan]], dtype=np.float32)
    strange = np.array([-0.5, 0.2, 1.7, np.nan], dtype=np.float32)
    return Prediction(probabilities, tile_grid((64, 64), 32), (A, B), "x.png", strangeness=strange)


def rejecting(prediction, confidence):
    return prediction.rejecting(Rejection(confidence, 1.0, unknown_category(prediction.categories)))


def test_without_a_rule_every_tile_has_a_category(four_tiles):
    assert four_tiles.tile_categories().tolist() == [0, 1, 0, -1]
    assert [answer.name for answer in four_tiles.answers] == ["A", "B"]


@pytest.mark.parametrize(("confidence", "expected"), [(0.0, [0, 1, 2, -1]), (0.7, [0, 2, 2, -1]), (1.0, [2, 2, 2, -1])])
def test_what_is_strange_or_unsure_is_unknown(four_tiles, confidence, expected):
    shown = rejecting(four_tiles, confidence)
    assert shown.tile_categories().tolist() == expected
    assert shown.counts().tolist() == [expected.count(answer) for answer in range(3)]
    assert shown.area_fractions().sum() == pytest.approx(1)
    assert shown.area_fractions()[2] == pytest.approx(expected.count(2) / 3)
    assert shown.probabilities is four_tiles.probabilities


def test_tables_layers_and_pictures_say_unknown(four_tiles, tmp_path):
    shown = rejecting(four_tiles, 0.7)
    write_tiles_csv(shown, tmp_path / "t.csv")
    lines = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert [line["category"] for line in lines] == ["A", "unknown", "unknown"]
    assert [float(line["strangeness"]) for line in lines] == pytest.approx([-0.5, 0.2, 1.7])
    write_geojson(shown, tmp_path / "t.geojson")
    found = json.loads((tmp_path / "t.geojson").read_text())["features"]
    assert [one["properties"]["category"] for one in found] == ["A", "unknown", "unknown"]
    write_json(shown, tmp_path / "t.json")
    content = json.loads((tmp_path / "t.json").read_text())
    assert content["area_fractions"]["unknown"] == pytest.approx(2 / 3)
    assert content["rejection"]["least_confidence"] == 0.7 == content["made"]["settings"]["reject"]
    assert content["strangeness"][3] is None
    pixels, keywords, _ = labels_data([shown])
    assert pixels[::32, ::32].tolist() == [[1, 3], [3, 0]]
    assert keywords["features"]["category"][3] == "unknown"
    assert keywords["colormap"][3] not in (A.color, B.color)
    write_overlay(shown, as_micrographs(np.eye(64, dtype=np.uint8), source="x.png")[0], tmp_path / "t.png")


def test_a_whole_picture_is_unknown_when_most_of_it_is(four_tiles):
    for confidence, answer in ((0.0, "A"), (0.7, "unknown")):
        shown = rejecting(four_tiles, confidence)
        summary = Summary.of(shown, shown.cells())
        assert summary.answers[summary.answer].name == answer


def test_a_category_of_that_name_stays_apart():
    names = {unknown_category([Category("Unknown", "#000000"), A]).name, "Unknown", "unknown"}
    assert len(names) == 3


def test_reject_is_auto_off_or_a_confidence(tiny_card):
    measured = replace(tiny_card, unknown_threshold=0.6)
    assert rejection_of("auto", tiny_card) is None  # a model that has measured nothing always answers
    assert rejection_of("off", measured) is None
    assert rejection_of("auto", measured).confidence == 0.6
    assert rejection_of(0.8, tiny_card).confidence == 0.8
    for impossible in (1.5, -0.1, "perhaps"):
        with pytest.raises(SettingsError, match="auto, off or the least confidence"):
            Settings(reject=impossible)


def test_a_model_notices_what_is_unlike_its_training(wary_model, three_bands):
    alike = np.clip(three_bands + np.random.default_rng(9).normal(0, 4, three_bands.shape), 0, 255).astype(np.uint8)
    seen = classify_micrograph(as_micrographs(alike)[0], wary_model, Settings(device="cpu"))
    assert (seen.tile_categories() == 3).mean() < 0.3
    stripes = np.indices(three_bands.shape).sum(axis=0) // 3 % 2 * 255
    foreign = classify_micrograph(as_micrographs(stripes.astype(np.uint8))[0], wary_model, Settings(device="cpu"))
    assert (foreign.tile_categories() == 3).all()
    always = classify_micrograph(
        as_micrographs(stripes.astype(np.uint8))[0], wary_model, Settings(device="cpu", reject="off")
    )
    assert (always.tile_categories() < 3).all()


def test_saturated_tiles_are_unknown(wary_model, three_bands):
    pixels = three_bands.copy()
    jagged = 96 - np.random.default_rng(0).integers(0, 10, len(pixels))  # a straight edge would make it a mosaic's fill
    pixels[np.arange(pixels.shape[1]) >= jagged[:, None]] = 255
    shown = classify_micrograph(as_micrographs(pixels)[0], wary_model, Settings(device="cpu"))
    assert (shown.tile_categories().reshape(3, 5)[:, 3:] == 3).all()


def test_whole_pictures_can_be_unknown(wary_model, three_bands):
    stripes = np.indices(three_bands.shape).sum(axis=0) // 3 % 2 * 255
    shown = classify_micrograph(
        as_micrographs(stripes.astype(np.uint8))[0], wary_model, Settings("whole", device="cpu")
    )
    summary = Summary.of(shown, shown.cells())
    assert summary.answers[summary.answer].name == "unknown"


def test_strangeness_is_the_same_from_the_file_and_while_marking(wary_model, three_bands, tmp_path):
    from napari_semclass.classify.features import feature_steps

    path = tmp_path / "wary.safetensors"
    saved = save_model(wary_model.network, wary_model.card, path, half=False, familiar=wary_model.familiar)
    assert saved.sha256 == wary_model.sha256
    micrograph = as_micrographs(three_bands)[0]
    shown = classify_micrograph(micrograph, load_model(path), Settings(device="cpu"))
    *_, last = feature_steps(micrograph, wary_model, shown.grid.boxes(), tile=32, device="cpu")
    np.testing.assert_allclose(shown.probabilities, predict(last.features, wary_model), atol=1e-4)
    np.testing.assert_allclose(shown.strangeness, strangeness(last.features, wary_model), atol=1e-2)


def test_another_rule_is_other_settings(wary_model, three_bands, tmp_path):
    from PIL import Image

    Image.fromarray(three_bands).save(tmp_path / "bands.png")

    def run(reject):
        batch = Batch([tmp_path / "bands.png"], wary_model, Settings(device="cpu", reject=reject), tmp_path / "out")
        for _ in batch.steps():
            pass
        return batch

    assert len(run("auto").todo) == 1
    (line,) = csv.DictReader((tmp_path / "out" / "summary.csv").open())
    shares = [float(line[f"fraction_{name}"]) for name in (*wary_model.card.names, "unknown")]
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert run("auto").todo == [] == run(0.0).todo  # the same rule in other words
    with pytest.raises(OutputError, match="other settings"):
        run(0.99)


def test_the_card_says_what_it_answers_and_how_well(wary_model):
    curve = wary_model.card.reliability
    assert curve[0].confidence == 0
    assert curve[0].coverage == pytest.approx(0.95, abs=0.03)
    assert all(a.confidence < b.confidence and a.coverage >= b.coverage for a, b in pairwise(curve))
