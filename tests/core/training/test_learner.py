"""Layers that learn at rates of their own: every network is divided, also those that timm does not divide."""

import pytest
import torch

from napari_semclass.errors import SettingsError
from napari_semclass.model import build_network
from napari_semclass.model.backbone import skeleton
from napari_semclass.model.input_sizes import refuse_sizes
from semclass_training.finish import blended
from semclass_training.learner import body_of, parameter_groups


@pytest.mark.parametrize(
    "backbone",
    ["test_resnet", "test_vit", "test_maxvit", "mobilenetv3_small_050", "poolformerv2_s12", "pit_ti_224", "rdnet_tiny"],
)
def test_every_parameter_is_in_one_group_and_the_classifier_in_the_last(backbone):
    network = skeleton(backbone, ())
    groups = parameter_groups(network)
    of_all = [id(parameter) for group in groups for parameter in group]
    assert sorted(of_all) == sorted(id(parameter) for parameter in network.parameters())
    assert [id(p) for p in groups[-1]] == [id(p) for p in network.get_classifier().parameters()]
    assert len(groups) > 3  # else nothing could learn more slowly than the rest
    first = next(iter(network.parameters()))
    assert any(parameter is first for parameter in groups[0])


@pytest.mark.parametrize("backbone", ["test_vit", "poolformerv2_s12"])
def test_all_but_the_classifier_is_the_body(backbone):
    network = skeleton(backbone, ())
    head = {id(parameter) for parameter in network.get_classifier().parameters()}
    assert not head & {id(parameter) for parameter in body_of(network).parameters()}


def test_an_encoder_without_a_classifier_is_refused_in_one_sentence():
    with pytest.raises(SettingsError, match="does not end in one linear classifier"):
        refuse_sizes("gemma4_vit_167m_enc", [224], "the plan")


def test_gradients_reach_every_group():
    network = build_network("poolformerv2_s12", 2)
    torch.nn.functional.cross_entropy(network(torch.rand(2, 3, 64, 64)), torch.tensor([0, 1])).backward()
    assert all(parameter.grad is not None for group in parameter_groups(network) for parameter in group)


def test_a_tensor_with_two_names_is_blended_once():
    torch.manual_seed(0)
    network = build_network("coat_lite_tiny", 2)
    start = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    before = {name: value.clone() for name, value in network.state_dict().items()}
    blended(network, start, 0.5)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, 0.5 * before[name] if value.is_floating_point() else before[name])
