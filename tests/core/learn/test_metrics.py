"""Metrics on answers whose quality is known, and intervals that know about groups."""

import numpy as np
import pytest

from napari_semclass.learn.metrics import Share, accuracy, balanced_accuracy, recalls, with_interval

# Eight of category 0, all found; two of category 2, one found; none of category 1.
TRUTH = np.array([0] * 8 + [2] * 2)
ANSWERS = np.array([0] * 8 + [2, 1])


def test_shares_of_known_answers():
    assert accuracy(TRUTH, ANSWERS) == pytest.approx(0.9)
    assert balanced_accuracy(TRUTH, ANSWERS) == pytest.approx(0.75)


def test_recall_is_given_for_categories_that_were_there():
    assert recalls(TRUTH, ANSWERS, ["Fibres", "Powder", "Tips"]) == {"Fibres": 1.0, "Tips": 0.5}


def hits_of(right):
    return lambda indices: float(right[indices].mean())


def test_the_value_is_that_of_all_samples_and_lies_in_its_interval():
    right = np.random.default_rng(0).random(200) < 0.7
    share = with_interval(hits_of(right), [str(index) for index in range(200)])
    assert share.value == right.mean()
    # Of independent samples the interval is that of a binomial share, +- 1.96 sqrt(p (1 - p) / n).
    half = 1.96 * np.sqrt(share.value * (1 - share.value) / 200)
    assert share.low == pytest.approx(share.value - half, abs=0.015)
    assert share.high == pytest.approx(share.value + half, abs=0.015)


def test_samples_of_one_group_count_as_one_observation():
    right = np.repeat(np.random.default_rng(0).random(20) < 0.7, 10)
    alone = with_interval(hits_of(right), [str(index) for index in range(200)])
    grouped = with_interval(hits_of(right), [str(index // 10) for index in range(200)])
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval():
    scores = np.random.default_rng(0).random(50)
    groups = [str(index // 2) for index in range(50)]
    assert with_interval(hits_of(scores), groups, seed=4) == with_interval(hits_of(scores), groups, seed=4)
    assert with_interval(hits_of(scores), groups, seed=4) != with_interval(hits_of(scores), groups, seed=5)


def test_a_share_reads_as_value_and_interval():
    assert str(Share(0.7, 0.61234, 0.8)) == "0.700 [0.612, 0.800]"
