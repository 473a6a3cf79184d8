"""Batches for fastai's Learner: tiles that are in memory already, drawn, varied and standardised in one go."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_semclass.model import Card
from napari_semclass.model.preprocess import network_input
from semclass_training.augment import Augment

_RESIZED_AT_ONCE = 256


@dataclass(frozen=True)
class Share:
    """A process among those that train together: every batch is divided among them."""

    rank: int = 0
    processes: int = 1


def this_share() -> Share:
    """Tell which this process is among those that `accelerate launch` or torchrun started."""
    return Share(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


class TileLoader:
    """An iterable over batches `(network input (n, 3, size, size), labels (n,))`, as fastai's DataLoaders take it.

    What an epoch draws, and how each of its batches is varied, follows from `seed`, the epoch and the batch alone, so
    that a run can go on in the middle of an epoch as if it had never stopped.

    Parameters
    ----------
    tiles : Tensor (tiles, size, size), uint8
    labels : Tensor (tiles,), int64
    card : Card
        Its preprocessing, and its input size, which is `size`.
    batch : int
    device : torch.device
    augment : Augment or None
        With None, batches come in order and as they are; with it, drawn and varied.
    weights : array (tiles,) or None
        Chance of each tile to be drawn; None draws each once an epoch.
    seed : sequence of int
    share : Share
    """

    def __init__(
        self,
        tiles: Tensor,
        labels: Tensor,
        card: Card,
        batch: int,
        device: torch.device,
        *,
        augment: Augment | None = None,
        weights: NDArray[np.float64] | None = None,
        seed: tuple[int, ...] = (0,),
        share: Share | None = None,
    ) -> None:
        self.dataset = self.tiles = tiles
        self.labels = labels
        self.card = card
        self.bs = batch
        self.device = device
        self.augment = augment
        self.weights = weights
        self.seed = seed
        self.share = share or Share()
        self.epoch = 0
        self.skip = 0

    @property
    def n(self) -> int:
        """Tiles per epoch."""
        return len(self.tiles)

    def __len__(self) -> int:
        if self.augment is None:
            return -(-self.n // self.bs)
        return max(1, self.n // self.bs)  # BatchNorm and the schedule like full batches

    def begin(self, epoch: int, skip: int = 0) -> None:
        """Set the epoch that the next iteration draws, and how many of its batches to leave out."""
        self.epoch, self.skip = epoch, skip

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = self._order()
        for number in range(self.skip, len(self)):
            chosen = order[number * self.bs : (number + 1) * self.bs][self._own]
            levels = self.tiles[chosen].to(self.device, non_blocking=True).float() / 255
            if self.augment is not None:
                mixed = np.random.SeedSequence([*self.seed, self.epoch, number, self.share.rank]).generate_state(1)
                levels = self.augment(levels, torch.Generator().manual_seed(int(mixed[0])))
            yield self._input(levels), self.labels[chosen].to(self.device, non_blocking=True)

    @property
    def _own(self) -> slice:
        drawn = self.augment is not None  # validation is done by every process, as all need its outcome
        return slice(self.share.rank, None, self.share.processes) if drawn else slice(None)

    def _order(self) -> Tensor:
        if self.augment is None:
            return torch.arange(self.n)
        random = np.random.default_rng([*self.seed, self.epoch])
        if self.weights is None:
            return torch.from_numpy(random.permutation(self.n))
        drawn = random.choice(self.n, len(self) * self.bs, p=self.weights / self.weights.sum())
        return torch.from_numpy(drawn)

    def _input(self, levels: Tensor) -> Tensor:
        batch = network_input(levels, self.card)
        if self.device.type == "mps":  # torch documents channels_last for CPU and CUDA only
            return batch.contiguous()
        return batch.contiguous(memory_format=torch.channels_last)


def resized(pixels: NDArray[np.uint8], size: int) -> Tensor:
    """Tiles (n, side, side) at another size, (n, size, size) uint8: the same area, antialiased."""
    tiles = torch.from_numpy(np.ascontiguousarray(pixels))
    if tiles.shape[-1] == size:
        return tiles
    small = torch.empty(len(tiles), size, size, dtype=torch.uint8)
    for begin in range(0, len(tiles), _RESIZED_AT_ONCE):
        part = tiles[begin : begin + _RESIZED_AT_ONCE, None].float()
        levels = torch.nn.functional.interpolate(part, size=(size, size), mode="bilinear", antialias=True)
        small[begin : begin + _RESIZED_AT_ONCE] = levels[:, 0].round().clamp(0, 255).to(torch.uint8)
    return small


def even_weights(labels: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights (tiles,) that draw every category equally often, and within it every owner (group or picture).

    Owners count by the square root of their tiles: one with many shows more, but must not drown the others.
    """
    weights = np.ones(len(labels))
    for label in np.unique(labels):
        ours = labels == label
        _, owner, counts = np.unique(owners[ours], return_inverse=True, return_counts=True)
        part = counts[owner] ** -0.5
        weights[ours] = part / part.sum()
    return weights
