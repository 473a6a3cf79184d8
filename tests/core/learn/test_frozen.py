"""Heads on a frozen network: what is drawn teaches what no real picture shows, and how drawings look does not count."""

from dataclasses import replace

import numpy as np
import pytest

from napari_semclass.errors import SettingsError
from napari_semclass.learn import frozen
from napari_semclass.learn.frozen import DrawnLooks, Looks, fit_on, whole_probabilities
from napari_semclass.learn.head_plan import Drawn, HeadPlan, View
from napari_semclass.learn.linear_head import LinearHead

PLAN = HeadPlan("none", 0.5, 0.5, 32, 32, (View(field=1.0), View(field=0.5, crops=3)), 1.0, 1.0)
WITH_DRAWN = replace(PLAN, drawn=Drawn(per_category=12, weight=5.0))
CENTRES = 6.0 * np.eye(3, 8, dtype=np.float32)
# As far as two categories are apart, in a direction of its own and towards the second.
STYLE = np.array([0, 8, 0, 0, 8, 0, 0, 0], dtype=np.float32)


def features(category, number, rng, shift=0.0):
    return (CENTRES[category] + shift + rng.normal(0, 0.5, (number, 8))).astype(np.float32)


@pytest.fixture
def real():
    rng = np.random.default_rng(0)
    labels = np.array([0] * 6 + [1] * 6)
    looks = [
        Looks((features(c, 1, rng), features(c, 3, rng)), features(c, 2, rng), features(c, 1, rng)) for c in labels
    ]
    return looks, labels, np.arange(len(labels))


@pytest.fixture
def drawn():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], 12)
    return DrawnLooks(tuple((features(c, 1, rng, STYLE), features(c, 3, rng, STYLE)) for c in labels), labels)


def answers(head, category):
    rng = np.random.default_rng(2)
    nothing = np.zeros((0, 8), dtype=np.float32)
    return [int(whole_probabilities(head, Looks((), features(category, 2, rng), nothing)).argmax()) for _ in range(10)]


def test_drawings_teach_a_category_without_a_real_picture(real, drawn):
    head = fit_on(range(12), *real, 3, WITH_DRAWN, drawn)
    assert [answers(head, category) for category in range(3)] == [[0] * 10, [1] * 10, [2] * 10]


def test_what_all_drawings_have_in_common_is_not_learned(real, drawn):
    plain = DrawnLooks(tuple(tuple(view - STYLE for view in views) for views in drawn.views), drawn.labels)
    styled = fit_on(range(12), *real, 3, WITH_DRAWN, drawn)
    np.testing.assert_allclose(styled.weight, fit_on(range(12), *real, 3, WITH_DRAWN, plain).weight, atol=1e-3)


def test_the_more_drawings_weigh_the_more_they_say(real, drawn):
    # Drawings that call the first category the second: real pictures win unless drawings weigh far more.
    wrong = DrawnLooks(drawn.views, np.array([1, 0, 2])[drawn.labels])
    light, heavy = (
        fit_on(range(12), *real, 3, replace(PLAN, drawn=Drawn(12, weight)), wrong) for weight in (0.1, 1000.0)
    )
    assert answers(light, 0) == [0] * 10
    assert answers(heavy, 0) == [1] * 10


@pytest.fixture
def fitted(monkeypatch):
    """What the regression was given by the last fit: features, labels, weights."""
    given = []

    def fit(features, labels, weights, *others, **more):
        given[:] = [features, labels, weights]
        return LinearHead(np.zeros((3, 8)), np.zeros(3))

    monkeypatch.setattr(frozen, "fit_linear_head", fit)
    return given


def test_groups_and_kinds_of_view_weigh_alike_and_drawings_as_much_as_the_plan_says(real, drawn, fitted):
    looks, labels, _ = real
    groups = np.array([0] * 5 + [1] + [2] * 2 + [3] * 4)  # 2 groups of each category, of uneven size
    plan = replace(WITH_DRAWN, balance=0.0)
    fit_on(range(12), looks, labels, groups, 3, plan, drawn)
    features, learned, weights = fitted
    owners = np.repeat(groups, 4)
    assert len(features) == 12 * 4 + 36 * 4
    np.testing.assert_allclose([weights[:48][owners == group].sum() for group in range(4)], 1)
    np.testing.assert_allclose([weights[:48][owners == group][::4].sum() for group in range(4)], 0.5)  # first view
    np.testing.assert_allclose(np.bincount(learned[48:], weights[48:]), 5)


def test_drawings_are_moved_to_the_real_pictures_by_the_categories_that_both_show(real, drawn, fitted):
    looks, labels, groups = real
    # Ten times as many drawings of one category, and one category that no real picture shows: neither moves the centre.
    extra = [views for views, label in zip(drawn.views, drawn.labels, strict=True) if label == 1] * 9
    many = DrawnLooks((*drawn.views, *extra), np.concatenate([drawn.labels, np.ones(len(extra), int)]))
    fit_on(range(12), looks, labels, groups, 3, WITH_DRAWN, many)
    features, learned, _ = fitted
    real_part, drawn_part = slice(0, 48), slice(48, None)
    centres = [
        np.mean([features[part][learned[part] == category].mean(axis=0) for category in (0, 1)], axis=0)
        for part in (real_part, drawn_part)
    ]
    np.testing.assert_allclose(*centres, atol=0.3)  # each view counts here, each kind of view there
    assert np.abs(features[drawn_part][learned[drawn_part] == 2].mean(axis=0) - CENTRES[2]).max() < 0.6


def test_drawings_that_the_plan_asks_for_may_not_be_forgotten(real):
    with pytest.raises(SettingsError, match="generated micrographs"):
        fit_on(range(12), *real, 3, WITH_DRAWN)


def test_without_drawings_asked_for_none_are_learned(real, drawn):
    alone, given = fit_on(range(12), *real, 3, PLAN), fit_on(range(12), *real, 3, PLAN, drawn)
    np.testing.assert_array_equal(alone.weight, given.weight)
