"""Exports answer as the original does in their own runtimes, or are not kept; what they say of themselves is true."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_semclass.cli import main
from napari_semclass.errors import ModelError, OutputError, SettingsError
from napari_semclass.exchange import export_model
from napari_semclass.exchange.agreement import LIMIT, generated_tiles, largest_difference
from napari_semclass.model import Model
from napari_semclass.model.card import card_from_json


def needs_onnx():
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="the extra 'export' is not installed")


def needs_bioimageio():
    needs_onnx()
    pytest.importorskip("bioimageio.core", reason="the extra 'bioimageio' is not installed")
    import pydantic

    if tuple(int(part) for part in pydantic.VERSION.split(".")[:2]) >= (2, 14):
        pytest.skip("bioimageio.spec does not work with pydantic 2.14; install the extra 'bioimageio'")


@pytest.fixture
def warm_model(tiny_model):
    """The tiny model with a temperature that keeps it from being sure of anything, so that small faults show."""
    return Model(tiny_model.network, replace(tiny_model.card, temperature=70.0), tiny_model.sha256)


def wanted(model, tiles):
    with torch.inference_mode():
        return model.probabilities(torch.from_numpy(tiles[:, 0])).numpy()


def names_no_folder_of_this_computer(content):
    return b"site-packages" not in content and b"napari_semclass/" not in content


@pytest.mark.slow  # torch's exporter takes its time
def test_onnx_answers_alike_in_onnxruntime_for_any_number_of_tiles(warm_model, tmp_path):
    needs_onnx()
    import onnxruntime

    done = export_model(warm_model, tmp_path / "m.onnx", "onnx")
    assert done.difference <= LIMIT
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    tiles = generated_tiles(32)
    for n in (1, 5, 12):
        (found,) = session.run(["probabilities"], {"tiles": tiles[:n]})
        np.testing.assert_allclose(found, wanted(warm_model, tiles[:n]), atol=1e-5)
    said = session.get_modelmeta().custom_metadata_map
    assert card_from_json(said["semclass"], "m.onnx") == warm_model.card
    assert json.loads(said["names"]) == ["dark", "grey", "bright"]
    assert "0.5th and the 99.5th percentile" in said["outside"]
    assert "temperature 70" in said["inside"]
    assert names_no_folder_of_this_computer((tmp_path / "m.onnx").read_bytes())


def test_torch_export_answers_alike_without_this_program(warm_model, tmp_path):
    done = export_model(warm_model, tmp_path / "m.pt2", "torch")
    assert done.difference <= LIMIT
    extra = {"semclass.json": "", "preprocessing.json": ""}
    network = torch.export.load(tmp_path / "m.pt2", extra_files=extra).module()
    tiles = generated_tiles(32)
    for n in (1, 5):
        np.testing.assert_allclose(network(torch.from_numpy(tiles[:n])), wanted(warm_model, tiles[:n]), atol=1e-5)
    assert card_from_json(extra["semclass.json"], "m.pt2") == warm_model.card
    assert json.loads(extra["preprocessing.json"])["input"] == "tiles: float32 (n, 1, 32, 32), grey levels in [0, 1]"
    with zipfile.ZipFile(tmp_path / "m.pt2") as archive:
        assert all(names_no_folder_of_this_computer(archive.read(name)) for name in archive.namelist())


@pytest.mark.slow
def test_a_package_for_bioimage_io_passes_its_own_test(warm_model, tmp_path):
    needs_bioimageio()
    from bioimageio.core import test_model
    from bioimageio.spec import load_model_description

    done = export_model(warm_model, tmp_path / "m.zip", "bioimageio")
    assert done.difference <= LIMIT
    assert test_model(tmp_path / "m.zip").status == "passed"
    description = load_model_description(tmp_path / "m.zip")
    assert [axis.type for axis in description.inputs[0].axes] == ["batch", "channel", "space", "space"]
    assert description.outputs[0].axes[1].channel_names == ["dark", "grey", "bright"]
    with zipfile.ZipFile(tmp_path / "m.zip") as archive:
        read_me = archive.read("README.md").decode()
        card = card_from_json(archive.read("semclass.json").decode(), "m.zip")
    assert "once for the whole micrograph and not for each tile" in read_me
    assert card == warm_model.card


def test_a_wsinfer_folder_has_the_config_of_its_schema_and_logits(warm_model, tmp_path):
    done = export_model(warm_model, tmp_path / "folder", "wsinfer", pixel_size=5e-9)
    assert done.difference <= LIMIT
    assert "deprecated" in done.about
    assert "deprecated TorchScript" in (tmp_path / "folder" / "README.md").read_text()
    config = json.loads((tmp_path / "folder" / "config.json").read_text())
    assert (config["num_classes"], config["patch_size_pixels"], config["spacing_um_px"]) == (3, 32, 0.005)
    network = torch.jit.load(tmp_path / "folder" / "torchscript_model.pt")
    tiles = generated_tiles(32)
    colour = (torch.from_numpy(tiles).repeat(1, 3, 1, 1) - 0.5) / 0.5
    found = torch.softmax(network(colour), dim=1)
    np.testing.assert_allclose(found, wanted(warm_model, tiles), atol=1e-5)


def test_wsinfer_s_own_schema_accepts_the_config(tiny_model, tmp_path):
    zoo = pytest.importorskip("wsinfer_zoo.client", reason="wsinfer-zoo is not installed")
    export_model(tiny_model, tmp_path / "folder", "wsinfer", pixel_size=5e-9)
    config = zoo.ModelConfiguration.from_dict(json.loads((tmp_path / "folder" / "config.json").read_text()))
    assert list(config.class_names) == ["dark", "grey", "bright"]
    assert config.get_slide_patch_size(0.010) == 16


def test_wsinfer_needs_a_pixel_size(tiny_model, tmp_path):
    with pytest.raises(SettingsError, match="--pixel-size"):
        export_model(tiny_model, tmp_path / "folder", "wsinfer")
    assert not list(tmp_path.iterdir())


def test_an_export_that_answers_otherwise_is_not_kept(tiny_model, tmp_path, monkeypatch):
    from napari_semclass.exchange import torch_file

    kept = torch_file.torch_runner
    monkeypatch.setattr(torch_file, "torch_runner", lambda path: lambda tiles: kept(path)(tiles) + 0.002)
    (tmp_path / "m.pt2").write_text("earlier")
    with pytest.raises(ModelError, match=r"up to 0\.002 .* 0\.001 is allowed"):
        export_model(tiny_model, tmp_path / "m.pt2", "torch", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt2"]
    assert (tmp_path / "m.pt2").read_text() == "earlier"


def test_answers_that_are_no_numbers_or_too_few_are_no_agreement(tiny_model):
    assert largest_difference(tiny_model, lambda tiles: np.full((len(tiles), 3), np.nan, np.float32)) == np.inf
    with pytest.raises(ModelError, match="answers"):
        largest_difference(tiny_model, lambda tiles: np.zeros((1, 3), np.float32))


def test_what_is_there_is_kept_unless_asked_otherwise(tiny_model, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="already"):
        export_model(tiny_model, tmp_path / "folder", "wsinfer", pixel_size=1e-9)
    with pytest.raises(OutputError, match="other things"):
        export_model(tiny_model, tmp_path / "folder", "wsinfer", pixel_size=1e-9, overwrite=True)
    assert (tmp_path / "folder" / "thesis.txt").read_text() == "mine"
    for _ in range(2):
        export_model(tiny_model, tmp_path / "other", "wsinfer", pixel_size=1e-9, overwrite=True)
    assert len(list((tmp_path / "other").iterdir())) == 3


@pytest.mark.parametrize(("name", "to"), [("m.bin", "torch"), ("m.onnx", "wsinfer"), ("m.pt2", "tensorflow")])
def test_a_format_or_name_that_does_not_fit_is_one_sentence(tiny_model, tmp_path, name, to):
    with pytest.raises(SettingsError):
        export_model(tiny_model, tmp_path / name, to)


def test_a_missing_package_is_named_with_what_brings_it(tiny_model, tmp_path, monkeypatch):
    from napari_semclass.exchange import export

    monkeypatch.setattr(export, "_installed", lambda name: name != "onnxruntime")
    with pytest.raises(SettingsError, match=r"needs onnxruntime; .*napari-semclass\[export\]"):
        export_model(tiny_model, tmp_path / "m.onnx", "onnx")


def test_the_command_prints_the_figure(models, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "tiny", "--to", "torch", "--out", "out/m.pt2"]) == 0
    assert "differ from the original's by at most " in capsys.readouterr().out
    assert main(["export", "tiny", "--to", "torch", "--out", "out/m.pt2"]) == 2
    assert "already" in capsys.readouterr().err
