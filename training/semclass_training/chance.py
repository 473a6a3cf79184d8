"""How augmentation draws: few numbers per tile on the CPU, noise per pixel on the device of the tiles."""

import torch
from torch import Tensor


def shares(kinds: int, tiles: int, generator: torch.Generator) -> Tensor:
    """Uniform numbers in [0, 1), shape (kinds, tiles), on the CPU."""
    return torch.rand(kinds, tiles, generator=generator)


def signed(kinds: int, tiles: int, generator: torch.Generator) -> Tensor:
    """Uniform numbers in [-1, 1), shape (kinds, tiles), on the CPU."""
    return shares(kinds, tiles, generator) * 2 - 1


def befallen(kinds: int, tiles: int, share: float, generator: torch.Generator) -> Tensor:
    """Shape (kinds, tiles), on the CPU: 1 with probability `share`, else 0."""
    return (shares(kinds, tiles, generator) < share).float()


def normal(shape: tuple[int, ...], device: torch.device, generator: torch.Generator) -> Tensor:
    """Standard normal numbers, drawn on `device` from a generator there that `generator` seeds."""
    return torch.randn(shape, device=device, generator=_there(device, generator))


def uniform(shape: tuple[int, ...], device: torch.device, generator: torch.Generator) -> Tensor:
    """Uniform numbers in [0, 1), drawn on `device` from a generator there that `generator` seeds."""
    return torch.rand(shape, device=device, generator=_there(device, generator))


def _there(device: torch.device, generator: torch.Generator) -> torch.Generator:
    seed = int(torch.randint(2**48, (), generator=generator))
    return torch.Generator(device).manual_seed(seed)
