"""Tables and shapes: what a spreadsheet, a script or QuPath reads from them."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from napari_semclass.classify.grid import tile_grid, whole_grid
from napari_semclass.classify.prediction import Prediction
from napari_semclass.classify.tables import write_csv, write_geojson, write_json, write_tiles_csv
from napari_semclass.errors import OutputError
from napari_semclass.model import Category

CATEGORIES = (Category("A", "#ff0000"), Category("B", "#00ff00"), Category("=C", "#0000ff"))


@pytest.fixture
def prediction():
    """Tiles of 40 px at a stride of 30 on 100 x 70 px, a bar in rows 60 to 80; the last tile not computed."""
    grid = tile_grid((100, 70), 40, 30, [(0, 60), (80, 100)])
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), len(grid)).astype(np.float32)
    probabilities[-1] = np.nan
    made = {"model": {"name": "toy", "sha256": "0" * 64}, "settings": {"mode": "tiles"}, "pixel_size_source": "FEI"}
    return Prediction(probabilities, grid, CATEGORIES, "a.tif", 2e-9, made)


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tiles_csv_has_a_line_for_each_computed_tile(prediction, tmp_path):
    write_tiles_csv(prediction, tmp_path / "t.csv")
    lines = read_csv(tmp_path / "t.csv")
    assert list(lines[0]) == [
        *("row", "col", "y0", "x0", "y1", "x1", "category", "confidence", "prob_A", "prob_B", "prob_=C"),
        *("pixel_size_m", "pixel_size_source", "strangeness"),
    ]
    assert len(lines) == len(prediction.grid) - 1
    for index, line in enumerate(lines):
        assert (int(line["row"]), int(line["col"])) == divmod(index, len(prediction.grid.columns))
        assert tuple(int(line[key]) for key in ("y0", "x0", "y1", "x1")) == prediction.grid.box(index)
        shares = [float(line[f"prob_{name}"]) for name in prediction.names]
        np.testing.assert_allclose(shares, prediction.probabilities[index], atol=1e-6)
        assert float(line["confidence"]) == max(shares)
        assert (float(line["pixel_size_m"]), line["pixel_size_source"]) == (2e-9, "FEI")
        assert line["category"].removeprefix("'") == prediction.names[int(np.argmax(shares))]


def test_text_that_looks_like_a_formula_is_shown_and_not_computed(prediction, tmp_path):
    write_csv(tmp_path / "t.csv", ["file", "n"], [["=HYPERLINK()", -1.5], ["@x", None], ['plain, "quoted"', 2]])
    lines = read_csv(tmp_path / "t.csv")
    assert [line["file"] for line in lines] == ["'=HYPERLINK()", "'@x", 'plain, "quoted"']
    assert [line["n"] for line in lines] == ["-1.500000", "", "2"]


def test_geojson_tiles_the_classified_area_without_overlap(prediction, tmp_path):
    write_geojson(prediction, tmp_path / "g.geojson")
    content = json.loads((tmp_path / "g.geojson").read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection"
    assert content["properties"] == {"pixel_size_m": 2e-9, "pixel_size_source": "FEI"}
    assert {feature["properties"]["pixel_size_m"] for feature in content["features"]} == {2e-9}
    painted = np.zeros(prediction.grid.shape, dtype=int)
    cells = prediction.cells()
    labels = cells.expand(cells.labels(), np.arange(100), np.arange(70))
    for feature in content["features"]:
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        assert len(ring) == 5
        (x0, y0), (x1, y1) = ring[0], ring[2]
        painted[y0:y1, x0:x1] += 1
        properties = feature["properties"]
        category = CATEGORIES[labels[y0, x0] - 1]
        assert properties["category"] == properties["classification"]["name"] == category.name
        assert properties["classification"]["color"] == [int(category.color[i : i + 2], 16) for i in (1, 3, 5)]
        assert properties["objectType"] == "annotation"
        assert 1 / 3 <= properties["confidence"] <= 1
        measured = properties["measurements"]
        assert list(measured) == ["confidence", "prob_A", "prob_B", "prob_=C"]
        assert measured["confidence"] == properties["confidence"] == max(list(measured.values())[1:])
    np.testing.assert_array_equal(painted, labels > 0)
    assert not painted[60:80].any()


def test_qupath_finds_what_its_importer_looks_for(prediction, tmp_path):
    """The rules of qupath.lib.io: QuPathTypeAdapters and GsonTools.PathClassTypeAdapter."""
    write_geojson(prediction, tmp_path / "g.geojson")
    content = json.loads((tmp_path / "g.geojson").read_text(encoding="utf-8"))
    assert isinstance(content["features"], list)
    for feature in content["features"]:
        assert set(feature) == {"type", "geometry", "properties"}  # without an id, QuPath gives one
        assert feature["geometry"]["type"] == "Polygon"
        properties = feature["properties"]
        assert properties["objectType"] in ("annotation", "detection", "tile", "cell")
        kind = properties["classification"]
        assert isinstance(kind["name"], str)
        assert len(kind["color"]) == 3
        assert all(type(level) is int and 0 <= level <= 255 for level in kind["color"])
        assert all(type(value) is float for value in properties["measurements"].values())  # as a Java Double
        assert "name" not in properties  # it would stand in for the category
        assert not isinstance(properties.get("metadata", {}), str)


def test_json_holds_everything(prediction, tmp_path):
    write_json(prediction, tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert content["made"]["model"]["name"] == "toy"
    assert (content["pixel_size_m"], content["pixel_size_source"]) == (2e-9, "FEI")
    assert content["categories"][1] == {"name": "B", "color": "#00ff00"}
    assert content["grid"]["rows"] == [list(row) for row in prediction.grid.rows]
    assert content["probabilities"][-1] is None
    np.testing.assert_allclose(content["probabilities"][0], prediction.probabilities[0], atol=1e-6)
    assert sum(content["area_fractions"].values()) == pytest.approx(1)


def test_a_prediction_of_nothing_gives_empty_tables(prediction, tmp_path):
    empty = replace(prediction, probabilities=np.full_like(prediction.probabilities, np.nan))
    write_tiles_csv(empty, tmp_path / "t.csv")
    write_geojson(empty, tmp_path / "g.geojson")
    write_json(empty, tmp_path / "p.json")
    assert read_csv(tmp_path / "t.csv") == []
    assert json.loads((tmp_path / "g.geojson").read_text())["features"] == []


def test_a_whole_picture_is_one_shape(tmp_path):
    whole = Prediction(np.array([[0.2, 0.7, 0.1]], np.float32), whole_grid((50, 80)), CATEGORIES)
    write_geojson(whole, tmp_path / "g.geojson")
    (feature,) = json.loads((tmp_path / "g.geojson").read_text())["features"]
    assert feature["properties"]["pixel_size_m"] is None
    assert feature["geometry"]["coordinates"][0][2] == [80, 50]


@pytest.mark.parametrize("write", [write_tiles_csv, write_geojson, write_json])
def test_files_are_written_whole_or_not_at_all(write, prediction, tmp_path, monkeypatch):
    (tmp_path / "kept").write_text("earlier")

    def full(self, prediction=None):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Prediction, "cells", full)
    monkeypatch.setattr(Prediction, "tile_categories", full)
    with pytest.raises(OSError, match="No space left"):
        write(prediction, tmp_path / "kept")
    assert (tmp_path / "kept").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_place_that_cannot_be_written_to_is_named(prediction, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"t\.csv: cannot be written"):
        write_tiles_csv(prediction, tmp_path / "file" / "t.csv")
