"""What fastai saved: tensors are taken from it, and no code of it runs unless its user vouches for it."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from napari_semclass.errors import ModelError, OutputError
from napari_semclass.exchange import import_weights
from napari_semclass.model import build_network
from semclass_training.convert import TRUST, convert, main

SMALL = "test_resnet"

# A script as users write them: its labelling function is in the export by name only.
EXPORT = """
import sys
from fastai.vision.all import *
import numpy, timm

def label(path):
    return Path(path).stem.split("-")[0]

for number in range(4):
    for name in ("pore", "tip"):
        PILImage.create(numpy.full((32, 32, 3), 60 * number, numpy.uint8)).save(f"{name}-{number}.png")
blocks = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=label, splitter=IndexSplitter([0, 1]),
    batch_tfms=Normalize.from_stats(*imagenet_stats))
dls = blocks.dataloaders(".", bs=2, num_workers=0, device="cpu")
plain = Learner(dls, timm.create_model(sys.argv[1], num_classes=2), loss_func=CrossEntropyLossFlat(), path=".")
plain.export("plain.pkl")
torch.save(plain.model.state_dict(), "plain.pth")
usual = vision_learner(dls, sys.argv[1], pretrained=False, path=".")
usual.export("usual.pkl")
usual.save("usual")
torch.save(usual.model[0].model.state_dict(), "usual.pth")
"""


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import pathlib

        return pathlib.Path.touch, (pathlib.Path(self.path),)


@pytest.mark.slow  # starts fastai
def test_a_booby_trapped_file_runs_only_with_the_flag(tmp_path, monkeypatch, capsys):
    trap, sprung, out = tmp_path / "export.pkl", tmp_path / "sprung", tmp_path / "w.safetensors"
    torch.save({"model": Trap(str(sprung))}, trap)
    monkeypatch.setattr(sys, "argv", ["convert", str(trap), "--out", str(out)])
    assert main() == 2
    assert TRUST in capsys.readouterr().err
    assert not sprung.exists()
    # With the flag it does run, which is what the flag is for; what is no Learner is said as that.
    monkeypatch.setattr(sys, "argv", ["convert", str(trap), "--out", str(out), TRUST])
    assert main() == 2
    assert "fastai could not open it" in capsys.readouterr().err
    assert sprung.exists()
    assert not out.exists()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Exports of a Learner on a timm network, and of one that fastai put together."""
    folder = tmp_path_factory.mktemp("fastai")
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EXPORT, SMALL], cwd=folder, check=True, capture_output=True, text=True
    )
    return folder


@pytest.mark.slow  # starts fastai
def test_a_trusted_export_becomes_a_model_with_the_same_answers(exported, tmp_path):
    with pytest.raises(ModelError, match=TRUST):
        convert(exported / "plain.pkl", tmp_path / "w.safetensors")
    found = convert(exported / "plain.pkl", tmp_path / "w.safetensors", backbone=SMALL, trusted=True)
    assert found.categories == ["pore", "tip"]
    np.testing.assert_allclose(found.mean, [0.485, 0.456, 0.406], atol=1e-6)
    done = import_weights(
        tmp_path / "w.safetensors", tmp_path / "m.safetensors", backbone=SMALL, categories=found.categories
    )
    wanted = torch.load(exported / "plain.pth", weights_only=True)
    for name, value in done.model.network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(value, wanted[name])


@pytest.mark.slow  # starts fastai
def test_a_trusted_export_of_fastai_s_own_network_gives_its_body(exported, tmp_path):
    found = convert(exported / "usual.pkl", tmp_path / "w.safetensors", backbone=SMALL, trusted=True)
    assert found.head_left_out
    assert found.categories == ["pore", "tip"]
    wanted = torch.load(exported / "usual.pth", weights_only=True)
    assert set(found.tensors) == set(wanted)
    for name, value in found.tensors.items():
        torch.testing.assert_close(value, wanted[name])


@pytest.mark.slow  # starts fastai
def test_what_learn_save_wrote_is_read_without_trust(exported, tmp_path):
    assert (exported / "models" / "usual.pth").is_file()
    convert(exported / "models" / "usual.pth", tmp_path / "w.safetensors", backbone=SMALL)
    tensors, wanted = load_file(tmp_path / "w.safetensors"), torch.load(exported / "usual.pth", weights_only=True)
    for name, value in wanted.items():
        torch.testing.assert_close(tensors[name], value)


@pytest.mark.parametrize("body", ["numbered", "timm"])
def test_fastai_s_body_gets_timm_s_names_and_its_head_is_left_out(body, tmp_path):
    torch.manual_seed(6)
    original = build_network(SMALL, 2)
    state = {f"0.model.{name}": value for name, value in original.state_dict().items() if not name.startswith("fc.")}
    if body == "numbered":  # as fastai cuts torchvision's networks
        children = [child for name, child in original.named_children() if name not in ("global_pool", "fc")]
        state = {f"0.{name}": value for name, value in nn.Sequential(*children).state_dict().items()}
    torch.save(
        {"model": state | {"1.8.weight": torch.zeros(2, 9)}, "opt": {"hypers": [{"lr": 1e-3}]}}, tmp_path / "a.pth"
    )
    found = convert(tmp_path / "a.pth", tmp_path / "w.safetensors", backbone=SMALL)
    assert found.head_left_out
    tensors = load_file(tmp_path / "w.safetensors")
    for name, value in original.state_dict().items():
        if not name.startswith("fc."):
            torch.testing.assert_close(tensors[name], value)
    assert not any(name.startswith("1.") for name in tensors)


def test_another_backbone_and_files_in_the_way_are_said(tmp_path):
    torch.save({"0.0.weight": torch.zeros(3, 3), "1.0.weight": torch.zeros(3)}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="missing"):
        convert(tmp_path / "a.pth", tmp_path / "w.safetensors", backbone=SMALL)
    convert(tmp_path / "a.pth", tmp_path / "w.safetensors")
    with pytest.raises(OutputError, match="already"):
        convert(tmp_path / "a.pth", tmp_path / "w.safetensors")
    with pytest.raises(OutputError, match="safetensors"):
        convert(tmp_path / "a.pth", tmp_path / "w.pth")
    with pytest.raises(ModelError, match="not a file"):
        convert(tmp_path / "nowhere.pkl", tmp_path / "v.safetensors", trusted=True)
