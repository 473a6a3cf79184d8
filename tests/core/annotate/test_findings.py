"""What a batch found: read again, corrected, and copied into a data set that can be trained on."""

import json
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_semclass.annotate import export_findings, read_findings
from napari_semclass.annotate.findings import CORRECTIONS_NAME, read_corrections, write_corrections
from napari_semclass.classify import Settings
from napari_semclass.classify.batch import Batch
from napari_semclass.errors import OutputError, SettingsError
from napari_semclass.learn.dataset import read_dataset


@pytest.fixture
def out(tmp_path, three_bands, tiny_model):
    """Results of a dark picture, a bright one of the same name in another folder, a stack and a text."""
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    iio.imwrite(source / "a.png", three_bands[:, :60])
    iio.imwrite(source / "sub" / "a.png", three_bands[:, 100:])
    tifffile.imwrite(source / "stack.tif", np.stack([three_bands] * 2), photometric="minisblack")
    (source / "text.png").write_text("no picture")
    for _ in Batch([source], tiny_model, Settings(mode="whole", reject="off"), tmp_path / "out").steps():
        pass
    return tmp_path / "out"


def by_end(found, end):
    return next(one for one in found if one.name.endswith(end))


def test_each_plane_and_each_failure_is_a_finding(out):
    found = read_findings(out)
    assert sorted(one.name.rpartition("in/")[2] for one in found) == [
        "a.png", "stack.tif#0", "stack.tif#1", "sub/a.png", "text.png"
    ]  # fmt: skip
    failed = by_end(found, "text.png")
    assert failed.error
    assert not failed.label
    for one in found:
        assert one.path.is_file()
        assert one.overlay.is_file() == (one is not failed)
        if one is not failed:
            assert one.label == one.category
            assert 0 < one.confidence <= 1


def test_what_the_user_says_is_kept_and_takes_the_place_of_the_answer(out):
    write_corrections(out, {by_end(read_findings(out), "in/a.png").key: "my own"})
    found = by_end(read_findings(out), "in/a.png")
    assert (found.correction, found.label) == ("my own", "my own")
    write_corrections(out, {})
    assert by_end(read_findings(out), "in/a.png").correction == ""


def test_corrections_stay_when_the_folder_is_given_by_another_path(out, tmp_path, tiny_model, monkeypatch):
    write_corrections(out, {by_end(read_findings(out), "sub/a.png").key: "my own"})
    monkeypatch.chdir(tmp_path)
    for _ in Batch(["in"], tiny_model, Settings(mode="whole", reject="off"), "out").steps():
        pass
    found = by_end(read_findings(out), "sub/a.png")
    assert (found.name, found.correction) == ("in/sub/a.png", "my own")


def test_an_unknown_picture_has_no_label_until_it_is_corrected(out):
    found = replace(read_findings(out)[0], category="unknown", known=False)
    assert found.label == ""
    assert replace(found, correction="grey").label == "grey"


def test_copies_make_a_data_set_with_each_picture_under_its_label(out, tmp_path):
    found = [replace(one, correction="my own" if one.name.endswith("sub/a.png") else "") for one in read_findings(out)]
    assert export_findings(found, tmp_path / "data") == (2, 3)
    pictures = {picture.path.name: picture for picture in read_dataset(tmp_path / "data").pictures}
    assert sorted(pictures) == ["a (2).png", "a.png"]
    assert {picture.category for picture in pictures.values()} == {by_end(found, "in/a.png").category, "my own"}
    assert len({picture.group for picture in pictures.values()}) == 2
    own = next(picture.path for picture in pictures.values() if picture.category == "my own")
    assert own.read_bytes() == by_end(found, "sub/a.png").path.read_bytes()
    with pytest.raises(OutputError, match="holds a data set already"):
        export_findings(found, tmp_path / "data")


def test_nothing_to_copy_is_said(out, tmp_path):
    with pytest.raises(SettingsError, match="correct some"):
        export_findings([by_end(read_findings(out), "text.png")], tmp_path / "data")


def test_a_folder_without_results_and_damaged_corrections_are_refused(out, tmp_path):
    with pytest.raises(SettingsError, match="holds no results"):
        read_findings(tmp_path)
    for content in ("{", json.dumps([1]), json.dumps({"a": 1})):
        (out / CORRECTIONS_NAME).write_text(content)
        with pytest.raises(OutputError, match=CORRECTIONS_NAME):
            read_corrections(out)


def test_a_picture_that_is_gone_is_named(out, tmp_path):
    found = by_end(read_findings(out), "in/a.png")
    found.path.unlink()
    with pytest.raises(OutputError, match=r"a\.png: cannot be copied"):
        export_findings([found], tmp_path / "data")
