"""Which files a batch finds, and what their outputs are called."""

import itertools

import numpy as np
import pytest
import zarr

from napari_semclass.classify.inputs import Input, find_inputs
from napari_semclass.classify.naming import output_stems

FILES = ("a.tif", "b.PNG", "notes.txt", ".hidden.tif", "sub/c.jpeg", "sub/deep/a.tif", ".cache/d.tif", "x.overlay.png")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder `data` with images and other things, seen from the folder above it."""
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    zarr.save_array(str(tmp_path / "data" / "z.zarr"), np.zeros((2, 2)))
    zarr.open_group(str(tmp_path / "data" / "plain"), mode="w").create_array("0", shape=(2, 2), dtype="u1")
    return tmp_path / "data"


def files(*paths, out="out"):
    return [source.file for source in find_inputs(paths, out)]


def test_folders_are_walked_for_images(data):
    assert files("data") == ["data/a.tif", "data/b.PNG", "data/z.zarr", "data/sub/c.jpeg", "data/sub/deep/a.tif"]
    assert files("./data/") == [f"./{name}" for name in files("data")]
    assert [s.relative for s in find_inputs([data], "out")][-1] == "sub/deep/a.tif"
    assert files(data)[0] == f"{data.as_posix()}/a.tif"


def test_files_named_are_taken_whatever_they_are(data):
    assert files("data/notes.txt", "data/.hidden.tif", "data/none.tif", "data/x.overlay.png") == [
        *("data/notes.txt", "data/.hidden.tif", "data/none.tif", "data/x.overlay.png")
    ]


def test_a_zarr_folder_is_one_input_with_or_without_the_suffix(data):
    assert files("data/z.zarr/", "data/plain", "data/plain/0") == ["data/z.zarr", "data/plain", "data/plain/0"]


def test_patterns_are_expanded_below_their_fixed_part(data):
    assert files("data/*.tif") == ["data/a.tif"]
    assert files("data/**/a.*") == ["data/a.tif", "data/sub/deep/a.tif"]
    assert [source.relative for source in find_inputs(["data/su*/*"], "out")] == ["sub/c.jpeg", "sub/deep/a.tif"]
    assert files("data/**/zarr.json") == ["data/plain/0/zarr.json", "data/plain/zarr.json"]
    assert files("data/*.nope") == ["data/*.nope"]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(data):
    (data / "a[1].tif").touch()
    assert files("data/a[1].tif") == ["data/a[1].tif"]


def test_a_file_found_twice_is_classified_once_wherever_it_is_named(data):
    for order in itertools.permutations(["data", "data/sub", "data/sub/c.jpeg", str(data / "sub")]):
        found = {source.path: source for source in find_inputs(order, "out")}
        assert len(found) == 5
        assert found[str(data / "sub" / "c.jpeg")].relative == "sub/c.jpeg"


def test_results_are_never_classified(data):
    assert "data/sub/c.jpeg" not in files("data", out="data/sub")
    assert files("data/x.overlay.png", out="data") == []
    assert len(files("data", out="data")) == 5


def stems(*names, root="given"):
    sources = [Input(f"/abs/{root}/{name}", f"{root}/{name}", name) for name in names]
    found = [
        {source.file: stem for source, stem in output_stems(order).items()} for order in itertools.permutations(sources)
    ]
    assert all(one == found[0] for one in found), "the order must not matter"
    return {name: found[0][f"{root}/{name}"] for name in names}


def test_outputs_mirror_the_relative_path():
    assert stems("a.tif", "sub/a.tif", "b.ome.tif") == {"a.tif": "a", "sub/a.tif": "sub/a", "b.ome.tif": "b.ome"}


def test_a_clash_of_stems_keeps_the_suffix():
    assert stems("x.tif", "x.png", "y.png") == {"x.tif": "x.tif", "x.png": "x.png", "y.png": "y"}
    assert stems("X.tif", "x.png") == {"X.tif": "X.tif", "x.png": "x.png"}
    assert stems("x.tif", "x#3.tif") == {"x.tif": "x.tif", "x#3.tif": "x#3.tif"}
    assert stems("x.tif", "x.png", "x.tif.png") == {"x.tif": "x.tif", "x.png": "x.png", "x.tif.png": "x.tif.png"}
    assert stems("x", "x.tif") == {"x": "x", "x.tif": "x.tif"}


def test_folders_side_by_side_are_mirrored_as_given():
    one, two = Input("/d/A/x.tif", "A/x.tif", "x.tif"), Input("/d/B/x.tif", "../B/x.tif", "x.tif")
    assert output_stems([one, two]) == {one: "A/x.tif", two: "up/B/x.tif"}


def test_names_stay_below_the_output_folder():
    one, two = Input("/d/x.tif", "/d/x.tif", "x.tif"), Input("/e/x.tif", "/e/x.tif", "x.tif")
    assert set(output_stems([one, two]).values()) == {"d/x.tif", "e/x.tif"}
