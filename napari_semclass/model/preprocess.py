"""Preprocessing, shared by training and classifying: grey tiles in [0, 1] become network input."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_semclass.model.card import Card

_BLANK_SIDE = 32  # looking at all pixels of a tile takes a tenth of the time of a fast network


def square(crop: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Pad a crop (height, width <= side) to (side, side) by mirroring, so that its scale is kept."""
    missing = side - crop.shape[0], side - crop.shape[1]
    if missing == (0, 0):
        return crop
    return np.pad(crop, [(n // 2, n - n // 2) for n in missing], mode="symmetric")


def is_blank(tiles: Tensor) -> Tensor:
    """Which tiles (n, height, width) of grey levels in [0, 1] show nothing, (n,): nine pixels in ten are alike.

    Saturated ones are among them. Alike is up to four of 255 grey levels from the tile's median.
    """
    step = max(2, tiles.shape[-1] // _BLANK_SIDE)
    blank = _is_even(tiles, step)
    if step > 2 and blank.any():  # a lattice may repeat itself at just that step
        blank[blank.clone()] = _is_even(tiles[blank], 2)
    return blank


def _is_even(tiles: Tensor, step: int) -> Tensor:
    """Whether nine in ten of every so many pixels are alike, (n,)."""
    some = tiles[:, ::step, ::step].flatten(1).float()
    half = some.shape[1] // 2
    # Of two pixels farther apart than this, one at least is not like the median: tells of most tiles, without it.
    apart = (some[:, :half] - some[:, half : 2 * half]).abs() > 8.001 / 255
    if bool((apart.sum(dim=1) >= 0.1 * some.shape[1]).all()):
        return torch.zeros(len(tiles), dtype=torch.bool, device=tiles.device)
    return ((some - some.median(dim=1, keepdim=True).values).abs() <= 4 / 255).float().mean(dim=1) > 0.9


def resized(tiles: Tensor, card: Card) -> Tensor:
    """Tiles (n, height, width) as (n, 1, input_size, input_size): antialiased bilinear, or as they are."""
    batch = tiles[:, None]
    size = (card.input_size, card.input_size)
    if batch.shape[-2:] == size:
        return batch
    return torch.nn.functional.interpolate(batch, size=size, mode="bilinear", antialias=True)


def network_input(tiles: Tensor, card: Card) -> Tensor:
    """Resize, standardise and repeat to three channels.

    Parameters
    ----------
    tiles : Tensor (n, height, width)
        Grey levels in [0, 1].
    card : Card
        Its `input_size` and `preprocessing` are used.

    Returns
    -------
    Tensor (n, 3, input_size, input_size)
    """
    steps = card.preprocessing
    return ((resized(tiles, card) - steps.mean) / steps.std).expand(-1, 3, -1, -1)
