"""Tiles without data are neither computed nor counted, and a border without data changes nothing beside it."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_semclass.annotate import Marks, Point, mark_tiles
from napari_semclass.annotate.arrays import prediction_arrays, predictions_from
from napari_semclass.classify import Settings, classification_steps, classify_micrograph
from napari_semclass.classify.layers import labels_data
from napari_semclass.classify.tables import write_geojson, write_tiles_csv
from napari_semclass.errors import MicrographError
from napari_semclass.learn.tiles import cutting_of, sample_boxes
from napari_semclass.micrograph import as_micrographs

TILE = 32
TILES = Settings(device="cpu", tile=TILE)


def scene(seed=0, rows=4, columns=4):
    """Squares of the tiny model's three grey levels, with noise, of TILE px."""
    random = np.random.default_rng(seed)
    levels = np.array([20, 125, 235])[random.permutation(rows * columns) % 3].reshape(rows, columns)
    pixels = np.kron(levels, np.ones((TILE, TILE))) + random.normal(0, 6, (rows * TILE, columns * TILE))
    return np.clip(pixels, 1, 254).round()


def bordered(pixels, top, left, bottom, right, how):
    """The micrograph with so many tiles without data at each side."""
    widths = ((top * TILE, bottom * TILE), (left * TILE, right * TILE))
    if how == "alpha":
        grey, opacity = np.pad(pixels, widths), np.pad(np.full_like(pixels, 255), widths)
        return as_micrographs(np.dstack([grey, opacity]).astype(np.uint8), rgb=False, alpha=True)[0]
    level = {"nan": np.nan, "black": 0, "white": 255}[how]
    padded = np.pad(pixels, widths, constant_values=level)
    return as_micrographs(padded if how == "nan" else padded.astype(np.uint8))[0]


@settings(max_examples=12)
@given(
    seed=st.integers(0, 100),
    sides=st.tuples(*[st.integers(0, 2)] * 4),
    how=st.sampled_from(["nan", "alpha", "black", "white"]),
    stride=st.sampled_from([TILE, TILE // 2]),
)
def test_a_border_without_data_changes_nothing(tiny_model, seed, sides, how, stride):
    pixels = scene(seed)
    chosen = Settings(device="cpu", tile=TILE, stride=stride)
    plain = classify_micrograph(as_micrographs(pixels.astype(np.uint8))[0], tiny_model, chosen)
    micrograph = bordered(pixels, *sides, how)
    shown = classify_micrograph(micrograph, tiny_model, chosen)
    boxes = shown.grid.boxes() - np.array([sides[0], sides[1]] * 2) * TILE
    inside = (boxes.min(axis=1) >= 0) & (boxes.max(axis=1) <= len(pixels))
    np.testing.assert_allclose(shown.probabilities[inside], plain.probabilities, atol=1e-4)
    assert inside.sum() == len(plain.grid)
    if stride == TILE:
        assert shown.done.sum() == inside.sum()
        np.testing.assert_allclose(shown.area_fractions(), plain.area_fractions(), atol=1e-6)
        np.testing.assert_array_equal(shown.counts(), plain.counts())


def half_void():
    pixels = scene(1)
    pixels[:, 2 * TILE :] = np.nan
    return as_micrographs(pixels, source="half.tif")[0]


def test_void_is_in_no_table_layer_or_shape(tiny_model, tmp_path):
    shown = classify_micrograph(half_void(), tiny_model, TILES)
    assert (len(shown.grid), len(shown.grid.laid), shown.counts().sum()) == (16, 8, 8)
    assert shown.area_fractions().sum() == pytest.approx(1)
    assert shown.made["note"].startswith("50 % of the picture holds no data and is left out")
    assert "8 tiles" in repr(shown)
    write_tiles_csv(shown, tmp_path / "t.csv")
    assert max(int(row["x1"]) for row in csv.DictReader((tmp_path / "t.csv").open())) <= 64
    write_geojson(shown, tmp_path / "t.geojson")
    drawn = json.loads((tmp_path / "t.geojson").read_text())["features"]
    rings = [ring for one in drawn for ring in one["geometry"]["coordinates"]]
    assert max(np.reshape(ring, (-1, 2))[:, 0].max() for ring in rings) <= 64
    labels = labels_data([shown])[0]
    assert (labels[:, :64] > 0).all()
    assert not labels[:, 64:].any()
    (again,) = predictions_from(prediction_arrays((shown,)))
    np.testing.assert_allclose(again.area_fractions(), shown.area_fractions())
    assert len(again.grid.laid) == 8


def test_progress_counts_what_is_to_be_done(tiny_model):
    *_, last = classification_steps(half_void(), tiny_model, TILES)
    assert (last.done, last.total) == (8, 8)


def test_areas_count_pixels_with_data(tiny_model):
    pixels = np.kron([[20, 235]], np.ones((64, 32))) + np.random.default_rng(0).normal(0, 6, (64, 64))
    pixels[:, 52:] = np.nan
    shown = classify_micrograph(as_micrographs(pixels)[0], tiny_model, Settings(device="cpu", tile=32, reject="off"))
    assert sorted(shown.area_fractions()) == pytest.approx([0, 20 / 52, 32 / 52])


def test_a_little_void_is_classified_and_a_lot_is_not(tiny_model):
    pixels = scene(2)
    pixels[:20, :TILE] = np.nan  # 62 % of the first tile
    pixels[:12, TILE : 2 * TILE] = np.nan  # 38 % of the second
    shown = classify_micrograph(as_micrographs(pixels)[0], tiny_model, TILES)
    assert shown.done.tolist() == [False] + [True] * 15


def test_small_holes_everywhere_leave_nothing_and_say_so(tiny_model):
    pixels = scene(3)
    pixels[:, np.arange(pixels.shape[1]) % 4 > 0] = np.nan
    with pytest.raises(MicrographError, match="every tile of 32 px lies mostly where it holds no data"):
        classify_micrograph(as_micrographs(pixels)[0], tiny_model, TILES)


def test_whole_pictures_are_looked_at_where_they_hold_data(tiny_model):
    whole = Settings("whole", device="cpu")
    plain = classify_micrograph(as_micrographs(scene(4).astype(np.uint8))[0], tiny_model, whole)
    for how in ("nan", "alpha", "black"):
        shown = classify_micrograph(bordered(scene(4), 0, 3, 2, 1, how), tiny_model, whole)
        assert shown.grid.box(0) == (0, 96, 128, 224)
        np.testing.assert_allclose(shown.probabilities, plain.probabilities, atol=1e-4)


def test_training_cuts_no_void(tiny_model):
    boxes = sample_boxes(half_void(), None, cutting_of(tiny_model.card))
    assert boxes
    assert max(box[3] for box in boxes) <= 2 * TILE + TILE // 2


def test_marks_on_void_label_nothing(tiny_model):
    grid = TILES.grid(half_void(), tiny_model.card)
    marked = mark_tiles(Marks(points=(Point(1, 10, 10), Point(2, 10, 100))), grid)
    assert marked.indices.tolist() == [0]
    assert marked.unused == 1
    assert grid.tile_at(10, 100) is None
