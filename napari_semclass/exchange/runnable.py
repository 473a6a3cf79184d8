"""What goes into an exported file: the network with those steps around it that other runtimes cannot know."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from napari_semclass.model import Card, Model

INPUT_NAME = "tiles"
OUTPUT_NAME = "probabilities"


class GreyClassifier(nn.Module):
    """From grey tiles to probabilities: standardising, three channels, network, temperature, softmax.

    Maps float32 (n, 1, input_size, input_size) in [0, 1] to float32 (n, categories), rows summing to 1.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = _bare(model.network)
        steps = model.card.preprocessing
        self.mean, self.std, self.temperature = steps.mean, steps.std, model.card.temperature

    def forward(self, tiles: Tensor) -> Tensor:
        """Probabilities (n, categories) of `tiles` (n, 1, input_size, input_size)."""
        batch = ((tiles - self.mean) / self.std).expand(-1, 3, -1, -1)
        return torch.softmax(self.network(batch) / self.temperature, dim=1)


class ColourClassifier(nn.Module):
    """From standardised colour tiles (n, 3, input_size, input_size) to logits: for programs that do the rest."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network, self.temperature = _bare(model.network), model.card.temperature

    def forward(self, tiles: Tensor) -> Tensor:
        """Logits (n, categories), over the card's temperature, of `tiles` (n, 3, input_size, input_size)."""
        scores: Tensor = self.network(tiles) / self.temperature
        return scores


def outside(card: Card) -> str:
    """What must be done before an exported network is given tiles, in sentences."""
    steps = card.preprocessing
    return (
        "Not in this file, to be done before: take the brightness of colour pictures; leave data bars out; "
        f"find the {steps.low_percentile:g}th and the {steps.high_percentile:g}th percentile of the specimen's grey "
        "levels, once for the whole micrograph and not for each tile; make them 0 and 1, and clip what is below and "
        f"above; cut tiles of {card.tile} x {card.tile} pixels (smaller fields are mirrored at their edges); resize "
        f"them to {card.input_size} x {card.input_size} (bilinear, antialiased). Nor does this file call anything "
        "unknown: it always answers one of its categories."
    )


def inside(card: Card) -> str:
    """What an exported `GreyClassifier` does itself, in one sentence."""
    steps = card.preprocessing
    return (
        f"In this file: (tiles - {steps.mean:g}) / {steps.std:g}, the same grey level in three channels, the network "
        f"{card.backbone}, logits over the temperature {card.temperature:g}, softmax."
    )


def boundaries(card: Card) -> dict[str, Any]:
    """Input, output and preprocessing of an exported `GreyClassifier`, for the metadata of its file."""
    size = card.input_size
    return {
        "input": f"{INPUT_NAME}: float32 (n, 1, {size}, {size}), grey levels in [0, 1]",
        "output": f"{OUTPUT_NAME}: float32 (n, {len(card.categories)}), rows sum to 1: {', '.join(card.names)}",
        "outside": outside(card),
        "inside": inside(card),
    }


def _bare(network: nn.Module) -> nn.Module:
    """A copy in the default memory layout, so that nothing of this computer's choice is exported."""
    return copy.deepcopy(network).cpu().float().to(memory_format=torch.contiguous_format).eval()
