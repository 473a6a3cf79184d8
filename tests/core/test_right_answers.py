"""The same answers everywhere, and what must hold of every prediction and every figure, whatever the input."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn import metrics as sklearn_metrics

from napari_semclass import Settings, as_micrographs, classify_micrograph, load_model
from napari_semclass.classify.grid import tile_grid
from napari_semclass.classify.prediction import Prediction
from napari_semclass.classify.tables import write_geojson, write_tiles_csv
from napari_semclass.learn.linear_head import fit_temperature
from napari_semclass.learn.measure import measure
from napari_semclass.learn.metrics import reliability
from napari_semclass.model import Category
from napari_semclass.samples import CATEGORIES, synthetic_mosaic

TOOLS = Path(__file__).parents[2] / "tools"
GOLDEN = Path(__file__).parents[1] / "data" / "golden.json"

# Between platforms and versions of torch, whose convolutions add up in other orders, and of what draws the pictures.
ACROSS_PLATFORMS = 0.01
HERE = 1e-4


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_the_starter_answers_as_it_did_when_it_was_released(golden, monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    assert load_model("starter").sha256 == golden["model"], "the model changed: was that meant? See tools/golden.py"
    found = sys.modules.get("golden") or __import__("golden")
    for name, prediction in found.predictions().items():
        expected = np.array(golden["probabilities"][name])
        np.testing.assert_allclose(prediction.probabilities, expected, atol=ACROSS_PLATFORMS, err_msg=name)
    assert set(golden["probabilities"]) == {*CATEGORIES, "mosaic"}


@pytest.fixture(scope="module")
def mosaic():
    return as_micrographs(synthetic_mosaic((448, 672), categories=CATEGORIES[:3])[0], source="mosaic")[0]


@pytest.fixture(scope="module")
def starters_answer(mosaic):
    return classify_micrograph(mosaic, load_model("starter"), Settings(device="cpu", precision="fp32"))


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_batch_changes_no_answer_of_the_starter(batch, mosaic, starters_answer):
    found = classify_micrograph(mosaic, load_model("starter"), Settings(device="cpu", precision="fp32", batch=batch))
    np.testing.assert_allclose(found.probabilities, starters_answer.probabilities, atol=HERE)


def test_threads_change_no_answer_of_the_starter(mosaic, starters_answer):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if before > 1 else 2)
        found = classify_micrograph(mosaic, load_model("starter"), Settings(device="cpu", precision="fp32"))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(found.probabilities, starters_answer.probabilities, atol=HERE)


def test_where_a_tile_lies_changes_no_answer(tiny_model):
    """The same tiles in another order, each with the grey range of the whole, get the same answers."""
    random = np.random.default_rng(0)
    tiles = random.integers(0, 255, (6, 32, 32), dtype=np.uint8)
    order = random.permutation(6)
    plain = {"reject": "off", "device": "cpu", "precision": "fp32"}
    one, other = (
        classify_micrograph(as_micrographs(np.hstack(list(these)))[0], tiny_model, Settings(**plain))
        for these in (tiles, tiles[order])
    )
    np.testing.assert_allclose(other.probabilities, one.probabilities[order], atol=HERE)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    tile=st.integers(8, 60),
    overlap=st.floats(0.2, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_holds_of_every_prediction(height, width, tile, overlap, seed, tiny_model, tmp_path):
    """Shares sum to one, every pixel is covered, boxes lie inside, tables and shapes say what the prediction says."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width), dtype=np.uint8)
    pixels[0, 0], pixels[-1, -1] = 0, 255
    if pixels.size < 2 or pixels.min() == pixels.max():
        return
    stride = max(1, round(tile * overlap))
    found = classify_micrograph(
        as_micrographs(pixels, rgb=False)[0],
        tiny_model,
        Settings(tile=tile, stride=stride, device="cpu", precision="fp32", keep_data_bar=True),
    )
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert found.probabilities.min() >= 0
    covered = np.zeros((height, width), bool)
    for y0, x0, y1, x1 in (found.grid.box(index) for index in range(len(found.grid))):
        assert 0 <= y0 < y1 <= height
        assert 0 <= x0 < x1 <= width
        covered[y0:y1, x0:x1] = True
    assert covered.all()
    assert sum(found.area_fractions()) == pytest.approx(1)
    with_tables(found, tmp_path)


def with_tables(found: Prediction, folder: Path) -> None:
    """The tables hold each tile, and the shapes cover each pixel once."""
    write_tiles_csv(found, folder / "a.csv")
    write_geojson(found, folder / "a.geojson")
    with (folder / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.grid)
    names = [answer.name for answer in found.answers]
    shapes = json.loads((folder / "a.geojson").read_text(encoding="utf-8"))["features"]
    areas = dict.fromkeys(names, 0.0)
    for shape in shapes:
        corners = np.array(shape["geometry"]["coordinates"][0])
        areas[shape["properties"]["classification"]["name"]] += float(np.prod(np.ptp(corners, axis=0)))
    height, width = found.grid.shape
    np.testing.assert_allclose([areas[name] for name in names], np.multiply(found.area_fractions(), height * width))


@settings(max_examples=100, deadline=None)
@given(st.integers(20, 300), st.integers(5, 300), st.integers(4, 40), st.data())
def test_the_data_bar_is_in_no_tile(height, width, tile, data):
    start = data.draw(st.integers(1, height - 2))
    stop = data.draw(st.integers(start + 1, height - 1))
    grid = tile_grid((height, width), tile, None, [(0, start), (stop, height)])
    for index in range(len(grid)):
        y0, _, y1, _ = grid.box(index)
        assert y1 <= start or y0 >= stop


@st.composite
def answered(draw):
    """Scores of tiles of three categories, all of which are there, with pictures and groups."""
    count = draw(st.integers(12, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pictures = np.sort(random.integers(0, 9, count))
    labels = (pictures % 3).astype(np.int64)
    logits = random.normal(0, 2, (count, 3))
    logits[np.arange(count), labels] += draw(st.floats(0, 3))
    return logits, labels, pictures, pictures // 2


@settings(max_examples=60, deadline=None)
@given(answered())
def test_figures_are_those_of_scikit_learn(known):
    logits, labels, pictures, groups = known
    found = measure(logits, labels, pictures, groups, ["a", "b", "c"], unit="tile").scores
    answers, there = logits.argmax(axis=1), np.unique(labels)
    average = {"labels": there, "average": "macro", "zero_division": 0}
    assert found.accuracy.value == pytest.approx(sklearn_metrics.accuracy_score(labels, answers))
    assert found.macro_f1.value == pytest.approx(sklearn_metrics.f1_score(labels, answers, **average))
    recall = sklearn_metrics.recall_score(labels, answers, **average)
    assert found.balanced_accuracy.value == pytest.approx(recall)
    assert found.confusion.tolist() == sklearn_metrics.confusion_matrix(labels, answers, labels=[0, 1, 2]).tolist()
    each = sklearn_metrics.precision_recall_fscore_support(labels, answers, labels=[0, 1, 2], zero_division=0)
    for scores, precision, recall, f1, support in zip(found.categories, *each, strict=True):
        assert scores.support == support
        for share, expected in ((scores.precision, precision), (scores.recall, recall), (scores.f1, f1)):
            assert share is None or share.value == pytest.approx(expected)


def test_the_calibration_error_is_that_of_a_computation_by_hand():
    """30 answers in 15 bins of two: the mean gap between confidence and share of right answers, weighted by size."""
    random = np.random.default_rng(0)
    probabilities = softmax(random.normal(0, 2, (30, 3)), axis=1)
    truth = random.integers(0, 3, 30)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    order = np.argsort(confidence, kind="stable").reshape(15, 2)
    gaps = [abs(confidence[pair].mean() - right[pair].mean()) for pair in order]
    assert reliability(probabilities, truth).error == pytest.approx(float(np.mean(gaps)))


def test_the_temperature_is_the_likeliest_of_a_fine_search():
    random = np.random.default_rng(0)
    logits, truth = 4 * random.normal(0, 1, (400, 3)), random.integers(0, 3, 400)
    logits[np.arange(400), truth] += 3

    def loss(temperature):
        return -np.log(softmax(logits / temperature, axis=1)[np.arange(400), truth]).mean()

    candidates = np.geomspace(0.05, 20, 4000)
    best = candidates[np.argmin([loss(one) for one in candidates])]
    assert fit_temperature(logits, truth) == pytest.approx(best, rel=5e-3)


def test_answers_do_not_depend_on_the_order_of_categories():
    """Votes of overlapping tiles go to categories, not to places in a list."""
    random = np.random.default_rng(0)
    grid = tile_grid((90, 70), 30, 15)
    shares = softmax(random.normal(0, 2, (len(grid), 4)), axis=1).astype(np.float32)
    categories = tuple(Category(name, "#d55e00") for name in "abcd")
    turned = [2, 0, 3, 1]
    one = Prediction(shares, grid, categories)
    other = Prediction(shares[:, turned], grid, tuple(categories[index] for index in turned))
    np.testing.assert_allclose(np.array(one.area_fractions())[turned], other.area_fractions())
    assert sorted(one.names) == sorted(other.names)
