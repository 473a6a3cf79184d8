"""The model file: what is saved is what is loaded, and nothing unsound is."""

import json
import os
import pickle
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_semclass.errors import ModelError, OutputError
from napari_semclass.model import available_models, build_network, load_model, load_model_file, save_model


@pytest.fixture
def saved(tiny_model, tiny_card, tmp_path):
    """The tiny model's file, to be spoilt."""
    path = tmp_path / "m.safetensors"
    save_model(tiny_model.network, tiny_card, path, half=False)
    return path


def spoil(path, tensors=None, **card_fields):
    """Write the file again with other tensors or card fields."""
    with path.open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    card = {**json.loads(header["__metadata__"]["semclass"]), **card_fields}
    save_file(load_file(path) if tensors is None else tensors, path, metadata={"semclass": json.dumps(card)})
    return path


def test_a_model_comes_back_the_same(tiny_model, saved):
    again = load_model_file(saved)
    tiles = torch.rand(5, 32, 32)
    torch.testing.assert_close(again.probabilities(tiles), tiny_model.probabilities(tiles))
    assert again.card == tiny_model.card
    assert again.sha256 == tiny_model.sha256


def test_half_precision_halves_the_file_and_changes_little(tiny_model, tiny_card, saved, tmp_path):
    half = save_model(tiny_model.network, tiny_card, tmp_path / "half.safetensors")
    assert (tmp_path / "half.safetensors").stat().st_size < 0.7 * saved.stat().st_size
    tiles = torch.rand(20, 32, 32)
    assert (half.probabilities(tiles) - tiny_model.probabilities(tiles)).abs().max() < 0.02
    assert half.sha256 != tiny_model.sha256


def test_weights_too_large_for_half_precision_are_kept(tiny_model, tiny_card, tmp_path):
    network = build_network(tiny_card.backbone, 3)
    name, value = next((n, v) for n, v in network.state_dict().items() if n.endswith("running_var"))
    value.fill_(1e6)
    again = save_model(network, tiny_card, tmp_path / "large.safetensors")
    assert (again.network.state_dict()[name] == 1e6).all()


def test_the_hash_follows_weights_and_card(tiny_model, tiny_card, tmp_path):
    same = save_model(tiny_model.network, tiny_card, tmp_path / "a.safetensors", half=False)
    renamed = save_model(tiny_model.network, replace(tiny_card, title="Other"), tmp_path / "b.safetensors", half=False)
    assert same.sha256 == tiny_model.sha256 != renamed.sha256


class Booby:
    """A pickle that would leave a file behind if it were ever opened."""

    def __init__(self, trap):
        self.trap = trap

    def __reduce__(self):
        return os.mkdir, (str(self.trap),)


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_pickle_is_refused_and_never_run(tmp_path, kind):
    path, trap = tmp_path / "bad.safetensors", tmp_path / "sprung"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Booby(trap)))
    else:
        torch.save(Booby(trap), path)
        assert zipfile.is_zipfile(path)
    with pytest.raises(ModelError, match="is a pickle"):
        load_model_file(path)
    assert not trap.exists()


def test_a_header_whose_length_begins_as_a_pickle_does_is_read(tiny_model, tiny_card, saved, tmp_path):
    path = tmp_path / "model.safetensors"
    spare = (0x80 - saved.read_bytes()[0]) % 256
    longer = replace(tiny_card, description=tiny_card.description + "." * spare)
    save_model(tiny_model.network, longer, path, half=False)
    assert path.read_bytes()[:1] == b"\x80"
    assert load_model_file(path).card == longer


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"card_version": 2}, "version 2"),
        ({"card_version": None}, "version None"),
        ({"preprocessing": {"version": 99, "mean": 0.5, "std": 0.5}}, "preprocessing version 99"),
        ({"backbone": "no_such_net"}, "no_such_net"),
        ({"backbone": "hf-hub:somebody/net"}, "backbone"),
        ({"backbone": "resnet18.bogus"}, "resnet18.bogus"),
        ({"description": "\ud800"}, "not sound|not valid"),
        ({"surprise": 1}, "surprise"),
        ({"tile": "32"}, "tile"),
        ({"tile": 0}, "tile"),
        ({"temperature": -1.0}, "temperature"),
        ({"categories": []}, "categories"),
        ({"categories": [{"name": "a", "color": "#000000"}] * 2}, "same name"),
        ({"categories": [{"name": "a", "color": "red"}, {"name": "b", "color": "#000000"}]}, "color"),
        ({"description": "x" * 1_000_001}, "larger than"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_unsound_card_is_refused_in_one_sentence(saved, fields, sentence):
    with pytest.raises(ModelError, match=sentence) as caught:
        load_model_file(spoil(saved, **fields))
    assert "\n" not in str(caught.value)
    assert str(saved) in str(caught.value)


def test_tensors_must_fit_the_card(saved):
    tensors = load_file(saved)
    name = next(n for n, v in tensors.items() if v.ndim == 4)
    for change, sentence in (
        ({name: None}, f"{name}' is missing"),
        ({name: torch.zeros(1, 2)}, r"shape \(1, 2\)"),
        ({name: torch.full_like(tensors[name], float("nan"))}, "NaN"),
        ({name: tensors[name].to(torch.float8_e5m2)}, "float8"),
        ({"extra": torch.zeros(1)}, "'extra' does not belong"),
    ):
        changed = {n: v for n, v in {**tensors, **change}.items() if v is not None}
        with pytest.raises(ModelError, match=sentence):
            load_model_file(spoil(saved, changed))


@pytest.mark.parametrize(
    "content",
    [b"", b"abc", b"\xff" * 100, struct.pack("<Q", 2**40) + b"{}", struct.pack("<Q", 2) + b"{}", b"GIF89a" + b"0" * 99],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.safetensors"):
        load_model_file(path)


def test_weights_cut_short_are_refused(saved):
    saved.write_bytes(saved.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="damaged"):
        load_model_file(saved)


def test_a_huge_backbone_with_small_tensors_allocates_nothing(saved):
    before = torch.zeros(1)
    with pytest.raises(ModelError, match=r"missing|shape"):
        load_model_file(spoil(saved, backbone="vit_giant_patch14_dinov2", input_size=518))
    assert before.numel() == 1


def test_models_are_found_by_name_and_bad_ones_left_out(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCLASS_MODELS", str(tmp_path))
    (tmp_path / "broken.safetensors").write_bytes(b"nonsense")
    assert "m" in available_models()
    assert "broken" not in available_models()
    assert load_model("m") is load_model("m")
    assert load_model(saved).sha256 == load_model("m").sha256
    with pytest.raises(ModelError, match=r"no model named 'nobody'.* m"):
        load_model("nobody")


def test_a_model_that_changed_on_disk_is_read_again(saved, tiny_card, tiny_model, monkeypatch, tmp_path):
    monkeypatch.setenv("SEMCLASS_MODELS", str(tmp_path))
    load_model("m")
    save_model(tiny_model.network, replace(tiny_card, title="Newer title"), saved)
    assert load_model("m").card.title == "Newer title"


def test_a_place_that_cannot_be_written_is_named(tiny_model, tiny_card, tmp_path):
    (tmp_path / "nowhere").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="nowhere"):
        save_model(tiny_model.network, tiny_card, tmp_path / "nowhere" / "m.safetensors")


def test_temperature_softens_probabilities(tiny_model):
    tiles = torch.rand(4, 32, 32)
    hot = replace(tiny_model, card=replace(tiny_model.card, temperature=50.0))
    np.testing.assert_allclose(hot.probabilities(tiles).sum(1), 1, rtol=1e-6)
    assert (hot.probabilities(tiles).amax(1) < tiny_model.probabilities(tiles).amax(1)).all()
    torch.testing.assert_close(hot.probabilities(tiles).argmax(1), tiny_model.probabilities(tiles).argmax(1))
