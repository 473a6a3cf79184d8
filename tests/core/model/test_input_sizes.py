"""Networks at other sizes than their own: which can be, with which weights, and what comes of the rest."""

from dataclasses import replace

import pytest
import timm
import torch

from napari_semclass.errors import ModelError, SettingsError
from napari_semclass.model import Model, build_network, load_model_file, save_model
from napari_semclass.model.folding import folded
from napari_semclass.model.input_sizes import network_at, refuse_size, refuse_sizes

SWIN = "swin_tiny_patch4_window7_224"


def answer(network, size):
    picture = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        return network.eval()(picture)


@pytest.mark.parametrize(
    "backbone", ["test_resnet", "test_vit", "test_maxvit", "test_coatnet", "beit_base_patch16_224"]
)
def test_sizes_that_can_be_are_let_pass(backbone):
    refuse_sizes(backbone, [64, 128, 224], "the plan")


@pytest.mark.parametrize(
    ("backbone", "sizes", "words"),
    [
        (
            "vit_tiny_patch16_224",
            [100, 224],
            "vit_tiny_patch16_224 cannot compute pictures of 100 px.* 96 px",
        ),
        ("vit_small_patch14_dinov2", [64, 128], "64 and 128 px; the nearest that it can: 70 and 126 px"),
        ("mixer_s32_224", [64, 128, 224], "one size only.*64, 128 and 224 px are wanted.*such as 224 px"),
        ("deit_tiny_distilled_patch16_224", [224], "does not end in one linear classifier"),
        ("crossvit_tiny_240", [240], "does not end in one linear classifier"),
        ("inception_v3", [64], "cannot compute pictures of 64 px"),
    ],
)
def test_others_are_refused_in_one_sentence(backbone, sizes, words):
    with pytest.raises(SettingsError, match=words) as caught:
        refuse_sizes(backbone, sizes, "the plan")
    assert "\n" not in str(caught.value)


def test_unknown_names_are_refused_before_any_size():
    for name in ("vit_tiny_patch15_224", "hf-hub:timm/vit_tiny_patch16_224", "", "resnet18.nobody"):
        for refuse in (lambda name: refuse_sizes(name, [64], "it"), lambda name: refuse_size(name, 64, "it")):
            with pytest.raises(ModelError, match="it: "):
                refuse(name)


@pytest.mark.parametrize("side", [0, 4, 15, 4096, 100_000])
def test_sizes_out_of_all_range_are_refused_without_memory(side):
    with pytest.raises(SettingsError, match="nearest that it can"):
        refuse_size("vit_tiny_patch16_224", side, "the import")


@pytest.mark.parametrize("backbone", ["test_vit", "test_maxvit", "test_coatnet"])
def test_weights_come_back_from_their_own_size_as_they_were(backbone):
    torch.manual_seed(1)
    network = build_network(backbone, 3, size=128)
    assert torch.equal(answer(network_at(network, backbone, 128, 128), 128), answer(network, 128))
    small = network_at(network, backbone, 128, 64)
    assert torch.isfinite(answer(small, 64)).all()
    for name, value in network.state_dict().items():
        if "relative_position" not in name and "rel_pos" not in name:
            assert torch.equal(small.state_dict()[name], value)


def test_a_swin_shifts_its_windows_above_its_own_size_as_timm_does():
    torch.manual_seed(1)
    expected = timm.create_model(SWIN, num_classes=3, img_size=448).eval()
    network = build_network(SWIN, 3, size=448)
    network.load_state_dict(expected.state_dict())
    torch.testing.assert_close(answer(network, 448), answer(expected, 448), atol=1e-4, rtol=1e-3)


def test_a_model_of_another_size_is_read_as_it_was_saved(tiny_card, tmp_path):
    # The last one has some tensors by two names.
    for backbone, size in (("test_maxvit", 96), ("test_coatnet", 64), ("test_vit", 48), ("coat_lite_tiny", 64)):
        card = replace(tiny_card, backbone=backbone, input_size=size)
        network = build_network(backbone, 3, size=size)
        model = save_model(network, card, tmp_path / f"{backbone}.safetensors", half=False)
        assert torch.equal(answer(model.network, size), answer(network, size))


def test_tensors_of_another_size_than_the_card_says_are_refused(tiny_card, tmp_path):
    card = replace(tiny_card, backbone="test_maxvit", input_size=96)
    with pytest.raises(ModelError, match="relative_position_bias_table"):
        save_model(build_network("test_maxvit", 3, size=64), card, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="relative_position_bias_table"):
        load_model_file(tmp_path / "m.safetensors")


def test_normalisations_are_folded_at_the_size_of_the_card(tiny_card):
    card = replace(tiny_card, backbone="test_maxvit", input_size=96, familiar_kept=None)
    model = Model(build_network("test_maxvit", 3, size=96), card, "")
    other = folded(model)
    assert other is not model
    torch.testing.assert_close(answer(other.network, 96), answer(model.network, 96), atol=1e-3, rtol=1e-3)
