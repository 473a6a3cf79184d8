"""OpenVINO in place of torch: the same answers, and a sentence where it cannot be had."""

import copy
import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from torch import nn

from napari_semclass.classify import Batch, Settings, classify_micrograph
from napari_semclass.classify.record import load_record
from napari_semclass.cli import main
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import Micrograph
from napari_semclass.model import build_network, load_model, runtime
from napari_semclass.samples import synthetic_mosaic

pytestmark = pytest.mark.slow  # OpenVINO takes seconds to convert a network
there = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="the extra 'openvino' is not installed")


@pytest.fixture(scope="module")
def mosaic():
    return Micrograph(synthetic_mosaic((512, 672), seed=3)[0], source="mosaic", known_bars=())


@pytest.fixture(scope="module")
def starter():
    """One for all tests, so that OpenVINO converts its network once."""
    return load_model("starter")


@there
def test_the_starter_answers_as_with_torch(mosaic, starter):
    by_torch, by_other = (
        classify_micrograph(mosaic, starter, Settings(runtime=name, precision="fp32", stride=112))
        for name in ("torch", "openvino")
    )
    np.testing.assert_allclose(by_other.probabilities, by_torch.probabilities, atol=1e-4)
    np.testing.assert_allclose(by_other.strangeness, by_torch.strangeness, rtol=1e-3, atol=1e-3)
    assert by_torch.made["runtime"] == "torch"
    assert by_other.made["runtime"].startswith("OpenVINO 20")
    assert by_other.made["precision"] == "float32"


@there
@pytest.mark.parametrize("dihedral", [False, True])
def test_windows_are_averaged_from_the_same_map(mosaic, starter, dihedral):
    """Of a picture that is looked at in one go, and in parts of several sizes."""
    model = replace(starter, card=replace(starter.card, windows=True, context=2.0))
    settings = Settings(stride=112, dihedral=dihedral)
    for pixels in (mosaic.pixels[:300, :333], np.tile(mosaic.pixels[:256], (1, 4))):
        micrograph = Micrograph(pixels, source="mosaic", known_bars=())
        by_torch, by_other = (
            classify_micrograph(micrograph, model, replace(settings, runtime=name, precision="fp32"))
            for name in ("torch", "openvino")
        )
        np.testing.assert_allclose(by_other.probabilities, by_torch.probabilities, atol=1e-4)
        np.testing.assert_allclose(by_other.strangeness, by_torch.strangeness, rtol=1e-3, atol=1e-3)
        assert by_other.made["runtime"].startswith("OpenVINO 20")


@there
@pytest.mark.parametrize("backbone", ["resnet18", "resnet26d", "vit_tiny_patch16_224"])
def test_networks_whose_first_layers_differ_answer_as_with_torch(tiny_model, three_bands, backbone):
    torch.manual_seed(0)
    card = replace(tiny_model.card, backbone=backbone, input_size=224)
    model = replace(tiny_model, network=build_network(backbone, len(card.categories)), card=card, familiar=None)
    micrograph = Micrograph(three_bands, source="bands", known_bars=())
    by_torch, by_other = (
        classify_micrograph(micrograph, model, Settings(runtime=name, precision="fp32")).probabilities
        for name in ("torch", "openvino")
    )
    np.testing.assert_allclose(by_other, by_torch, atol=1e-4)


@there
def test_blank_tiles_are_unknown_with_it_too(mosaic, starter):
    pixels = mosaic.pixels.copy()
    rough = 225 + np.random.default_rng(0).integers(0, 10, 240)  # straight edges would make it a mosaic's fill
    for row, stop in enumerate(rough):
        pixels[row, :stop] = 90
    found = classify_micrograph(Micrograph(pixels, source="blank", known_bars=()), starter, OPENVINO)
    assert found.strangeness[0] > 1


OPENVINO = Settings(runtime="openvino")


@there
def test_a_network_changed_in_place_is_not_computed_as_it_was(tiny_model, three_bands):
    tiny_model = replace(tiny_model, network=copy.deepcopy(tiny_model.network))
    micrograph = Micrograph(three_bands, source="bands", known_bars=())
    before = classify_micrograph(micrograph, tiny_model, OPENVINO).probabilities
    with torch.no_grad():
        for weight in tiny_model.network.parameters():
            weight.mul_(1.5)
    after = classify_micrograph(micrograph, tiny_model, OPENVINO).probabilities
    assert not np.allclose(before, after)
    expected = classify_micrograph(micrograph, tiny_model, Settings(runtime="torch", precision="fp32")).probabilities
    np.testing.assert_allclose(after, expected, atol=1e-4)


@there
def test_a_run_that_goes_on_keeps_its_runtime(tiny_model, three_bands, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", three_bands)
    out = tmp_path / "out"
    list(Batch([tmp_path / "in" / "a.tif"], tiny_model, OPENVINO, out).steps())
    steps = list(Batch([tmp_path / "in"], tiny_model, Settings(), out).steps())
    assert steps[-1].prediction.made["runtime"].startswith("OpenVINO")
    assert load_record(out).runtime == steps[-1].prediction.made["runtime"]


def test_without_it_one_sentence_says_how_to_get_it(tiny_model, three_bands, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    tifffile.imwrite(tmp_path / "a.tif", three_bands)
    status = main(["classify", str(tmp_path / "a.tif"), "--out", str(tmp_path / "out"), "--runtime", "openvino"])
    said = capsys.readouterr().err
    assert status == 2
    assert said.count("\n") == 1
    assert "pip install 'napari-semclass[openvino]'" in said
    assert not (tmp_path / "out").exists()


@there
def test_nobody_is_told_that_it_is_used(tiny_model, three_bands):
    """OpenVINO would write to its makers, each time from a process of its own, and keep a number of the user."""
    classify_micrograph(Micrograph(three_bands, source="bands", known_bars=()), tiny_model, OPENVINO)
    assert sys.modules["openvino.tools.ovc.telemetry_utils"].tm.__name__ == "openvino.tools.ovc.telemetry_stub"


@there
def test_what_it_cannot_compute_is_refused(tiny_model):
    with pytest.raises(SettingsError, match="cuda"):
        runtime.need_openvino(tiny_model, torch.device("cuda"))
    other = replace(tiny_model, network=nn.Sequential(nn.Flatten()))
    other.network.get_classifier = nn.Identity
    with pytest.raises(SettingsError, match="linear classifier"):
        runtime.need_openvino(other, torch.device("cpu"))
    with pytest.raises(SettingsError, match="fp32 and bf16"):
        Settings(runtime="openvino", precision="fp16")
    with pytest.raises(SettingsError, match="tensorrt"):
        Settings(runtime="tensorrt")
