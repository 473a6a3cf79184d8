"""The linear head on features with a known answer, and what weights and temperature do to it."""

import numpy as np
import pytest
from scipy.special import softmax

from napari_semclass.errors import SettingsError
from napari_semclass.learn.linear_head import fit_linear_head, fit_temperature, group_weights


def clusters(labels, seed=0, spread=1.0):
    """Eight features whose scales differ a thousandfold; categories lie apart on three of them."""
    random = np.random.default_rng(seed)
    features = spread * random.normal(size=(len(labels), 8))
    features[:, :3] += 6 * np.eye(3)[labels]
    return (features * np.logspace(-1, 2, 8) + 50).astype(np.float32)


def fitted(labels, categories=3, weights=None, **how):
    weights = np.ones(len(labels)) if weights is None else weights
    return fit_linear_head(clusters(labels, **how), labels, weights, categories, 1.0)


def test_it_tells_new_samples_apart_on_features_as_they_come():
    head = fitted(np.repeat([0, 1, 2], 40))
    truth = np.repeat([0, 1, 2], 100)
    logits = head.logits(clusters(truth, seed=1))
    assert logits.shape == (300, 3)
    assert np.mean(logits.argmax(axis=1) == truth) > 0.97


def test_two_categories_get_a_score_each():
    labels = np.repeat([0, 1], 40)
    head = fitted(labels, categories=2)
    assert head.weight.shape == (2, 8)
    assert np.mean(head.logits(clusters(labels, seed=1)).argmax(axis=1) == labels) > 0.97


def test_a_category_without_samples_never_wins():
    head = fitted(np.repeat([0, 2], 40), categories=4)
    logits = head.logits(clusters(np.repeat([0, 1, 2], 50), seed=1, spread=3))
    assert set(logits.argmax(axis=1).tolist()) == {0, 2}
    assert softmax(logits, axis=1)[:, [1, 3]].max() < 1e-6


def test_a_head_fits_float16_even_with_categories_that_never_win():
    head = fitted(np.repeat([0, 2], 40), categories=4)
    assert np.isfinite(head.bias.astype(np.float16)).all()
    assert np.isfinite(head.weight.astype(np.float16)).all()


def test_features_that_tuning_has_switched_off_decide_nothing():
    """All but three of 400 hardly vary, and what is left of them depends on who computes it."""
    random = np.random.default_rng(0)

    def features(labels):
        return np.hstack([random.normal(np.eye(3)[labels], 0.3), random.normal(0, 1e-6, (len(labels), 397))])

    labels = np.repeat([0, 1, 2], 30)
    seen, asked = (features(labels).astype(np.float32) for _ in range(2))
    asked[:, 3:] += 1e-3 * random.normal(size=(90, 397))  # another runtime's rounding
    for weakest, right in ((0.0, False), (0.03, True)):
        head = fit_linear_head(seen, labels, np.ones(90), 3, 0.01, least_spread=1.0, weakest=weakest)
        assert bool(np.mean(head.logits(asked).argmax(axis=1) == labels) > 0.8) == right


def test_one_category_is_nothing_to_learn_from():
    with pytest.raises(SettingsError, match="two categories"):
        fitted(np.zeros(10, dtype=np.int64))


def test_only_the_ratio_of_weights_matters():
    labels = np.repeat([0, 1, 2], 20)
    weights = np.random.default_rng(0).random(60) + 0.1
    assert np.allclose(fitted(labels, weights=weights).weight, fitted(labels, weights=7 * weights).weight, atol=1e-6)


def test_samples_that_weigh_more_are_believed():
    # The same features say 0 in half of the samples and 1 in the other half.
    labels = np.tile([0, 1], 50)
    features = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    head = fit_linear_head(features, labels, np.where(labels == 1, 9.0, 1.0), 2, 1e-6)
    assert np.allclose(softmax(head.logits(features), axis=1)[:, 1], 0.9, atol=0.02)


# Category 0 has one series of six pictures and two single ones; category 1 has one group of two pictures.
LABELS = np.array([0] * 8 + [1] * 2)
GROUPS = np.array([0] * 6 + [1, 2] + [3, 3])


def test_a_long_series_counts_as_one_group():
    weights = group_weights(LABELS, GROUPS, balance=0)
    assert np.bincount(GROUPS, weights=weights) == pytest.approx([1, 1, 1, 1])


def test_full_balance_gives_categories_the_same_weight():
    weights = group_weights(LABELS, GROUPS, balance=1)
    assert np.bincount(LABELS, weights=weights) == pytest.approx([1, 1])
    assert weights[:6].sum() == pytest.approx(weights[6])


def test_half_balance_lies_between():
    totals = np.bincount(LABELS, weights=group_weights(LABELS, GROUPS, balance=0.5))
    assert totals[0] / totals[1] == pytest.approx(3**0.5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_temperature_that_was_applied_is_found(temperature):
    random = np.random.default_rng(0)
    honest = random.normal(scale=2, size=(4000, 3))
    drawn = [random.choice(3, p=p) for p in softmax(honest, axis=1)]
    assert fit_temperature(honest * temperature, np.array(drawn)) == pytest.approx(temperature, rel=0.1)


def test_a_temperature_stays_in_bounds_for_perfect_and_hopeless_answers():
    labels = np.tile([0, 1], 20)
    right = np.eye(2)[labels] * 5
    assert 0.05 <= fit_temperature(right, labels) < 0.2
    assert 15 < fit_temperature(-right, labels) <= 20
