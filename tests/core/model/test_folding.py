"""Folding: a network without its batch normalisations gives the same answers, or is left as it is."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from napari_semclass.model import build_network, load_model
from napari_semclass.model.folding import folded


def normalisations(network):
    return sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())


def lively(backbone):
    """A network whose normalisations do something, as trained ones do."""
    network = build_network(backbone, 3)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                for tensor in (part.running_mean, part.weight, part.bias):
                    tensor.add_(0.2 * torch.rand(tensor.shape, generator=random))
                part.running_var.mul_(0.7 + torch.rand(part.running_var.shape, generator=random))
    return network


@pytest.fixture(scope="module")
def tiles():
    return torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("backbone", ["starter", "resnet18", "mobilenetv3_small_050"])
def test_the_copy_answers_alike_without_normalisations(backbone, tiles):
    model = load_model("starter")
    model = model if backbone == "starter" else replace(model, network=lively(backbone), familiar=None)
    before = normalisations(model.network)
    other = folded(model)
    assert normalisations(other.network) == 0 < before == normalisations(model.network)
    assert (other.card, other.sha256, other.familiar) == (model.card, model.sha256, model.familiar)
    with torch.inference_mode():
        for one, two in zip(model.answers(tiles), other.answers(tiles), strict=True):
            if one is not None:
                torch.testing.assert_close(two, one, atol=1e-4, rtol=1e-4)
    assert folded(model).network is other.network


def test_weights_changed_in_place_are_folded_again(tiles):
    model = replace(load_model("starter"), network=lively("resnet18"), familiar=None)
    folded(model)
    with torch.no_grad():
        model.network.bn1.weight.mul_(-3)
    with torch.inference_mode():
        torch.testing.assert_close(folded(model).logits(tiles), model.logits(tiles), atol=1e-4, rtol=1e-4)


class Standardised(nn.Conv2d):
    """Changes its weights before it uses them, so that nothing can be folded into them."""

    def forward(self, batch):
        return self._conv_forward(batch, self.weight - self.weight.mean(), self.bias)


class Shy(nn.Sequential):
    """Cannot be traced: what it does depends on what it is shown."""

    def forward(self, batch):
        return super().forward(batch) if batch.mean() > 0 else super().forward(-batch)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(3, 3)),
        nn.Sequential(Standardised(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten()),
        Shy(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()),
    ],
)
def test_what_cannot_be_folded_is_left_as_it_is(network):
    model = replace(load_model("starter"), network=network.eval(), familiar=None)
    assert folded(model) is model
