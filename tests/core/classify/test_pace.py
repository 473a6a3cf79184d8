"""The pace: a lower precision only where it is faster and answers alike, found once and remembered."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

from napari_semclass.classify import Batch, Settings, classify_micrograph
from napari_semclass.classify import pace as module
from napari_semclass.classify.forward import Forward
from napari_semclass.classify.pace import Pace, pace
from napari_semclass.classify.record import load_record
from napari_semclass.errors import OutputError, SettingsError
from napari_semclass.micrograph import Micrograph
from napari_semclass.model.device import PRECISIONS


@pytest.fixture
def tiles(three_bands):
    pure = [*range(0, 32), *range(96, 128)]  # no tile between two bands, where any rounding decides
    crops = [three_bands[y : y + 32, x : x + 32] for y in (0, 64) for x in pure]
    return np.stack(crops).astype(np.float32) / 255


@pytest.fixture
def forward(tiny_model):
    return Forward.on(tiny_model, "cpu", precision="fp32")


def rates(monkeypatch, openvino=0.0, **speeds):
    """Stand for measured rates, so that what is chosen does not depend on this machine."""
    monkeypatch.setattr(module, "lower_precisions", lambda _: ("bf16",))
    monkeypatch.setattr(module, "can_use_openvino", lambda *_: bool(openvino))

    def rate(forward, tiles, name, batch, runtime="torch"):
        forward.use(runtime, PRECISIONS[name])
        forward.batch = batch
        return Pace(name, batch, speeds[name] if runtime == "torch" else openvino, runtime=runtime)

    monkeypatch.setattr(module, "_rate", rate)


def test_a_faster_precision_that_answers_alike_is_chosen_and_remembered(forward, tiles, tmp_path, monkeypatch):
    rates(monkeypatch, fp32=10.0, bf16=20.0)
    found = pace(forward, 5000, lambda n: tiles[:n], tmp_path / "pace.json")
    assert (found.precision, found.gain, found.agreement, found.tiles) == ("bf16", 2.0, 1.0, 128)
    assert forward.precision == torch.float32  # choosing is left to the caller

    def never(_):
        raise AssertionError("tried again")

    assert pace(forward, 1, never, tmp_path / "pace.json") == found
    other = replace(forward, model=replace(forward.model, sha256="another"))
    assert pace(other, 1, never, tmp_path / "pace.json") is None  # another model has a pace of its own


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="the extra 'openvino' is not installed")
def test_a_faster_runtime_that_answers_alike_is_chosen(forward, tiles, tmp_path, monkeypatch):
    rates(monkeypatch, fp32=10.0, bf16=5.0, openvino=30.0)
    found = pace(forward, 5000, lambda n: tiles[:n], tmp_path / "pace.json")
    assert (found.runtime, found.precision, found.gain, found.agreement) == ("openvino", "fp32", 3.0, 1.0)
    assert forward.runtime_name == "torch"  # choosing is left to the caller


def test_a_runtime_that_fails_is_not_chosen(forward, tiles, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "can_use_openvino", lambda *_: True)
    monkeypatch.setattr("napari_semclass.model.runtime.importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(module, "openvino_name", lambda: "OpenVINO")
    assert pace(forward, 5000, lambda n: tiles[:n], tmp_path / "pace.json").runtime == "torch"


@pytest.mark.parametrize("speed", [5.0, 10.5])
def test_what_does_not_win_clearly_is_not_chosen(forward, tiles, tmp_path, monkeypatch, speed):
    rates(monkeypatch, fp32=10.0, bf16=speed)
    assert pace(forward, 5000, lambda n: tiles[:n], tmp_path / "pace.json").precision == "fp32"


def test_a_precision_with_other_answers_falls_back(forward, tiles, tmp_path, monkeypatch):
    rates(monkeypatch, fp32=10.0, bf16=20.0)
    honest = Forward.answers

    def wrong(self, stack):
        shares, strange = honest(self, stack)
        return (shares if self.precision == torch.float32 else np.roll(shares, 1, axis=1)), strange

    monkeypatch.setattr(Forward, "answers", wrong)
    assert pace(forward, 5000, lambda n: tiles[:n], tmp_path / "pace.json").precision == "fp32"


def test_few_tiles_are_no_reason_for_a_trial(forward, tmp_path):
    assert pace(forward, 100, lambda _: pytest.fail("tried"), tmp_path / "pace.json") is None


def test_a_damaged_memory_only_costs_another_trial(forward, tiles, tmp_path):
    path = tmp_path / "pace.json"
    path.write_text("{")
    assert pace(forward, 5000, lambda n: tiles[:n], path) == pace(forward, 1, pytest.fail, path)


def test_bf16_is_as_good_as_asked_for_and_its_head_is_float32(tiny_model, three_bands):
    micrograph = Micrograph(three_bands, source="bands", known_bars=())
    exact, low = (classify_micrograph(micrograph, tiny_model, Settings(precision=p)) for p in ("fp32", "bf16"))
    assert (exact.made["precision"], low.made["precision"]) == ("float32", "bfloat16")
    np.testing.assert_array_equal(low.tile_categories(), exact.tile_categories())
    np.testing.assert_allclose(low.probabilities.sum(1), 1, rtol=1e-5)
    assert tiny_model.logits(torch.rand(2, 32, 32), torch.bfloat16).dtype == torch.float32


def test_the_remembered_pace_is_used_and_stands_in_what_was_made(tiny_model, three_bands, monkeypatch):
    monkeypatch.setattr("napari_semclass.classify.engine.pace", lambda *_: Pace("bf16", 3, 9.0))
    made = classify_micrograph(Micrograph(three_bands, source="bands", known_bars=()), tiny_model).made
    assert (made["precision"], made["pace"]["batch"]) == ("bfloat16", 3)


def test_torch_asked_for_is_not_replaced_by_what_is_remembered(tiny_model, three_bands, monkeypatch):
    monkeypatch.setattr("napari_semclass.classify.engine.pace", lambda *_: Pace("bf16", 3, 9.0, runtime="openvino"))
    micrograph = Micrograph(three_bands, source="bands", known_bars=())
    made = classify_micrograph(micrograph, tiny_model, Settings(runtime="torch")).made
    assert (made["runtime"], made["precision"]) == ("torch", "float32")
    assert "pace" not in made


def test_an_unknown_precision_is_refused():
    with pytest.raises(SettingsError, match="fp64"):
        Settings(precision="fp64")


def test_a_run_that_goes_on_keeps_its_precision(tiny_model, three_bands, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", three_bands)
    out = tmp_path / "out"
    list(Batch([tmp_path / "in" / "a.tif"], tiny_model, Settings(precision="bf16"), out).steps())
    batch = Batch([tmp_path / "in"], tiny_model, Settings(), out)
    steps = list(batch.steps())
    assert steps[-1].prediction.made["precision"] == "bfloat16"
    assert load_record(out).precision == "bfloat16"
    with pytest.raises(OutputError, match="other settings"):
        Batch([tmp_path / "in"], tiny_model, Settings(precision="fp32"), out)
