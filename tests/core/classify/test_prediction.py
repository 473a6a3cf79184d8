"""The prediction: votes on cells equal votes counted pixel by pixel; areas and totals follow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_semclass.classify import Prediction, tile_grid
from napari_semclass.classify.layers import label_pixels, labels_data, score_data
from napari_semclass.model.card import Category

CATEGORIES = tuple(Category(name, color) for name, color in (("a", "#ff0000"), ("b", "#00ff00"), ("c", "#0000ff")))


def predict(shape=(70, 110), tile=32, stride=20, missing=(), specimen=None, seed=0):
    grid = tile_grid(shape, tile, stride, specimen)
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(3), len(grid)).astype(np.float32)
    probabilities[list(missing)] = np.nan
    return Prediction(probabilities, grid, CATEGORIES, "m", None, {})


def pixel_votes(prediction):
    """The slow, obvious way: add every tile's probabilities to its pixels."""
    total = np.zeros((*prediction.grid.shape, 3))
    votes = np.zeros(prediction.grid.shape)
    for (y0, x0, y1, x1), p in zip(prediction.grid.boxes(), prediction.probabilities, strict=True):
        if not np.isnan(p[0]):
            total[y0:y1, x0:x1] += p
            votes[y0:y1, x0:x1] += 1
    with np.errstate(invalid="ignore"):
        return total / votes[..., None]


@settings(deadline=None)
@given(st.integers(1, 80), st.integers(1, 80), st.integers(4, 40), st.data())
def test_cells_equal_votes_counted_pixel_by_pixel(height, width, tile, data):
    stride = data.draw(st.integers(max(1, tile // 4), tile))
    prediction = predict((height, width), tile, stride)
    missing = data.draw(st.sets(st.integers(0, len(prediction.grid) - 1), max_size=len(prediction.grid) - 1))
    prediction = predict((height, width), tile, stride, missing)
    votes = pixel_votes(prediction)
    known = ~np.isnan(votes[..., 0])
    cells = prediction.cells()
    y, x = np.arange(height), np.arange(width)
    for category in range(3):
        shown = cells.expand(np.nan_to_num(cells.probabilities[..., category]), y, x)
        np.testing.assert_allclose(shown, np.where(known, votes[..., category], 0), atol=1e-6)
    labels = cells.expand(cells.labels(), y, x)
    clear = known & (np.diff(np.sort(np.nan_to_num(votes), axis=-1), axis=-1)[..., -1] > 1e-6)
    np.testing.assert_array_equal(labels[clear], votes[clear].argmax(-1) + 1)
    assert (labels[~known] == 0).all()
    np.testing.assert_allclose(prediction.mean_probabilities(), votes[known].mean(0), atol=1e-6)
    assert prediction.area_fractions().sum() == pytest.approx(1)


def test_area_fractions_are_shares_of_the_classified_area():
    grid = tile_grid((10, 40), 10)
    probabilities = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    probabilities[3] = np.nan
    prediction = Prediction(probabilities, grid, CATEGORIES)
    np.testing.assert_allclose(prediction.area_fractions(), [2 / 3, 1 / 3, 0])
    assert prediction.counts().tolist() == [2, 1, 0]
    assert prediction.tile_categories().tolist() == [0, 0, 1, -1]


def test_nothing_classified_yet_has_no_area_and_no_mean():
    prediction = predict(missing=range(15))
    assert not prediction.done.any()
    assert prediction.area_fractions().tolist() == [0, 0, 0]
    assert np.isnan(prediction.mean_probabilities()).all()


def test_labels_leave_the_data_bar_free():
    prediction = predict((100, 80), 32, 32, specimen=[(0, 60), (70, 100)])
    labels = labels_data([prediction])[0]
    assert (labels[60:70] == 0).all()
    assert (labels[:60] > 0).all()
    assert (labels[70:] > 0).all()


def test_labels_carry_names_colours_and_the_prediction():
    prediction = predict()
    _, keywords, kind = labels_data([prediction], colors={"b": "#123456"})
    assert kind == "labels"
    assert keywords["colormap"][2] == "#123456"
    assert keywords["colormap"][1] == "#ff0000"
    assert keywords["features"] == {"index": [0, 1, 2, 3], "category": ["not classified", "a", "b", "c"]}
    assert keywords["metadata"]["semclass"]["predictions"] == [prediction]


def test_above_16_megapixels_labels_are_a_lazy_pyramid_with_the_same_answers():
    prediction = predict((5000, 4000), 224, 100)
    levels = labels_data([prediction])[0]
    assert [level.shape for level in levels] == [(5000, 4000), (2500, 2000), (1250, 1000), (625, 500)]
    cells = prediction.cells()
    for step, level in zip((1, 2, 4, 8), levels, strict=True):
        part = level[100:140, 200:260].compute()
        expected = cells.expand(cells.labels(), np.arange(100, 140) * step, np.arange(200, 260) * step)
        np.testing.assert_array_equal(part, expected)


def test_stacks_put_every_plane_where_it_belongs():
    first, last = predict(seed=1), predict(seed=2)
    stack = labels_data([first, None, last, None], leading=(2, 2))[0]
    assert stack.shape == (2, 2, 70, 110)
    np.testing.assert_array_equal(stack[0, 0], labels_data([first])[0])
    np.testing.assert_array_equal(stack[1, 0], labels_data([last])[0])
    assert not stack[0, 1].any()


def test_scores_are_shares_between_0_and_1():
    prediction = predict()
    votes = pixel_votes(prediction)
    np.testing.assert_allclose(score_data([prediction], (), 1)[0], votes[..., 1], atol=1e-6)
    np.testing.assert_allclose(score_data([prediction], (), None)[0], votes.max(-1), atol=1e-6)


def test_many_categories_do_not_wrap_around():
    categories = tuple(Category(f"c{i}", "#808080") for i in range(300))
    grid = tile_grid((10, 10), 10)
    prediction = Prediction(np.eye(300, dtype=np.float32)[[299]], grid, categories)
    labels = label_pixels([prediction.cells()], (10, 10), (), 300)
    assert (labels == 300).all()
