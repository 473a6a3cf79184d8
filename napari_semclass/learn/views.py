"""Views: what is learned from a micrograph, and the features a frozen network sees in them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_semclass.classify.grid import tile_grid, without_void
from napari_semclass.classify.whole import whole_crops
from napari_semclass.learn.head_plan import View
from napari_semclass.micrograph import GreyRange, Micrograph, shrink
from napari_semclass.model import Card
from napari_semclass.model.preprocess import network_input, square

_BATCH = 16


def view_crops(
    micrograph: Micrograph, levels: GreyRange, view: View, input_size: int, random: np.random.Generator
) -> Tensor:
    """Crops of one view (crops, input_size, input_size), float32 in [0, 1], of the micrograph's `field`.

    A view of the whole field takes the crops that classifying the whole picture takes.
    """
    if view.field == 1:
        crops = torch.from_numpy(whole_crops(micrograph, levels, input_size))
    else:
        y0, x0, y1, x1 = micrograph.field
        field = shrink(micrograph, levels, 1, (y0, y1), (x0, x1))
        side = max(1, round(view.field * min(field.shape)))
        corners = random.integers(0, np.subtract(field.shape, side) + 1, (view.crops, 2))
        crops = torch.from_numpy(np.stack([field[y : y + side, x : x + side] for y, x in corners]))
    if 0 < view.pixels < crops.shape[-1]:
        crops = _resized(crops, view.pixels)
    return _resized(crops, input_size)


def tile_crops(micrograph: Micrograph, levels: GreyRange, tile: int) -> Tensor:
    """The tiles that classifying cuts (tiles, tile, tile), float32 in [0, 1], stride = tile."""
    grid = without_void(tile_grid(micrograph.shape, tile, specimen=micrograph.specimen), micrograph.void_map)
    boxes = grid.boxes()[grid.laid].tolist()
    return torch.from_numpy(
        np.stack([square(levels.normalise(micrograph.read(y0, y1, x0, x1)), tile) for y0, x0, y1, x1 in boxes])
    )


def turned(crops: Tensor, random: np.random.Generator) -> Tensor:
    """Each square crop in one of its eight flips and right-angle turns, drawn at random."""
    choices = random.integers(0, 8, len(crops))
    return torch.stack(
        [
            torch.rot90(crop.flip(1) if choice >= 4 else crop, int(choice) % 4, (0, 1))
            for crop, choice in zip(crops, choices, strict=True)
        ]
    )


def features_of(network: nn.Module, crops: Tensor, card: Card) -> NDArray[np.float32]:
    """Features before the classifier (crops, features), float32, of normalised grey crops (crops, side, side).

    `network` is a timm network in evaluation mode with its classifier taken off (`reset_classifier(0)`).
    """
    with torch.inference_mode():
        parts = [
            network(network_input(part, card).contiguous(memory_format=torch.channels_last))
            for part in torch.split(crops, _BATCH)
        ]
    return np.asarray(torch.cat(parts).float().numpy())


def _resized(crops: Tensor, side: int) -> Tensor:
    if crops.shape[-1] == side:
        return crops
    small = nn.functional.interpolate(crops[:, None], size=(side, side), mode="bilinear", antialias=True)
    return small[:, 0]
