"""Predictions as text, HTML and figures."""

from dataclasses import replace

import numpy as np
import pytest

from napari_semclass.classify import Prediction, Settings, classify_micrograph
from napari_semclass.classify.grid import tile_grid
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import as_micrographs
from napari_semclass.model.card import Category

EVIL = "<script>alert('x')</script>$_{"


@pytest.fixture
def prediction() -> Prediction:
    grid = tile_grid((40, 80), 20)
    shares = np.full((8, 3), 0.1, dtype=np.float32)
    shares[np.arange(8), [0, 0, 0, 0, 0, 0, 1, 1]] = 0.8
    categories = (Category(EVIL, "#d55e00"), Category("_pores", "#009e73"), Category("none", "#56b4e9"))
    return Prediction(shares, grid, categories, "folder/scan.tif", None, {"model": {"name": "tiny"}})


def test_as_text_it_is_one_sentence(prediction):
    said = f"scan.tif, 80 x 40 px, 8 tiles of 20 px: {EVIL} 75 %, _pores 25 % of the area."
    assert repr(prediction) == f"<Prediction: {said}>"


def test_as_text_it_says_what_is_not_done_yet(prediction):
    prediction.probabilities[4:] = np.nan
    assert "4 of 8 tiles" in repr(prediction)
    prediction.probabilities[:] = np.nan
    assert "not classified yet" in repr(prediction)


def test_html_is_escaped_and_has_every_category(prediction):
    page = prediction._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<tr>") == 4
    assert "75 %" in page
    assert ">6<" in page
    assert "by tiny" in page


def test_a_whole_picture_shows_probabilities(three_bands, tiny_model):
    found = classify_micrograph(as_micrographs(three_bands)[0], tiny_model, Settings(mode="whole"))
    assert "classified as a whole" in repr(found)
    assert "probability" in found._repr_html_()
    assert "of the area" not in repr(found)


def test_a_figure_shows_the_map_over_the_micrograph_whatever_the_names_are(prediction):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 80)).astype(np.uint8)
    for micrograph in (None, as_micrographs(pixels)[0]):
        figure = prediction.plot(micrograph)
        assert figure._repr_png_().startswith(b"\x89PNG")
        (axes,) = figure.axes
        assert len(axes.images) == (1 if micrograph is None else 2)
        assert len(axes.get_legend().get_texts()) == 2


def test_a_figure_of_what_does_not_fit_is_refused(prediction):
    other = as_micrographs(np.eye(30, dtype=np.uint8))[0]
    with pytest.raises(SettingsError, match="not that of the prediction"):
        prediction.plot(other)
    with pytest.raises(SettingsError, match="outside 0 to 1"):
        prediction.plot(opacity=2)


def test_a_model_is_one_line_and_an_escaped_card(tiny_model):
    assert repr(tiny_model) == "<Model: Tiny (tiny), 3 categories, test_resnet, not tested>"
    card = replace(tiny_model.card, description=EVIL)
    page = type(tiny_model)(tiny_model.network, card, "")._repr_html_()
    assert "<script" not in page
    assert "dark" in page
