"""`semclass info`: what it prints, as a table and as JSON, and its exit status; `semclass samples`."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semclass.cli import main

PICTURE = np.random.default_rng(0).integers(0, 255, (96, 128), dtype=np.uint8)
KEYS = [
    *("file", "width", "height", "planes", "dtype", "vendor", "pixel_size", "pixel_size_source"),
    *("data_bar", "data_bar_confidence", "metadata", "warnings", "error"),
]


@pytest.fixture
def folder(tmp_path):
    """A folder with an FEI TIFF with a data bar, and below it a PNG of which nothing is known."""
    tag = (
        "[System]\r\nSystemType=Apreo\r\n[Beam]\r\nHV=5000\r\n[Scan]\r\nPixelWidth=3e-9\r\nPixelHeight=3e-9\r\n"
        "[Image]\r\nResolutionX=128\r\nResolutionY=88\r\n[Detectors]\r\nName=ETD\r\n"
    )
    (tmp_path / "below").mkdir()
    extra = [(34682, 2, len(tag), tag, True)]
    tifffile.imwrite(tmp_path / "a.tif", PICTURE, extratags=extra, metadata=None)
    Image.fromarray(PICTURE).save(tmp_path / "below" / "b.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def as_json(capsys, *arguments):
    status = main(["info", "--json", *map(str, arguments)])
    return status, json.loads(capsys.readouterr().out)


def test_json_has_the_promised_keys(capsys, folder):
    status, (known, unknown) = as_json(capsys, folder)
    assert status == 0
    assert list(known) == list(unknown) == KEYS
    assert known["file"].endswith("a.tif")
    assert (known["width"], known["height"], known["planes"], known["dtype"]) == (128, 96, 1, "uint8")
    assert (known["vendor"], known["pixel_size"], known["error"]) == ("fei", [3e-9, 3e-9], None)
    assert (known["data_bar"], known["data_bar_confidence"]) == ([[88, 96]], 1.0)
    assert known["metadata"]["detector"] == "ETD"
    assert known["metadata"]["voltage"] == 5000


def test_a_missing_pixel_size_is_a_warning(capsys, folder):
    status, (found,) = as_json(capsys, folder / "below" / "b.png")
    assert status == 0
    assert found["pixel_size"] is None
    assert "pixel size is unknown" in found["warnings"][0]
    assert (found["data_bar"], found["data_bar_confidence"], found["error"]) == ([], None, None)


def test_an_unreadable_file_has_its_error_and_the_others_are_told(capsys, folder):
    (folder / "c.tif").write_bytes(b"II*\0broken")
    status, found = as_json(capsys, folder, folder / "missing.tif")
    assert status == 1
    errors = {entry["file"].rsplit("/", 1)[-1]: entry["error"] for entry in found}
    assert errors["a.tif"] is None
    assert errors["b.png"] is None
    assert errors["c.tif"]
    assert "no such file" in errors["missing.tif"]
    assert all("\n" not in error for error in errors.values() if error)


def test_a_blank_picture_and_planes_are_told(capsys, tmp_path):
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((3, 64, 80), np.uint16), photometric="minisblack", metadata=None)
    status, (found,) = as_json(capsys, tmp_path / "s.tif")
    assert (status, found["planes"], found["dtype"]) == (0, 3, "uint16")
    assert any("blank" in warning for warning in found["warnings"])


def test_the_table_says_the_same_in_words(capsys, folder):
    (folder / "[red]c.tif").touch()
    assert main(["info", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "3 nm" in said
    assert "88-96 (100 %)" in said
    assert "fei, Apreo, ETD, 5 kV" in said
    assert "b.png: The pixel size is unknown" in said
    assert "[red]c.tif: error: is empty" in said


def test_a_folder_without_pictures_is_an_error(capsys, tmp_path):
    assert main(["info", str(tmp_path)]) == 2
    assert "no images found" in capsys.readouterr().err


def test_samples_are_a_data_set_that_can_be_audited_and_are_not_drawn_over(tmp_path, monkeypatch, capsys):
    module = sys.modules["napari_semclass.cli.samples"]  # the name is the command's, too
    monkeypatch.setattr(module, "_SHAPE", (96, 128))
    monkeypatch.setattr(module, "_MOSAIC", (96, 128))
    monkeypatch.chdir(tmp_path)
    assert main(["samples", "practice"]) == 0
    assert "synthetic" in capsys.readouterr().out
    assert len(list(Path("practice/mosaics").glob("*.png"))) == 2
    assert main(["audit", "practice/labelled"]) == 0
    assert "18 of them usable, in 3 categories and 18 groups" in capsys.readouterr().out
    assert main(["samples", "practice"]) == 2
    assert "practice is there already" in capsys.readouterr().err
