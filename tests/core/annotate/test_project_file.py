"""The form of project.json: paths that move with the project, values of any kind, arrays that must fit together."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_semclass.annotate import Categories, ImageEntry, MarkLayer
from napari_semclass.annotate.project_file import (
    Stored,
    from_json,
    load_layer,
    store_layer,
    to_json,
    with_full_path,
    with_stored_path,
)
from napari_semclass.classify import Settings
from napari_semclass.errors import SettingsError


@pytest.mark.parametrize(
    ("path", "stored"),
    [("here/p.semclass/images/a.tif", "images/a.tif"), ("here/a.tif", "../a.tif"), ("here/b/a.tif", "../b/a.tif")],
)
def test_files_beside_and_in_the_project_are_named_relative_to_it(tmp_path, path, stored):
    entry = ImageEntry("a", "a", str(tmp_path / path), (5, 5), "uint8")
    found = with_stored_path(entry, tmp_path / "here" / "p.semclass")
    assert found.path == stored
    moved = with_full_path(found, tmp_path / "there" / "q.semclass")
    assert moved.path == str(tmp_path / path.replace("here", "there").replace("p.semclass", "q.semclass"))


def test_files_elsewhere_keep_their_place_and_images_without_one_have_none(tmp_path):
    far = ImageEntry("a", "a", str(tmp_path / "a.tif"), (5, 5), "uint8")
    folder = tmp_path / "here" / "p.semclass"
    assert with_full_path(with_stored_path(far, folder), Path("/other/q.semclass")).path == far.path
    assert with_stored_path(replace(far, path=None), folder).path is None


def test_what_the_viewer_wants_to_find_again_is_kept_as_plain_json(tmp_path):
    extra = {"scale": np.array([1.0, 2.0]), "n": np.int64(3), "path": Path("x"), "values": {7: 1}}
    stored = store_layer(MarkLayer("a", "points", "p", np.zeros((1, 2)), (np.int64(4),), extra=extra), tmp_path)
    assert stored.extra == {"scale": [1.0, 2.0], "n": 3, "path": "x", "values": {"7": 1}}
    assert json.dumps(stored.numbers) == "[4]"


@pytest.mark.parametrize(
    "change",
    [
        {"numbers": (1,)},
        {"files": ()},
        {"shape_types": ()},
        {"kind": "points"},
        {"kind": "labels", "shape": (9, 9), "dtype": "|u1", "corners": ((0, 0),)},
        {"kind": "labels", "shape": (9, 9), "dtype": "<f4"},
        {"kind": "labels", "shape": (9, 9), "dtype": "u1,("},
        {"kind": "labels", "shape": (10**9, 10**9, 10**9), "dtype": "|u1"},
    ],
)
def test_layers_whose_files_do_not_fit_are_refused(tmp_path, change):
    shapes = (np.zeros((4, 2)), np.ones((3, 2)))
    stored = store_layer(MarkLayer("a", "shapes", "s", shapes, (1, 2), ("rectangle", "polygon")), tmp_path)
    with pytest.raises(SettingsError, match="the layer s do not fit together"):
        load_layer(replace(stored, **change), tmp_path)


def test_a_project_from_before_data_bars_could_be_kept_opens(tmp_path):
    stored = Stored("now", 0, Categories(), (), (), (), "starter", Settings(tile=64, keep_data_bar=True), "", "", ())
    content = json.loads(to_json(stored))
    assert from_json(json.dumps(content).encode(), tmp_path).settings == stored.settings
    del content["settings"]["keep_data_bar"]
    assert from_json(json.dumps(content).encode(), tmp_path).settings == Settings(tile=64)
