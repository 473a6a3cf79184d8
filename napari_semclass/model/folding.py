"""Batch normalisation folded into the convolutions before it: fewer passes over memory, the same answers."""

import copy
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from napari_semclass.model.network import Model, changes

_ALIKE = 1e-3  # largest difference of their scores, over the largest score

# By network, with what its tensors were then: somebody may change them in place.
_KNOWN: "WeakKeyDictionary[nn.Module, tuple[int, nn.Module]]" = WeakKeyDictionary()


class _Tracer(fx.Tracer):
    """Keeps convolutions and normalisations whole, those that timm pads or joins with an activation, too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv2d | nn.BatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def folded(model: Model) -> Model:
    """The model for classifying many tiles: a copy without batch normalisations, or itself where there are none.

    Scores agree with the model's own to rounding; a network whose copy does not is left as it is, as is one that cannot
    be followed. Takes some tenths of a second, once for each network.
    """
    network = model.network
    state = changes(network)
    known = _KNOWN.get(network)
    if known is None or known[0] != state:
        try:
            other = _folded(network, model.card.input_size)
        except Exception:  # tracing raises whatever it likes at what a network does
            other = None
        # A reference to the network itself would keep it in memory for ever.
        known = (state, other if other is not None else nn.Identity())
        _KNOWN[network] = known
    return model if isinstance(known[1], nn.Identity) else replace(model, network=known[1])


def _folded(network: nn.Module, side: int) -> nn.Module | None:
    """The copy; None where nothing can be folded, or the copy answers otherwise."""
    from timm.layers import Conv2dSame

    graph = _Tracer().trace(network)
    modules = dict(network.named_modules())
    pairs = [
        (str(node.args[0].target), str(node.target))
        for node in graph.nodes
        if node.op == "call_module"
        and isinstance(modules[str(node.target)], nn.BatchNorm2d)
        and isinstance(node.args[0], fx.Node)
        and node.args[0].op == "call_module"
        and type(modules[str(node.args[0].target)]) in (nn.Conv2d, Conv2dSame)  # others may change their weights
        and len(node.args[0].users) == 1
    ]
    if not pairs:
        return None
    other = copy.deepcopy(network)
    for convolution, normalisation in pairs:
        _fold(other, convolution, normalisation)
    weight = next(network.parameters())
    noise = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)).to(weight.device)
    with torch.inference_mode():
        expected: Tensor = network(noise)
        off = (other(noise) - expected).abs().max() / expected.abs().max()
    return other if bool(off < _ALIKE) else None


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
