"""Folding: a network without its batch normalisations gives the same answers, or is left as it is."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
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


@pytest.fixture
def frequent_switches():
    """Threads that take turns often, so that one is sure to compute in the midst of another's work."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


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
    """What it does depends on what it is shown."""

    def forward(self, batch):
        return super().forward(batch) if batch.mean() > 0 else super().forward(-batch)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(3, 3)),
        nn.Sequential(Standardised(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten()),
    ],
)
def test_what_cannot_be_folded_is_left_as_it_is(network):
    model = replace(load_model("starter"), network=network.eval(), familiar=None)
    assert folded(model) is model


def test_a_network_that_looks_before_it_computes_answers_alike_either_way():
    network = Shy(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()).eval()
    network[1].running_mean.add_(0.3)
    other = folded(replace(load_model("starter"), network=network, familiar=None)).network
    assert normalisations(other) == 0
    with torch.inference_mode():
        for batch in (torch.rand(2, 3, 8, 8), -torch.rand(2, 3, 8, 8)):
            torch.testing.assert_close(other(batch), network(batch), atol=1e-5, rtol=1e-5)


def test_convolutions_that_are_used_twice_or_by_others_keep_their_answers():
    shared = nn.Conv2d(3, 3, 3, padding=1)
    network = nn.Sequential(shared, nn.BatchNorm2d(3), shared, nn.BatchNorm2d(3), nn.Flatten()).eval()
    model = replace(load_model("starter"), network=network, familiar=None)
    assert folded(model) is model


def test_another_thread_computes_what_it_would_have_while_a_network_is_folded(frequent_switches):
    """As one that learns from marks does, while a first micrograph is classified."""
    network, batch = build_network("test_efficientnet", 3), torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        alone = network(batch)
    ended, answers = threading.Event(), []

    def compute():
        while not ended.is_set():
            with torch.inference_mode():
                answers.append(torch.equal(network(batch), alone))

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(compute)
        for _ in range(5):
            folded(replace(load_model("starter"), network=lively("test_resnet"), familiar=None))
        ended.set()
        other.result()
    assert answers
    assert all(answers)
