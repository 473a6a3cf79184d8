"""Calibration: how often answers of a confidence are right."""

import numpy as np
import pytest

from napari_semclass.learn.metrics import percent, reliability


def two_categories(confidence, right):
    """Probabilities of answers 0 with these confidences, and the truth that makes them right or wrong."""
    confidence = np.asarray(confidence, dtype=float)
    return np.stack([confidence, 1 - confidence], axis=1), np.where(right, 0, 1)


def test_the_error_is_the_mean_gap_between_confidence_and_accuracy():
    # A hundred answers at 0.8 of which 60 are right, a hundred at 0.95 of which 95 are: gaps 0.2 and 0.
    right = [True] * 60 + [False] * 40 + [True] * 95 + [False] * 5
    bins = reliability(*two_categories([0.8] * 100 + [0.95] * 100, right), bins=2)
    assert bins.confidence == pytest.approx([0.8, 0.95])
    assert bins.accuracy == pytest.approx([0.6, 0.95])
    assert bins.error == pytest.approx(0.1)


def test_bins_hold_equal_numbers_of_answers():
    random = np.random.default_rng(0)
    bins = reliability(*two_categories(0.5 + random.random(1000) ** 8 / 2, random.random(1000) < 0.7))
    assert len(bins.count) == 15
    assert bins.count.sum() == 1000
    assert set(bins.count) == {66, 67}


def test_answers_as_sure_as_they_are_right_have_next_to_no_error():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1, 20_000)
    assert reliability(*two_categories(confidence, random.random(20_000) < confidence)).error < 0.02


def test_few_answers_make_few_bins():
    bins = reliability(*two_categories([0.9, 0.8, 0.7], [True, True, False]))
    assert bins.count.tolist() == [1, 1, 1]


def test_per_cent_has_one_decimal():
    assert percent(0.9239) == "92.4 %"
