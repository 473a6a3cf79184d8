"""The network: a timm classifier with its card, from grey tiles to probabilities."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_semclass.errors import ModelError, brief
from napari_semclass.model.card import Card
from napari_semclass.model.preprocess import network_input
from napari_semclass.model.show import card_html, card_text


@dataclass(frozen=True, eq=False)
class Model:
    """A classifier: the network, its card, and the hash of both as they stand on disk."""

    network: nn.Module
    card: Card
    sha256: str

    def logits(self, tiles: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
        """Unscaled scores (n, categories), float32, of normalised grey tiles (n, height, width) in [0, 1].

        `precision` other than float32 runs the body under autocast on the tiles' device.
        """
        batch = network_input(tiles, self.card)
        if batch.device.type != "mps":  # torch documents channels_last for CPU and CUDA only
            batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast(batch.device.type, dtype=precision, enabled=precision != torch.float32):
            scores: Tensor = self.network(batch)
        return scores.float()

    def probabilities(self, tiles: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
        """Probabilities (n, categories), float32, rows summing to 1; the card's temperature is applied."""
        return torch.softmax(self.logits(tiles, precision) / self.card.temperature, dim=1)

    def on(self, device: torch.device) -> "Model":
        """The same model with its network on `device`, in the memory layout that is fastest there.

        On another device it is a copy: others may be using this one where it is.
        """
        here = next(self.network.parameters()).device.type
        network = self.network if here == device.type else copy.deepcopy(self.network).to(device)
        if device.type != "mps":
            network = network.to(memory_format=torch.channels_last)
        return Model(network, self.card, self.sha256)

    def __repr__(self) -> str:
        """What it is and how good, in one line."""
        return f"<Model: {card_text(self.card)}>"

    def _repr_html_(self) -> str:
        return card_html(self.card)


def build_network(backbone: str, categories: int, source: str = "the card") -> nn.Module:
    """A timm network with random weights, in evaluation mode.

    Raises
    ------
    ModelError
        When timm does not know the backbone.
    """
    import timm

    if not timm.is_model(backbone):  # also keeps timm from reading `hf-hub:` names as an order to download
        raise ModelError(f"{source}: the backbone {backbone!r} is not one that timm {timm.__version__} knows.")
    try:
        network: nn.Module = timm.create_model(backbone, pretrained=False, num_classes=categories)
    except (RuntimeError, TypeError, ValueError) as error:  # a known name with an unknown tag, among others
        raise ModelError(f"{source}: timm cannot build the backbone {backbone!r} ({brief(error)}).") from error
    return network.eval()
