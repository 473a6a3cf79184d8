"""Every family of timm's networks: training at each stage's size, saving, classifying, exporting."""

import os
import re
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch

from napari_semclass import Settings, classify_micrograph, load_model
from napari_semclass.cli import main
from napari_semclass.errors import SemclassError, SettingsError
from napari_semclass.exchange import export_model
from napari_semclass.learn.held_out import read_held_out
from napari_semclass.learn.plan import Plan, Stage, write_plan
from napari_semclass.micrograph import as_micrographs, open_micrographs
from napari_semclass.model import build_network, save_model
from napari_semclass.model.input_sizes import network_at
from napari_semclass.model.windows import windows_of
from napari_semclass.retrain import fetch_weights, train_model
from semclass_training.train import train

EXACT = Settings(device="cpu", precision="fp32")


def register(name: str, original: str, **shape: object) -> str:
    """Make timm know a network of a family that has no small one of its own, with fewer and narrower layers."""

    def small(pretrained=False, **kwargs):
        return timm.create_model(original, pretrained=pretrained, **(shape | kwargs))

    small.__name__ = name
    small.__module__ = __name__
    timm.models.register_model(small)
    return name


NARROW = {"embed_dim": 48, "depth": 2, "num_heads": 2}
DINOV2 = NARROW | {"init_values": 0.5}  # what a trained one has; new ones hardly see their pictures
FAMILIES = {
    "ResNet": ("test_resnet", 32, 64),
    "ConvNeXt": ("test_convnext", 32, 64),
    "EfficientNet": ("test_efficientnet", 32, 64),
    "MobileNet": ("mobilenetv3_small_050", 32, 64),
    "NFNet": ("test_nfnet", 32, 64),
    "ViT": ("test_vit", 32, 64),
    "ViT with relative positions": ("test_vit_relpos", 32, 64),
    "DeiT": (register("small_deit", "deit_tiny_patch16_224", **NARROW), 32, 64),
    "DINOv2": (register("small_dinov2", "vit_small_patch14_dinov2", **DINOV2), 28, 70),
    "DINOv2 with registers": (register("small_dinov2_reg4", "vit_small_patch14_reg4_dinov2", **DINOV2), 28, 70),
    "DINOv3": (register("small_dinov3", "vit_small_patch16_dinov3", **NARROW), 32, 64),
    "Swin": (
        register("small_swin", "swin_tiny_patch4_window7_224", embed_dim=24, depths=(2, 2), num_heads=(1, 2)),
        *(32, 64),
    ),
    "Swin v2": (
        register("small_swinv2", "swinv2_tiny_window8_256", embed_dim=24, depths=(2, 2), num_heads=(1, 2)),
        *(32, 64),
    ),
    "MaxViT": ("test_maxvit", 32, 64),
    "BEiT": (register("small_beit", "beit_base_patch16_224", **NARROW), 32, 64),
    "CoAtNet": ("test_coatnet", 32, 64),
    "hybrid": (register("small_hybrid", "vit_tiny_r_s16_p8_224", **NARROW), 32, 64),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_trains_at_two_sizes_and_classifies(family, make_run, texture, tmp_path):
    backbone, first, last = FAMILIES[family]
    run = make_run(plan_of(backbone, first, last))
    assert train(run)
    model = load_model(run.folder.with_suffix(".safetensors"))
    assert (model.card.backbone, model.card.input_size) == (backbone, last)
    # What was measured before the file was written is what the file answers; it holds weights in half precision.
    table = read_held_out(run.held_out_file)
    (picture,) = open_micrographs(table.paths[0])
    answers = classify_micrograph(picture, model, EXACT)
    boxes = [tuple(box) for box in answers.grid.boxes().tolist()]
    own = [index for index, path in enumerate(table.paths) if path == table.paths[0]]
    for index in own:
        row = answers.probabilities[boxes.index(tuple(table.boxes[index]))]
        np.testing.assert_allclose(row, table.probabilities[index], atol=1e-2)
    again = save_model(model.network, model.card, tmp_path / "again.safetensors", half=False, familiar=model.familiar)
    (mosaic,) = as_micrographs(np.hstack([texture(period, seed=99) for period in (3, 12, 48)]))
    before, after = (classify_micrograph(mosaic, each, EXACT).probabilities for each in (model, again))
    assert before.shape == (12, 3)
    np.testing.assert_allclose(before.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(before, after)
    assert np.ptp(before, axis=0).max() > 1e-6  # it does see its tiles
    assert export_model(again, tmp_path / "folder", "wsinfer", pixel_size=1e-9).difference < 1e-3


EXPORTED = list(FAMILIES) if os.environ.get("SEMCLASS_ALL_BACKBONES") else ["ConvNeXt", "DINOv3", "Swin"]
"""Torch's exporters take ten seconds for each family: all of them only where the variable asks for it."""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
@pytest.mark.parametrize("family", EXPORTED)
def test_a_family_is_exported(family, suffix, tiny_card, tmp_path):
    to = {".pt2": "torch", ".onnx": "onnx"}[suffix]
    if to == "onnx":
        pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")
    backbone, _, size = FAMILIES[family]
    card = replace(tiny_card, backbone=backbone, input_size=size, familiar_kept=None)
    model = save_model(build_network(backbone, 3, size=size), card, tmp_path / "m.safetensors")
    assert export_model(model, tmp_path / f"m{suffix}", to).difference < 1e-3


# Backbone, sizes of the stages, and what is said of them.
REFUSED = {
    "half a patch": (
        "vit_tiny_patch16_224",
        (72, 224),
        "cannot compute pictures of 72 px; the nearest that it can: 64",
    ),
    "patches of 14": ("vit_small_patch14_dinov2", (128, 224), "cannot compute pictures of 128 px.*nearest.*: 126 px"),
    "two sizes": ("vit_small_patch14_dinov2", (64, 128, 224), "of 64 and 128 px; .* 70 and 126 px"),
    "half a window": ("test_maxvit", (72, 128), "cannot compute pictures of 72 px"),
    "one size only": ("mixer_s32_224", (64, 128), "learns at one size only.*64 and 128 px.*such as 224 px"),
    "two classifiers": ("deit_tiny_distilled_patch16_224", (224,), "does not end in one linear classifier"),
    "a convolution at the end": ("resnetv2_50x1_bit", (64,), "does not end in one linear classifier"),
    "a normalisation before it": ("levit_128s", (224,), "does not end in one linear classifier"),
    "no such name": ("vit_tiny_patch15", (224,), "'vit_tiny_patch15' is not one that timm"),
    "no such weights": ("resnet18.nobody", (64,), "resnet18.nobody"),
    "an address": ("hf-hub:timm/resnet18", (64,), "is not one that timm"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_backbone_cannot_do_is_one_sentence_before_anything_starts(
    case, textures, tmp_path, capsys, monkeypatch, plan
):
    backbone, sizes, words = REFUSED[case]
    monkeypatch.setattr("napari_semclass.retrain.subprocess.Popen", None)  # nothing may be started
    own = replace(plan, backbone=backbone, stages=tuple(Stage(size) for size in sizes))
    write_plan(own, tmp_path / "plan.toml")
    out = tmp_path / "m.safetensors"
    assert main(["train", str(textures), "--out", str(out), "--recipe", str(tmp_path / "plan.toml")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert re.search(words, line)
    with pytest.raises(SemclassError, match=words):
        train_model(textures, out, recipe=tmp_path / "plan.toml")
    with pytest.raises(SemclassError, match=words):
        fetch_weights(own, agree=lambda _: False)  # what the viewer and the notebook begin with
    assert [path.name for path in tmp_path.iterdir()] == ["plan.toml"]


def test_a_plan_without_stages_is_tried_too(plan):
    with pytest.raises(SettingsError, match="does not end in one linear classifier"):
        fetch_weights(replace(plan, backbone="deit_tiny_distilled_patch16_224", stages=()), agree=lambda _: False)


def test_positions_are_taken_to_another_size_and_what_learns_stays():
    network = build_network("test_maxvit", 3, size=64)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith("head"))
    other = network_at(network.train(), "test_maxvit", 64, 128)
    assert other is not network
    assert other.training
    assert {name for name, p in other.named_parameters() if p.requires_grad} == {
        name for name, p in network.named_parameters() if p.requires_grad
    }
    assert other(torch.zeros(1, 3, 128, 128)).shape == (1, 3)
    same = build_network("test_resnet", 3, size=64)
    assert network_at(same, "test_resnet", 64, 128) is same


def test_models_saved_before_a_size_was_built_for_are_read(tiny_card, tmp_path):
    for backbone, size in (("test_vit", 160), ("small_swin", 224), ("small_deit", 224), ("test_maxvit", 160)):
        card = replace(tiny_card, backbone=backbone, input_size=size, familiar_kept=None)
        network = timm.create_model(backbone, num_classes=3).eval()  # as 0.1.0 built it
        model = save_model(network, card, tmp_path / f"{backbone}.safetensors", half=False)
        picture = torch.rand(1, 3, size, size)
        torch.testing.assert_close(model.network(picture), network(picture), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("family", ["ViT", "DINOv3", "Swin", "BEiT", "CoAtNet", "MaxViT", "hybrid"])
def test_networks_that_see_the_whole_picture_share_no_map(family):
    backbone, _, size = FAMILIES[family]
    assert windows_of(build_network(backbone, 3, size=size)) is None


def plan_of(backbone: str, *sizes: int) -> Plan:
    """A plan of few steps at each of the sizes."""
    stages = (Stage(sizes[0], epochs=1, frozen_epochs=1, batch=24), *(Stage(size, batch=24) for size in sizes[1:]))
    return Plan(
        backbone=backbone, pretrained="none", tile=48, stride=48, stages=stages, norm="learned", ema=0.9, context=3.0,
        start_share=0.25,
    )  # fmt: skip
