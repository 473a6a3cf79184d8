"""Augmentation of the pose: quarter turns and mirrors, then rotation, zoom, shift and line jitter in one resampling."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from napari_semclass.learn.augmentation import Augmentation
from semclass_training.chance import befallen, normal, shares, signed


def turn(levels: Tensor, generator: torch.Generator) -> Tensor:
    """Put each tile (n, side, side) into one of its eight poses, pixel by pixel."""
    poses = (8 * shares(1, len(levels), generator)[0]).long()
    turned = torch.empty_like(levels)
    for pose in range(8):
        chosen = (poses == pose).nonzero()[:, 0].to(levels.device)
        posed = torch.rot90(levels[chosen], pose % 4, (1, 2))
        turned[chosen] = posed.flip(2) if pose >= 4 else posed
    return turned


def warp(levels: Tensor, settings: Augmentation, pixel: float, generator: torch.Generator) -> Tensor:
    """Rotate, zoom, shift and shake the tiles; what comes in from outside is their mirror image.

    The jitter belongs to the scan, so the lines of the result are shaken, not those of the rotated specimen. Bicubic,
    because bilinear resampling leaves 0.67 of the standard deviation of pixel noise, bicubic 0.86, and training should
    not know smooth tiles only.

    Parameters
    ----------
    levels : Tensor (n, side, side)
    settings : Augmentation
    pixel : float
        What a pixel of the settings is here.
    generator : torch.Generator

    Returns
    -------
    Tensor (n, side, side)
        May overshoot [0, 1] a little.
    """
    count, side = levels.shape[:2]
    moving = bool(settings.rotation or settings.scale or settings.translation)
    angle, zoom, right, down = signed(4, count, generator)
    shaken = befallen(1, count, settings.share, generator)[0] * bool(settings.scan_lines)
    strength = shaken * shares(1, count, generator)[0] * settings.scan_lines * pixel
    chosen = torch.arange(count) if moving else shaken.nonzero()[:, 0]
    if not len(chosen):
        return levels
    chosen = chosen.to(levels.device)
    factor = (1 + settings.scale) ** -zoom
    cosine = factor * torch.cos(angle * math.radians(settings.rotation))
    sine = factor * torch.sin(angle * math.radians(settings.rotation))
    shift = 2 * settings.translation
    numbers = torch.stack([cosine, sine, right * shift, down * shift]).to(levels.device)
    jitter = torch.zeros(count, side, device=levels.device)
    if settings.scan_lines:
        jitter = normal((count, side), levels.device, generator) * strength.to(levels.device)[:, None] * (2 / side)
    grid = _grid(numbers[:, chosen, None], jitter[chosen])
    moved = functional.grid_sample(
        levels[chosen, None], grid, mode="bicubic", padding_mode="reflection", align_corners=False
    )
    return levels.index_copy(0, chosen, moved[:, 0])


def _grid(pose: Tensor, jitter: Tensor) -> Tensor:
    """Where the pixels of the result (n, side, side, 2: right, down) lie in the tile, whose edges are at -1 and 1.

    `pose` (4, n, 1) are cosine and sine of the rotation times the zoom, then the shift to the right and down; `jitter`
    (n, side) moves each line of the result along itself. `affine_grid` of torch takes ten times as long.
    """
    cosine, sine, right, down = pose
    count, side = jitter.shape
    places = (torch.arange(side, device=jitter.device) * 2 + 1) / side - 1
    grid = torch.empty(count, side, side, 2, device=jitter.device)
    lines = cosine * jitter - sine * places + right, sine * jitter + cosine * places + down
    torch.add((cosine * places)[:, None, :], lines[0][:, :, None], out=grid[..., 0])
    torch.add((sine * places)[:, None, :], lines[1][:, :, None], out=grid[..., 1])
    return grid
