"""Outputs are called like their inputs to the byte, and found again in whatever Unicode form a folder is named."""

import json
import os
import sys
import unicodedata
from pathlib import Path

import imageio.v3 as iio
import pytest

from napari_semclass import Settings
from napari_semclass.annotate.findings import export_findings, read_findings
from napari_semclass.classify.batch import Batch
from napari_semclass.classify.inputs import Input, find_inputs
from napari_semclass.classify.naming import output_stems
from napari_semclass.learn.dataset import read_dataset

NFC, NFD = "Größe", unicodedata.normalize("NFD", "Größe")
NO_TEXT = os.fsdecode(b"Gr\xf6\xdfe")  # Latin-1, as an old disk has it


def run(paths, out, model):
    batch = Batch(paths, model, Settings(tile=32, device="cpu"), out)
    for _ in batch.steps():
        pass
    return batch


@pytest.fixture(params=[NFC, NFD, "试样", "😀 a", NO_TEXT, "a\\x41b", "a\\", " b ", "c\nd"])
def name(request):
    if sys.platform == "win32" and request.param not in (NFC, NFD, "试样", "😀 a"):
        pytest.skip("no name on Windows")
    if sys.platform == "darwin" and request.param == NO_TEXT:
        pytest.skip("no name on macOS")
    return request.param


def test_outputs_have_their_inputs_own_name_and_are_done_once(tmp_path, name, tiny_model, three_bands):
    (tmp_path / "in" / name).mkdir(parents=True)
    iio.imwrite(tmp_path / "in" / name / f"{name}.png", three_bands)
    batch = run([tmp_path / "in"], tmp_path / "out", tiny_model)
    assert [entry.status for entry in batch.entries] == ["done"], batch.entries[0].rows
    made = {path.name for path in (tmp_path / "out" / name).iterdir()}
    assert made == {f"{name}{suffix}" for suffix in (".overlay.png", ".tiles.csv", ".geojson")}
    record = json.loads((tmp_path / "out" / "run.json").read_bytes())
    assert record["files"][0]["status"] == "done"
    assert run([tmp_path / "in"], tmp_path / "out", tiny_model).todo == []
    (finding,) = read_findings(tmp_path / "out")
    assert finding.path.is_file()
    assert finding.overlay.is_file()
    finding.key.encode()
    export_findings([finding], tmp_path / "labelled")
    assert len(read_dataset(tmp_path / "labelled").pictures) == 1


def test_a_results_file_goes_when_its_input_is_called_otherwise(tmp_path, tiny_model, three_bands):
    (tmp_path / "in").mkdir()
    iio.imwrite(tmp_path / "in" / f"{NFC}.png", three_bands)
    run([tmp_path / "in"], tmp_path / "out", tiny_model)
    iio.imwrite(tmp_path / "in" / f"{NFC}.tif", three_bands)
    run([tmp_path / "in"], tmp_path / "out", tiny_model)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.tiles.csv")) == [
        f"{NFC}.png.tiles.csv",
        f"{NFC}.tif.tiles.csv",
    ]


@pytest.mark.parametrize(("first", "then"), [(NFC, NFD), (NFD, NFC)])
def test_nothing_is_done_again_when_a_folder_changes_its_unicode_form(
    tmp_path, first, then, tiny_model, three_bands, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / first).mkdir()
    for file in (first, "plain"):
        iio.imwrite(tmp_path / first / f"{file}.png", three_bands)
    run([first], "out", tiny_model)
    before = sorted(Path("out").iterdir())
    os.rename(tmp_path / first / f"{first}.png", tmp_path / first / f"{then}.png")  # noqa: PTH104
    os.rename(tmp_path / first, tmp_path / then)  # noqa: PTH104
    assert run([then], "out", tiny_model).todo == []
    # And where the other form is typed than the disk has.
    assert run([first], "out", tiny_model).todo == []
    assert sorted(Path("out").iterdir()) == before


def test_two_files_whose_names_differ_by_form_are_two_inputs(tmp_path, tiny_model, three_bands):
    for name in (NFC, NFD):
        iio.imwrite(tmp_path / f"{name}.png", three_bands)
    if len(list(tmp_path.glob("*.png"))) == 1:
        pytest.skip("this disk takes both forms for one name")
    for _ in range(2):
        batch = run([tmp_path / f"{name}.png" for name in (NFC, NFD)], tmp_path / "out", tiny_model)
        stems = [entry.stem for entry in batch.entries]
        assert len({unicodedata.normalize("NFC", stem).casefold() for stem in stems}) == 2
        assert [entry.status for entry in batch.entries] == ["done", "done"]
    assert batch.todo == []
    assert len(list((tmp_path / "out").rglob("*.tiles.csv"))) == 2


def test_inputs_are_called_by_text_and_their_outputs_by_the_name_on_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (source,) = find_inputs([f"in/{NO_TEXT}.png"], "out")
    assert (source.file, source.relative) == ("in/Gr\\xf6\\xdfe.png", f"{NO_TEXT}.png")
    inputs = [Input(f"/{folder}/{NO_TEXT}.png", f"{folder}/Gr\\xf6\\xdfe.png", f"{NO_TEXT}.png") for folder in "ab"]
    assert set(output_stems(inputs).values()) == {f"a/{NO_TEXT}.png", f"b/{NO_TEXT}.png"}
