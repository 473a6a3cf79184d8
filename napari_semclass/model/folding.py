"""Batch normalisation folded into the convolutions before it: fewer passes over memory, the same answers."""

import copy
from collections import Counter
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from napari_semclass.model.network import Model, changes

_ALIKE = 1e-3  # largest difference of their scores, over the largest score

# By network, with what its tensors were then: somebody may change them in place.
_KNOWN: "WeakKeyDictionary[nn.Module, tuple[int, nn.Module]]" = WeakKeyDictionary()


def folded(model: Model) -> Model:
    """The model for classifying many tiles: a copy without batch normalisations, or itself where there are none.

    Scores agree with the model's own to rounding; a network whose copy does not is left as it is, as is one that cannot
    compute the pictures it is tried with. Takes some tenths of a second, once for each network.
    """
    network = model.network
    state = changes(network)
    known = _KNOWN.get(network)
    if known is None or known[0] != state:
        try:
            other = _folded(network, model.card.input_size)
        except Exception:  # whatever a network raises at pictures of this size
            other = None
        # A reference to the network itself would keep it in memory for ever.
        known = (state, other if other is not None else nn.Identity())
        _KNOWN[network] = known
    return model if isinstance(known[1], nn.Identity) else replace(model, network=known[1])


def _folded(network: nn.Module, side: int) -> nn.Module | None:
    """The copy; None where nothing can be folded, or the copy answers otherwise."""
    weight = next(network.parameters())
    noise = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)).to(weight.device)
    other = copy.deepcopy(network)
    pairs = _pairs(other, noise[:1])
    if not pairs:
        return None
    for convolution, normalisation in pairs:
        _fold(other, convolution, normalisation)
    with torch.inference_mode():
        expected: Tensor = network(noise)
        off = (other(noise) - expected).abs().max() / expected.abs().max()
    return other if bool(off < _ALIKE) else None


def _pairs(network: nn.Module, pictures: Tensor) -> list[tuple[str, str]]:
    """Names of convolutions, each with that of the normalisation that is given just what it makes.

    They are found by computing pictures once. torch.fx would find them without, but while it follows a network, all
    modules of the process are changed, those that another thread computes with, too.
    """
    from timm.layers import Conv2dSame

    names = {module: name for name, module in network.named_modules()}
    made: list[tuple[nn.Module, Tensor]] = []  # tensors are kept, so that no later one is mistaken for them
    given: list[tuple[nn.Module, Tensor]] = []
    hooks = [
        *(
            module.register_forward_hook(lambda module, _, output: made.append((module, output)))
            for module in names
            if type(module) in (nn.Conv2d, Conv2dSame)  # others may change their weights
        ),
        *(
            module.register_forward_pre_hook(lambda module, inputs: given.append((module, inputs[0])))
            for module in names
            if isinstance(module, nn.BatchNorm2d)
        ),
    ]
    try:
        with torch.inference_mode():
            network(pictures)
    finally:
        for hook in hooks:
            hook.remove()
    calls = Counter(module for module, _ in (*made, *given))
    makers = {id(output): module for module, output in made}
    pairs = [(makers[id(tensor)], module) for module, tensor in given if id(tensor) in makers]
    users = Counter(maker for maker, _ in pairs)
    return [
        (names[maker], names[module]) for maker, module in pairs if calls[maker] == calls[module] == users[maker] == 1
    ]


def _fold(network: nn.Module, convolution: str, normalisation: str) -> None:
    """Let a convolution do what the normalisation after it does."""
    before, after = network.get_submodule(convolution), network.get_submodule(normalisation)
    assert isinstance(before, nn.Conv2d)  # noqa: S101 - found so
    assert isinstance(after, nn.BatchNorm2d)  # noqa: S101
    if after.running_mean is None or after.running_var is None or after.training:
        raise ValueError(normalisation)  # normalises by the batch at hand
    before.weight, bias = fuse_conv_bn_weights(
        before.weight, before.bias, after.running_mean, after.running_var, after.eps, after.weight, after.bias
    )
    before.bias = bias
    rest = [part for part in (getattr(after, "drop", None), getattr(after, "act", None)) if part is not None]
    parent, _, name = normalisation.rpartition(".")
    setattr(network.get_submodule(parent), name, nn.Sequential(*rest))
