"""Varies a batch of tiles on its device as an SEM could have recorded them: other pose, focus, dose and settings."""

import torch
from torch import Tensor

from napari_semclass.learn.augmentation import Augmentation
from semclass_training.augment_exposure import add_noise, add_streaks, blur, change_tone
from semclass_training.augment_geometry import turn, warp

REFERENCE_SIDE = 224
"""Side of a tile in the pixels that `Augmentation` speaks of."""


class Augment:
    """Draws a variation of each tile of a batch.

    All tiles are handled at once, without a loop over them. Each effect draws from a generator of its own, seeded by
    the one given: the same seed gives the same result, and turning one effect off leaves the others as they were.

    Parameters
    ----------
    settings : Augmentation
    """

    def __init__(self, settings: Augmentation) -> None:
        self.settings = settings

    def __call__(self, tiles: Tensor, generator: torch.Generator) -> Tensor:
        """Vary the tiles.

        Parameters
        ----------
        tiles : Tensor (n, side, side)
            Grey levels in [0, 1], of any floating type and on any device; they stay as they are.
        generator : torch.Generator
            Source of chance, on any device; advanced by one draw.

        Returns
        -------
        Tensor (n, side, side)
            Grey levels in [0, 1], of the same type and on the same device.
        """
        settings, pixel = self.settings, tiles.shape[-1] / REFERENCE_SIDE
        drawn = torch.randint(2**48, (6,), generator=generator, device=generator.device).tolist()
        posed, warped, focused, charged, toned, noisy = (torch.Generator().manual_seed(seed) for seed in drawn)
        levels = tiles.float()
        if settings.dihedral:
            levels = turn(levels, posed)
        levels = warp(levels, settings, pixel, warped)
        levels = blur(levels, settings, pixel, focused)
        levels = add_streaks(levels, settings, pixel, charged)
        levels = change_tone(levels, settings, toned)
        levels = add_noise(levels, settings, pixel, noisy)
        return levels.clamp(0, 1).to(tiles.dtype)
