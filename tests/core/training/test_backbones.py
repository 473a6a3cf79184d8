"""Every family of timm's networks: a step of training at each stage's size, saved, loaded, classified with, exported."""

import sys
from dataclasses import replace
from importlib.util import find_spec

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
from napari_semclass.model import build_network, load_model_file, save_model
from napari_semclass.model.backbone import network_at, refuse_sizes
from napari_semclass.model.windows import windows_of
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
    assert export_model(model, tmp_path / "m.pt2", "torch").difference < 1e-3


def plan_of(backbone: str, *sizes: int) -> Plan:
    """A plan of few steps at each of the sizes."""
    stages = (Stage(sizes[0], epochs=1, frozen_epochs=1, batch=24), *(Stage(size, batch=24) for size in sizes[1:]))
    return Plan(
        backbone=backbone, pretrained="none", tile=48, stride=48, stages=stages, norm="learned", ema=0.9, context=3.0,
        start_share=0.25,
    )  # fmt: skip
