"""Heads on a frozen network: what is drawn teaches what no real picture shows, and how drawings look does not count."""

from dataclasses import replace

import numpy as np
import pytest

from napari_semclass.learn.frozen import DrawnLooks, Looks, fit_on, whole_probabilities
from napari_semclass.learn.head_plan import Drawn, HeadPlan, View

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
    assert 2 not in answers(fit_on(range(12), *real, 3, PLAN), 2)
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


def test_without_drawings_asked_for_none_are_learned(real, drawn):
    alone, given = fit_on(range(12), *real, 3, PLAN), fit_on(range(12), *real, 3, PLAN, drawn)
    np.testing.assert_array_equal(alone.weight, given.weight)
