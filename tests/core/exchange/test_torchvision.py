"""torchvision's weights: every family answers as torchvision's network does; what cannot is refused in a sentence."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from napari_semclass.cli import main
from napari_semclass.errors import ModelError
from napari_semclass.exchange import import_weights, torchvision_names
from napari_semclass.model import load_model_file

NAMES = ("fibre", "pore", "tip", "wire")
SMALL = "mobilenet_v3_small"


def trained(name, outputs=4):
    """A network of torchvision's with values that are as different as after a training, in all of its tensors."""
    torch.manual_seed(5)
    network = models.get_model(name, weights=None, num_classes=outputs)
    for key, value in network.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.005, 2)  # small ones, so that another epsilon of the normalisation shows
        elif key.endswith(("layer_scale", "class_token", "bias_table")):
            value.uniform_(0.1, 1)
        elif value.is_floating_point() and value.ndim == 1:
            value.add_(torch.randn_like(value) * 0.1)
    list(network.parameters())[-2].data.normal_(0, 0.05)  # the classifier of a vision transformer starts with zeros
    return network.eval()


def imported(state, folder, backbone=SMALL, **settings):
    torch.save(state, folder / "w.pth")
    return import_weights(
        folder / "w.pth", folder / "m.safetensors", **({"backbone": backbone, "categories": NAMES} | settings)
    )


def assert_same_answers(done, original):
    size, steps = done.model.card.input_size, done.model.card.preprocessing
    tiles = torch.rand(2, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = original(((tiles - steps.mean) / steps.std)[:, None].expand(-1, 3, -1, -1))
        found = done.model.logits(tiles)
    assert float((expected[0] - expected[1]).abs().max()) > 0
    assert float((found - expected).abs().max()) <= 1e-4 * max(1, float(expected.abs().max()))


@pytest.mark.parametrize(
    ("name", "equal", "size"),
    [
        ("resnet18", "resnet18", 64),
        ("densenet121", "densenet121", 64),
        ("convnext_tiny", "convnext_tiny", 64),
        ("efficientnet_b0", "efficientnet_b0", 97),
        ("efficientnet_v2_s", "efficientnetv2_s", 64),
        ("mobilenet_v2", "mobilenetv2_100", 65),
        ("mobilenet_v3_small", "mobilenetv3_small_100", 64),
        ("mnasnet0_5", "mnasnet_050", 64),
        ("regnet_x_400mf", "regnetx_004_tv", 64),
        ("regnet_y_400mf", "regnety_004", 64),
        ("vit_b_32", "vit_base_patch32_224", None),
        ("swin_t", "swin_tiny_patch4_window7_224", None),
        pytest.param("swin_v2_t", "swinv2_tiny_window8_256", None, marks=pytest.mark.slow),
    ],
)
def test_a_network_of_torchvision_answers_as_there(name, equal, size, tmp_path):
    original = trained(name)
    done = imported(original.state_dict(), tmp_path, name, input_size=size)
    assert (done.model.card.backbone, done.torchvision) == (equal, name)
    assert done.torchvision_difference <= 1e-4
    assert f"torchvision's {name}" in done.model.card.provenance
    # As torchvision prepares pictures: timm has 0.5 and 0.5 for some of these.
    assert (done.model.card.preprocessing.mean, done.model.card.preprocessing.std) == (0.449, 0.226)
    assert_same_answers(done, original)


@pytest.mark.slow
def test_every_equal_network_has_as_many_tensors_of_the_same_sizes():
    """Also of the large ones, which are not computed here; they come in the order in which they are paired."""
    import timm

    for name, equal in torchvision_names._EQUAL.items():
        if name == "regnet_y_128gf":  # whose widths torchvision computes where there is memory for all of it, too
            continue
        with torch.device("meta"):
            ours = timm.create_model(equal, num_classes=2)
        theirs = torchvision_names._skeleton(name, 224)
        tensors, wanted = dict(torchvision_names._learned(name, theirs.state_dict())), ours.state_dict()
        pairs = list(torchvision_names._pairs(name, theirs, ours))
        assert [tensors[a].numel() for a, _ in pairs] == [wanted[b].numel() for _, b in pairs], name


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {f"_orig_mod.{name}": value for name, value in state.items()},
        lambda state: {"state_dict": {f"model._orig_mod.{name}": value for name, value in state.items()}},
        lambda state: {"state_dict": {f"module.model.{name}": value for name, value in state.items()}},
        lambda state: {"epoch": 3, "model_state_dict": {f"net.{name}": value for name, value in state.items()}},
        lambda state: {"network": {f"network.module.{name}": value.double() for name, value in state.items()}},
        lambda state: {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")},
        lambda state: dict(reversed(state.items())),
    ],
)
def test_wrappers_of_training_scripts_change_nothing(wrap, tmp_path):
    original = trained(SMALL)
    done = imported(wrap(original.state_dict()), tmp_path, input_size=64)
    assert done.torchvision == SMALL
    assert_same_answers(done, original)


def test_safetensors_and_the_name_that_timm_has_do_as_well(tmp_path):
    original = trained("mobilenet_v2")
    save_file(original.state_dict(), tmp_path / "tv.safetensors")
    done = import_weights(
        tmp_path / "tv.safetensors",
        tmp_path / "m.safetensors",
        backbone="mobilenetv2_100",
        categories=NAMES,
        input_size=64,
    )
    assert done.torchvision == "mobilenet_v2"
    assert_same_answers(done, original)


def test_a_head_of_ones_own_is_recognised(tmp_path):
    original = trained("efficientnet_b0")
    original.classifier = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.1), nn.Linear(1280, 4)).eval()
    done = imported(original.state_dict(), tmp_path, "efficientnet_b0", input_size=64)
    assert_same_answers(done, original)
    original = trained("resnet18")
    original.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 4)).eval()
    done = imported(original.state_dict(), tmp_path, "resnet18", input_size=64, overwrite=True)
    assert_same_answers(done, original)


def test_a_head_of_several_layers_is_refused(tmp_path):
    original = trained("resnet18")
    original.fc = nn.Sequential(nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 4))
    with pytest.raises(ModelError, match=r"left over: fc\.0\.weight"):
        imported(original.state_dict(), tmp_path, "resnet18")


def test_a_first_layer_for_grey_pictures_gives_the_same_sum(tmp_path):
    original = trained(SMALL)
    state = original.state_dict()
    first = state["features.0.0.weight"]
    done = imported(state | {"features.0.0.weight": first.sum(1, keepdim=True)}, tmp_path, input_size=64)
    assert_same_answers(done, original)


def test_other_answers_than_torchvisions_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision_names, "_epsilon", lambda network, name: 0.0)
    with pytest.raises(ModelError, match="does not answer as torchvision's mobilenet_v3_small"):
        imported(trained(SMALL).state_dict(), tmp_path, input_size=64)
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize("name", ["googlenet", "squeezenet1_0", "alexnet", "shufflenet_v2_x1_0", "maxvit_t"])
def test_a_network_that_timm_has_not_is_refused_by_its_name(name, tmp_path):
    with pytest.raises(ModelError, match=f"torchvision's {name}"):
        imported({"fc.weight": torch.zeros(4, 2)}, tmp_path, name)


def test_another_number_of_outputs_is_one_sentence(tmp_path):
    with pytest.raises(ModelError, match="has 5 outputs, but 4 categories were named"):
        imported(trained(SMALL, 5).state_dict(), tmp_path)


def test_weights_of_neither_are_listed_as_before(tmp_path):
    state = trained(SMALL).state_dict()
    state["extra.weight"] = state.pop("features.0.0.weight")
    with pytest.raises(ModelError, match="does not hold the tensors of mobilenetv3_small_100 as timm builds it"):
        imported(state, tmp_path)


def test_damaged_weights_are_one_sentence(tmp_path):
    with pytest.raises(ModelError, match="NaN or infinity"):
        imported({n: v * float("nan") for n, v in trained(SMALL).state_dict().items()}, tmp_path)


def test_the_command_reports_the_comparison(tmp_path, capsys):
    torch.save(trained(SMALL).state_dict(), tmp_path / "w.pth")
    arguments = ["import", str(tmp_path / "w.pth"), "--backbone", SMALL, "--categories", ",".join(NAMES)]
    assert main([*arguments, "--input-size", "64", "--out", str(tmp_path / "m.safetensors")]) == 0
    assert "Recognised as torchvision's mobilenet_v3_small: logits differ" in capsys.readouterr().out
    assert load_model_file(tmp_path / "m.safetensors").card.input_size == 64
