"""The network: a timm classifier with its card, from grey tiles to probabilities."""

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_semclass.model.card import Card
from napari_semclass.model.familiar import Familiar
from napari_semclass.model.preprocess import is_blank, network_input, resized
from napari_semclass.model.show import card_html, card_text

BLANK = 2.0  # strangeness of tiles that show nothing, whatever the network makes of them


@dataclass(frozen=True, eq=False)
class Model:
    """A classifier: the network, its card, the hash of both as they stand on disk, and what it finds familiar."""

    network: nn.Module
    card: Card
    sha256: str
    familiar: Familiar | None = None

    def logits(self, tiles: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
        """Unscaled scores (n, categories), float32, of normalised grey tiles (n, height, width) in [0, 1].

        `precision` other than float32 runs the body under autocast on the tiles' device, the classifier in float32.
        """
        batch = network_input(tiles, self.card)
        if batch.device.type != "mps":  # torch documents channels_last for CPU and CUDA only
            batch = batch.contiguous(memory_format=torch.channels_last)
        if precision == torch.float32:
            scores: Tensor = self.network(batch)
            return scores.float()
        with overheard(self.network) as heard, torch.autocast(batch.device.type, dtype=precision):
            scores = self.network(batch)
        if not heard:
            return scores.float()
        classifier = self.network.get_classifier()  # type: ignore[operator]
        return nn.functional.linear(heard[-1], classifier.weight, classifier.bias)

    def probabilities(self, tiles: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
        """Probabilities (n, categories), float32, rows summing to 1; the card's temperature is applied."""
        return torch.softmax(self.logits(tiles, precision) / self.card.temperature, dim=1)

    def answers(
        self,
        tiles: Tensor,
        precision: torch.dtype = torch.float32,
        body: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Probabilities (n, categories) of tiles and, where the model can tell, their strangeness (n,).

        `body` computes the features of tiles in the network's size in place of the network; see `model.runtime`.
        """
        if body is not None:
            shares, strange = self.answers_of(body(resized(tiles, self.card)))
            return shares, None if strange is None else _with_blanks(tiles, strange)
        if self.familiar is None:
            return self.probabilities(tiles, precision), None
        with overheard(self.network) as heard:
            logits = self.logits(tiles, precision)
        strangeness = self.familiar.strangeness(torch.cat(heard), logits)
        return torch.softmax(logits / self.card.temperature, dim=1), _with_blanks(tiles, strangeness)

    def answers_of(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same of features (n, features), which the linear classifier is given; blank tiles go unnoticed."""
        classifier = self.network.get_classifier()  # type: ignore[operator]
        logits = nn.functional.linear(features, classifier.weight, classifier.bias)
        strangeness = None if self.familiar is None else self.familiar.strangeness(features, logits)
        return torch.softmax(logits / self.card.temperature, dim=1), strangeness

    def feature_map(self, grey: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
        """The network's last feature map (channels, y, x), float32, of one picture (height, width) in [0, 1].

        The picture keeps its size. Of each tile of `network_input` the average of this is what the linear classifier of
        many a network is given; see `model.windows`.
        """
        steps = self.card.preprocessing
        batch = ((grey - steps.mean) / steps.std).expand(1, 3, -1, -1)
        if batch.device.type != "mps":
            batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast(batch.device.type, dtype=precision, enabled=precision != torch.float32):
            found: Tensor = self.network.forward_features(batch)  # type: ignore[operator]
        return found[0].float()

    def on(self, device: torch.device) -> "Model":
        """The same model with its network on `device`, in the memory layout that is fastest there.

        On another device it is a copy: others may be using this one where it is.
        """
        here = next(self.network.parameters()).device.type
        network = self.network if here == device.type else copy.deepcopy(self.network).to(device)
        # Converting takes as long as a small picture, even where there is nothing to convert.
        if device.type != "mps" and not _is_channels_last(network):
            network = network.to(memory_format=torch.channels_last)
        return Model(network, self.card, self.sha256, self.familiar and self.familiar.on(device))

    def __repr__(self) -> str:
        """What it is and how good, in one line."""
        return f"<Model: {card_text(self.card)}>"

    def _repr_html_(self) -> str:
        return card_html(self.card, self.sha256)


def _with_blanks(tiles: Tensor, strangeness: Tensor) -> Tensor:
    return strangeness.masked_fill(is_blank(tiles) & (strangeness <= 1), BLANK)


def _is_channels_last(network: nn.Module) -> bool:
    kernels = (tensor for tensor in _tensors(network) if tensor.ndim == 4)
    return all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


def changes(network: nn.Module) -> int:
    """How often its tensors were changed in place: another number means another network."""
    return sum(tensor._version for tensor in _tensors(network) if not tensor.is_inference())


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """All parameters and buffers; `state_dict` takes ten times as long, a tenth of a small picture."""
    waiting = [network]
    while waiting:
        module = waiting.pop()
        waiting.extend(child for child in module._modules.values() if child is not None)
        for kind in (module._parameters, module._buffers):
            yield from (tensor for tensor in kind.values() if tensor is not None)


@contextmanager
def overheard(network: nn.Module) -> Iterator[list[Tensor]]:
    """What the network's linear classifier is given while the block runs, one float32 (tiles, features) per batch.

    Only by this thread: others may be classifying with the same network. Nothing where there is no such classifier.
    """
    heard: list[Tensor] = []
    own = threading.get_ident()

    def hear(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        if threading.get_ident() == own:
            heard.append(given[0].float())

    classifier = network.get_classifier()  # type: ignore[operator]
    if not isinstance(classifier, nn.Linear):
        yield heard
        return
    hook = classifier.register_forward_pre_hook(hear)
    try:
        yield heard
    finally:
        hook.remove()
