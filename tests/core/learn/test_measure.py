"""All figures of a classifier, against scikit-learn's and against what is known beforehand."""

import json

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score, classification_report, confusion_matrix

from napari_semclass.learn.measure import measure

NAMES = ("Ni", "Powder", "Steel", "Tips")


@pytest.fixture
def answers():
    """400 tiles of 40 pictures in 12 groups, three of four categories; scores that are right most of the time."""
    random = np.random.default_rng(3)
    pictures = np.repeat(np.arange(40), 10)
    labels = np.array([0, 1, 3])[pictures % 3]
    groups = pictures % 12
    logits = random.normal(0, 1, (400, 4)) * 3
    logits[np.arange(400), labels] += 4
    return logits, labels, pictures, groups


def test_the_figures_are_scikit_learns(answers):
    logits, labels, _, _ = answers
    scores = measure(*answers, NAMES, unit="tile").scores
    chosen = logits.argmax(axis=1)
    expected = classification_report(labels, chosen, labels=[0, 1, 3], output_dict=True, zero_division=0)
    assert scores.macro_f1.value == pytest.approx(expected["macro avg"]["f1-score"])
    assert scores.macro_precision.value == pytest.approx(expected["macro avg"]["precision"])
    present = np.isin(chosen, [0, 1, 3])
    assert scores.balanced_accuracy.value == pytest.approx(expected["macro avg"]["recall"])
    assert scores.accuracy.value == np.mean(chosen == labels)
    assert not present.all()  # some answers are of the category that is absent, and count as wrong
    assert scores.confusion.tolist() == confusion_matrix(labels, chosen, labels=range(4)).tolist()
    steel = scores.categories[2]
    assert (steel.support, steel.recall, steel.f1, steel.precision.value) == (0, None, None, 0.0)


def test_pictures_are_judged_by_the_mean_of_their_tiles(answers):
    logits, labels, pictures, _ = answers
    found = measure(*answers, NAMES, unit="tile", temperature=2.0)
    mean = np.array([softmax(logits[pictures == number] / 2, axis=1).mean(axis=0) for number in range(40)])
    truth = labels[::10]
    assert (found.per_image.n, found.per_image.images, found.per_image.unit) == (40, 40, "image")
    assert found.per_image.accuracy.value == np.mean(mean.argmax(axis=1) == truth)
    assert found.per_image.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(truth, mean.argmax(axis=1)))
    assert found.scores.n == 400
    assert found.scores.groups == found.per_image.groups == 12


def test_a_model_of_whole_pictures_is_judged_by_pictures_alone(answers):
    found = measure(*answers, NAMES, unit="image")
    assert found.scores is found.per_image
    assert found.to_json()["n"] == 40


def test_temperature_mends_confidence_and_changes_no_answer_of_a_tile(answers):
    logits, labels, pictures, groups = answers
    found = measure(logits * 5, labels, pictures, groups, NAMES, unit="tile", temperature=8.0).scores
    plain = measure(logits, labels, pictures, groups, NAMES, unit="tile").scores
    assert found.confusion.tolist() == plain.confusion.tolist()
    assert found.after.error < found.before.error


def test_intervals_widen_when_tiles_of_a_group_agree():
    random = np.random.default_rng(0)
    pictures = np.arange(300)
    labels = pictures % 2
    right = np.repeat(random.random(30) < 0.8, 10)
    logits = np.eye(2)[np.where(right, labels, 1 - labels)]
    alone = measure(logits, labels, pictures, pictures, ("a", "b"), unit="tile").scores
    grouped = measure(logits, labels, pictures, pictures // 10, ("a", "b"), unit="tile").scores
    width = [scores.accuracy.high - scores.accuracy.low for scores in (alone, grouped)]
    assert alone.accuracy.value == grouped.accuracy.value
    assert width[1] > 2 * width[0]
    # 30 observations: +- 1.96 sqrt(p (1 - p) / 30)
    share = alone.accuracy.value
    assert width[1] == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / 30), rel=0.15)


def test_one_group_tells_nothing_about_others(answers):
    logits, labels, pictures, _ = answers
    scores = measure(logits, labels, pictures, np.zeros_like(pictures), NAMES, unit="tile").scores
    assert (scores.accuracy.low, scores.accuracy.high) == (0, 1)
    assert {(each.recall.low, each.recall.high) for each in scores.categories if each.recall} == {(0, 1)}


def test_few_groups_that_are_all_right_do_not_prove_that_all_others_are(answers):
    _, labels, pictures, groups = answers
    scores = measure(np.eye(4)[labels] * 9, labels, pictures, groups, NAMES, unit="tile").scores
    assert scores.accuracy.value == scores.accuracy.high == 1
    # All of 12 are right with a probability of at least 2.5 % if at least this share of all is.
    assert scores.accuracy.low == pytest.approx(0.025 ** (1 / 12))
    assert scores.categories[0].recall.low == pytest.approx(0.025 ** (1 / 4))
    assert (scores.categories[2].precision, scores.categories[2].recall) == (None, None)


def test_the_json_has_the_keys_that_readers_look_for(answers):
    found = measure(*answers, NAMES, unit="tile", temperature=1.5).to_json()
    keys = {"unit", "n", "n_images", "n_groups", "accuracy", "accuracy_interval", "macro_f1", "precision_macro"}
    keys |= {"recall_macro", "balanced_accuracy", "ece", "per_class", "confusion_matrix", "categories"}
    assert keys | {"ece_uncalibrated", "temperature"} <= set(found)
    assert keys <= set(found["per_image"])
    assert found["categories"] == list(NAMES)
    assert {"precision", "recall", "f1", "support"} <= set(found["per_class"]["Ni"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_same_answers_give_the_same_figures(answers):
    first, second = (measure(*answers, NAMES, unit="tile").to_json() for _ in range(2))
    assert first == second
