"""What is unknown, tile by tile and cell by cell, and what that does to counts, areas and the answer."""

import numpy as np
import pytest

from napari_semclass.classify import Prediction, tile_grid
from napari_semclass.classify.prediction import Summary
from napari_semclass.classify.rejection import Rejection, recorded, rejection_of, unknown_category
from napari_semclass.model.card import Card, Category, Preprocessing

CATEGORIES = (Category("a", "#ff0000"), Category("b", "#00ff00"), Category("c", "#0000ff"))
SAID = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.4, 0.3, 0.3], [0.1, 0.1, 0.8], [np.nan] * 3]
STRANGE = [0.1, 5.0, 0.2, 1.0, np.nan]


@pytest.fixture
def prediction():
    """Five tiles in a row of 10 x 10 pixels: sure of a, strange, unsure, as strange as may be, not computed."""
    return Prediction(
        np.array(SAID, dtype=np.float32),
        tile_grid((10, 50), 10),
        CATEGORIES,
        "m",
        made={"settings": {"mode": "tiles", "tile": 10}, "device": "cpu"},
        strangeness=np.array(STRANGE, dtype=np.float32),
    )


def rule(confidence=0.5, strangeness=1.0):
    return Rejection(confidence, strangeness, unknown_category(CATEGORIES))


def card(**fields):
    return Card("m", "m", "", CATEGORIES, "resnet18", "tile", 224, 224, Preprocessing(0.5, 0.5), **fields)


def test_the_strange_and_the_unsure_are_unknown_in_tiles_and_in_cells(prediction):
    assert prediction.tile_categories().tolist() == [0, 1, 0, 2, -1]
    shown = prediction.rejecting(rule())
    assert shown.tile_categories().tolist() == [0, 3, 3, 2, -1]
    assert shown.cells().labels().tolist() == [[1, 4, 4, 3, 0]]
    assert shown.counts().tolist() == [1, 0, 1, 2]
    np.testing.assert_allclose(shown.area_fractions(), [0.25, 0, 0.25, 0.5])
    np.testing.assert_allclose(shown.tile_confidence(), [0.8, 0.8, 0.4, 0.8, np.nan], rtol=1e-6)
    np.testing.assert_allclose(shown.cells().confidence(), [[0.8, 0.8, 0.4, 0.8, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(shown.mean_probabilities(), prediction.mean_probabilities())


def test_a_confidence_as_high_as_asked_for_is_enough(prediction):
    exact = float(np.float32(0.8))
    assert prediction.rejecting(rule(confidence=exact)).tile_categories().tolist() == [0, 3, 3, 2, -1]


def test_a_model_that_cannot_tell_what_is_strange_rejects_the_unsure_only(prediction):
    blind = Prediction(prediction.probabilities, prediction.grid, CATEGORIES, rejection=rule())
    assert blind.tile_categories().tolist() == [0, 1, 3, 2, -1]
    assert blind.cells().strangeness is None
    assert blind.cells().labels().tolist() == [[1, 2, 4, 3, 0]]


def test_overlapping_tiles_share_their_strangeness():
    grid = tile_grid((10, 15), 10, 5)
    said = np.array([[0.8, 0.1, 0.1]] * 2, dtype=np.float32)
    prediction = Prediction(said, grid, CATEGORIES, strangeness=np.array([0.0, 1.5], dtype=np.float32))
    cells = prediction.rejecting(rule()).cells()
    np.testing.assert_allclose(cells.strangeness, [[0, 0.75, 1.5]])
    assert cells.labels().tolist() == [[1, 1, 4]]
    assert cells.probabilities.shape == (1, 3, 3)


def test_unknown_has_no_area_where_nothing_is_unknown_or_nothing_classified(prediction):
    assert prediction.rejecting(rule(0.0, 9.0)).area_fractions()[3] == 0
    nothing = Prediction(np.full((5, 3), np.nan, np.float32), prediction.grid, CATEGORIES, rejection=rule())
    assert nothing.area_fractions().tolist() == [0, 0, 0, 0]
    assert nothing.counts().tolist() == [0, 0, 0, 0]
    assert np.isnan(nothing.mean_probabilities()).tolist() == [True] * 3


def test_another_rule_is_recorded_and_nothing_else_changes(prediction):
    shown = prediction.rejecting(rule(0.7))
    assert shown.made == {"settings": {"mode": "tiles", "tile": 10, "reject": 0.7}, "device": "cpu"}
    assert shown.rejecting(None).made["settings"]["reject"] == "off"
    assert "reject" not in prediction.made["settings"]
    assert [answer.name for answer in shown.answers] == ["a", "b", "c", "unknown"]
    assert shown.rejecting(None).answers == CATEGORIES
    bare = Prediction(prediction.probabilities, prediction.grid, CATEGORIES).rejecting(rule())
    assert bare.made == {"settings": {"reject": 0.5}}
    assert not bare.whole


@pytest.mark.parametrize(("strange", "answer"), [([0, 0, 0, 0, np.nan], 0), ([5, 5, 0, 0, np.nan], 0), ([5] * 5, 3)])
def test_a_micrograph_is_unknown_where_more_than_half_of_it_is(prediction, strange, answer):
    said = np.array([[0.9, 0.05, 0.05]] * 4 + [[np.nan] * 3], dtype=np.float32)
    shown = Prediction(
        said, prediction.grid, CATEGORIES, "m", strangeness=np.array(strange, np.float32), rejection=rule()
    )
    summary = Summary.of(shown, shown.cells())
    assert summary.answer == answer
    assert summary.answers[answer].name == ("unknown" if answer == 3 else "a")
    assert (summary.source, summary.whole) == ("m", False)
    np.testing.assert_array_equal(summary.counts, shown.counts())
    np.testing.assert_array_equal(summary.fractions, shown.area_fractions())
    np.testing.assert_array_equal(summary.mean, shown.mean_probabilities())


def test_without_a_rule_the_answer_is_the_most_probable_on_average(prediction):
    summary = Summary.of(prediction, prediction.cells())
    assert summary.answer == int(np.nanmean(SAID, axis=0).argmax())
    assert summary.answers == CATEGORIES


def test_whole_and_the_source_of_the_pixel_size_are_read_from_how_it_was_made(prediction):
    made = {"settings": {"mode": "whole"}, "pixel_size_source": "Zeiss AP_IMAGE_PIXEL_SIZE"}
    whole = Prediction(prediction.probabilities, prediction.grid, CATEGORIES, made=made)
    assert whole.whole
    assert whole.pixel_size_source == "Zeiss AP_IMAGE_PIXEL_SIZE"
    assert not prediction.whole
    assert prediction.pixel_size_source == ""
    assert Prediction(prediction.probabilities, prediction.grid, CATEGORIES).pixel_size_source == ""


def test_unknown_gets_a_name_that_no_category_has():
    assert unknown_category(CATEGORIES).name == "unknown"
    taken = [Category(name, "#000000") for name in ("Unknown", "unknown (no answer)", "unknown (no answer) 2")]
    assert unknown_category(taken[:1]).name == "unknown (no answer)"
    assert unknown_category(taken[:2]).name == "unknown (no answer) 2"
    assert unknown_category(taken).name == "unknown (no answer) 3"


@pytest.mark.parametrize(
    ("reject", "fields", "least"),
    [
        ("off", {"unknown_threshold": 0.6}, None),
        ("auto", {}, None),
        ("auto", {"unknown_threshold": 0.6}, 0.6),
        ("auto", {"familiar_kept": 0.99}, 0.0),
        (0.3, {}, 0.3),
        (0.3, {"unknown_threshold": 0.6}, 0.3),
    ],
)
def test_what_is_asked_for_and_what_the_model_recommends_decide_the_rule(reject, fields, least):
    rejection = rejection_of(reject, card(**fields))
    assert (rejection and (rejection.confidence, rejection.strangeness)) == (None if least is None else (least, 1.0))
    assert rejection is None or rejection.category == Category("unknown", "#8c8c8c")
    assert recorded(rejection) == ("off" if least is None else least)


def test_unknown_in_another_colour_is_the_same_rule():
    assert rule().colored("#123456") == Rejection(0.5, 1.0, Category("unknown", "#123456"))
