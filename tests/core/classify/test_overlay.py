"""Overlays: colours lie where the cells are, everything fits, and the caption can be read."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_semclass.classify import caption
from napari_semclass.classify.grid import tile_grid, whole_grid
from napari_semclass.classify.overlay import write_overlay
from napari_semclass.classify.prediction import Prediction
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import Micrograph
from napari_semclass.model import Category

RED, GREEN = Category("Red_ones", "#ff0000"), Category("Green_ones", "#00ff00")


def checkered(shape, tile, stride=None, specimen=None):
    """A mid-grey micrograph whose tiles are red and green in turn."""
    grid = tile_grid(shape, tile, stride, specimen)
    rows, columns = np.divmod(np.arange(len(grid)), len(grid.columns))
    green = (rows + columns) % 2
    probabilities = np.stack([1 - green, green], axis=1).astype(np.float32) * 0.8 + 0.1
    made = {"grey_range": [0, 255], "settings": {"mode": "tiles"}, "model": {"name": "toy"}}
    prediction = Prediction(probabilities, grid, (RED, GREEN), "a.tif", None, made)
    return prediction, Micrograph(np.full(shape, 128, np.uint8), "a.tif")


def drawn(prediction, micrograph, path, **options):
    write_overlay(prediction, micrograph, path, **options)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB")).astype(int)


def is_red(picture):
    return picture[..., 0] - picture[..., 1] > 50


@pytest.mark.parametrize(("tile", "stride"), [(100, 100), (160, 90)])
def test_colours_follow_the_cells_to_the_pixel(tmp_path, tile, stride):
    prediction, micrograph = checkered((620, 700), tile, stride, [(0, 500), (540, 620)])
    picture = drawn(prediction, micrograph, tmp_path / "o.png")[:620, :700]
    cells = prediction.cells()
    labels = cells.expand(cells.labels(), np.arange(620), np.arange(700))
    np.testing.assert_array_equal(is_red(picture), labels == 1)
    np.testing.assert_array_equal(picture[labels == 2], np.array([70, 185, 70]) * np.ones((np.sum(labels == 2), 1)))
    np.testing.assert_array_equal(picture[500:540], 128)


def test_small_pictures_are_enlarged_by_a_whole_number(tmp_path):
    prediction, micrograph = checkered((100, 186), 64)
    picture = drawn(prediction, micrograph, tmp_path / "o.png")[:200, :372]
    cells = prediction.cells()
    labels = cells.expand(cells.labels(), np.arange(200) // 2, np.arange(372) // 2)
    np.testing.assert_array_equal(is_red(picture), labels == 1)


@pytest.mark.parametrize("shape", [(5000, 6001), (3000, 800), (40, 9000), (9000, 40), (1, 1), (2, 3), (2048, 2048)])
def test_pictures_of_any_size_fit_in_2048_px(tmp_path, shape):
    prediction, micrograph = checkered(shape, 500)
    picture = drawn(prediction, micrograph, tmp_path / "o.png")
    assert max(picture.shape) <= 2048
    assert picture.shape[1] >= 400


def test_shrunk_tile_edges_stay_within_a_pixel(tmp_path):
    prediction, micrograph = checkered((4100, 5003), 700)
    picture = drawn(prediction, micrograph, tmp_path / "o.png")
    shown = int(np.flatnonzero(is_red(picture[5]) | (picture[5, :, 1] - picture[5, :, 0] > 50))[-1]) + 1
    scale = shown / 5003
    edges = np.flatnonzero(np.diff(is_red(picture[5]).astype(int)))[: len(prediction.grid.columns) - 2] + 1
    expected = [x0 * scale for x0, _ in prediction.grid.columns][1 : len(edges) + 1]
    np.testing.assert_allclose(edges, expected, atol=1)


def test_a_whole_picture_is_not_tinted(tmp_path):
    made = {"grey_range": [0, 255], "settings": {"mode": "whole"}}
    prediction = Prediction(np.array([[0.9, 0.1]], np.float32), whole_grid((600, 700)), (RED, GREEN), made=made)
    picture = drawn(prediction, Micrograph(np.full((600, 700), 128, np.uint8)), tmp_path / "o.png")
    np.testing.assert_array_equal(picture[:600], 128)
    assert is_red(picture[600:]).any()


def test_the_legend_names_what_is_there_largest_first(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(caption.ImageDraw.ImageDraw, "text", lambda self, at, text, *rest, **more: shown.append(text))
    prediction, micrograph = checkered((600, 600), 600, None)
    prediction = replace(prediction, pixel_size=2e-9, categories=(RED, GREEN))
    write_overlay(prediction, micrograph, tmp_path / "o.png")
    assert shown[0] == "200 nm"
    assert shown[1:3] == ["Red ones", "100 %"]
    assert "Green ones" not in shown
    assert "a.tif" in shown[-1]
    assert "600 px" in shown[-1]


@pytest.mark.parametrize(
    ("pixel_size", "longest", "label"),
    [
        (None, 250, "200 px"),
        (float("nan"), 99, "50 px"),
        (7.3e-9, 256, "1 µm"),
        (2.615e-6, 256, "500 µm"),
        (5e-6, 256, "1 mm"),
        (1e-10, 100, "10 nm"),
        (1e-12, 100, "0.1 nm"),
        (1e-9, 0.2, "1 nm"),
    ],
)
def test_scale_bars_have_round_lengths(pixel_size, longest, label):
    length, text = caption.scale_bar(pixel_size, longest)
    assert text == label
    assert max(1, longest) / 2.51 <= length <= max(1, longest)


def test_the_font_knows_micrometres():
    face = caption.font(20)
    assert bytes(face.getmask("µ")) != bytes(face.getmask("\uffff"))


def test_long_names_are_cut_to_fit():
    face = caption.font(16)
    text = caption.fitted("a_very_long_name_of_a_category" * 5, 200, face)
    assert "…" in text
    assert face.getlength(text) <= 200


def test_settings_that_cannot_be_are_refused(tmp_path):
    prediction, micrograph = checkered((60, 60), 30)
    with pytest.raises(SettingsError, match="opacity"):
        write_overlay(prediction, micrograph, tmp_path / "o.png", opacity=2)
    with pytest.raises(SettingsError, match="shape"):
        write_overlay(prediction, Micrograph(np.zeros((5, 5))), tmp_path / "o.png")
