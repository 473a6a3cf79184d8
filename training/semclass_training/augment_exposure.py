"""Augmentation of the exposure: focus and astigmatism, charging, brightness, contrast and gamma, noise."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from napari_semclass.learn.augmentation import Augmentation
from semclass_training.chance import befallen, normal, shares, signed, uniform

_STREAKS = 3
_STREAK_DEPTH = 2.0


def blur(levels: Tensor, settings: Augmentation, pixel: float, generator: torch.Generator) -> Tensor:
    """Blur some of the tiles (n, side, side): evenly (defocus), along one direction (astigmatism), or both.

    `pixel` is what a pixel of the settings is here. The kernel is a Gaussian, cut off at three standard deviations.
    """
    count = len(levels)
    even, along = befallen(2, count, settings.share, generator) * shares(2, count, generator)
    angle = math.pi * shares(1, count, generator)[0]
    even, along = even * settings.defocus * pixel, along * settings.astigmatism * pixel
    chosen = (even + along).nonzero()[:, 0]
    if not len(chosen):
        return levels
    widest = math.hypot(settings.defocus, settings.astigmatism)
    kernels = _kernels(even[chosen], along[chosen], angle[chosen], pixel * widest)
    chosen = chosen.to(levels.device)
    reach = kernels.shape[-1] // 2
    padded = functional.pad(levels[None, chosen], (reach,) * 4, mode="reflect")
    # One group per tile: each is convolved with its own kernel.
    blurred = functional.conv2d(padded, kernels[:, None].to(levels.device), groups=len(chosen))[0]
    return levels.index_copy(0, chosen, blurred)


def _kernels(even: Tensor, along: Tensor, angle: Tensor, widest: float) -> Tensor:
    """Gaussians (n, width, width) with sum 1 and covariance even² I + along² vvᵀ, v in the direction of `angle`."""
    reach = max(1, math.ceil(3 * widest))
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    down, right = offsets[:, None], offsets[None, :]
    cosine, sine = (part[:, None, None] for part in (angle.cos(), angle.sin()))
    # Less than a tenth of a pixel cannot be told from no blur and would divide by zero.
    narrow = even.clamp(min=0.1)[:, None, None]
    wide = torch.hypot(narrow, along[:, None, None])
    lengthwise, across = right * cosine + down * sine, down * cosine - right * sine
    kernels = torch.exp(-0.5 * ((lengthwise / wide) ** 2 + (across / narrow) ** 2))
    return kernels / kernels.sum(dim=(1, 2), keepdim=True)


def add_streaks(levels: Tensor, settings: Augmentation, pixel: float, generator: torch.Generator) -> Tensor:
    """Let bright spots of some of the tiles (n, side, side) charge: streaks that fade along the scan, to the right."""
    count, side = levels.shape[:2]
    sign = signed(1, count, generator)[0]
    chosen = befallen(1, count, settings.charging, generator)[0].nonzero()[:, 0]
    numbers = uniform((4, count, _STREAKS), levels.device, generator)
    if not len(chosen):
        return levels
    device = levels.device
    chosen, sign = chosen.to(device), sign[chosen].sign().to(device)
    # As deep as the tile's own contrast allows: what charges in a flat tile does not tear it apart.
    strongest = sign * _STREAK_DEPTH * levels[chosen].std(dim=(1, 2)).clamp(max=0.25)
    begin, row = _bright_spots(levels[chosen], numbers[0, chosen])
    depth, height, length = numbers[1:, chosen]
    places = torch.arange(side, device=device, dtype=torch.float32)
    behind = places - begin[..., None]
    fading = torch.exp(-behind.clamp(min=0) / (side * (0.1 + 0.6 * length))[..., None])
    # The onset is as gradual as the spot is wide: a sharp left end would look drawn.
    tails = fading * torch.sigmoid(behind / (2 * pixel))
    thickness = (0.6 + 2 * height) * max(pixel, 0.3)
    bands = torch.exp(-0.5 * ((places - row[..., None]) / thickness[..., None]) ** 2)
    bands = bands * ((0.3 + 0.7 * depth) * strongest[:, None])[..., None]
    return levels.index_add(0, chosen, bands.transpose(1, 2) @ tails)


def _bright_spots(levels: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and rows (n, streaks) of spots drawn among the brightest; `numbers` (n, streaks) are in [0, 1)."""
    side = levels.shape[-1]
    cell = max(1, side // 28)
    coarse = functional.avg_pool2d(levels[:, None], cell)[:, 0]
    across = coarse.shape[-1]
    brightest = coarse.flatten(1).topk(max(_STREAKS, across * across // 40), dim=1).indices
    spots = brightest.gather(1, (numbers * brightest.shape[1]).long())
    return (spots % across + 0.5) * cell, (spots // across + 0.5) * cell


def change_tone(levels: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Change gamma, contrast about the mean, and brightness, each in some of the tiles (n, side, side)."""
    count = len(levels)
    gamma, contrast, brightness = befallen(3, count, settings.share, generator) * signed(3, count, generator)
    gamma, contrast = (1 + settings.gamma) ** gamma, (1 + settings.contrast) ** contrast
    bent = (gamma != 1).nonzero()[:, 0].to(levels.device)
    if len(bent):
        exponents = gamma.to(levels.device)[bent, None, None]
        # Bicubic resampling and streaks may have left [0, 1], where powers are not defined.
        levels = levels.index_copy(0, bent, levels[bent].clamp(0, 1) ** exponents)
    if settings.contrast or settings.brightness:
        contrast = contrast.to(levels.device)[:, None, None]
        brightness = (settings.brightness * brightness).to(levels.device)[:, None, None]
        mean = levels.mean(dim=(1, 2), keepdim=True)
        levels = levels * contrast + (mean * (1 - contrast) + brightness)
    return levels


def add_noise(levels: Tensor, settings: Augmentation, pixel: float, generator: torch.Generator) -> Tensor:
    """Add shot noise and amplifier noise to some of the tiles (n, side, side).

    Shot noise is the normal approximation of Poisson's distribution, its variance proportional to the grey level:
    with the tens of electrons per pixel that a plan may ask for, the two cannot be told apart. Both are one draw.
    """
    count = len(levels)
    shot, steady = befallen(2, count, settings.share, generator) * shares(2, count, generator)
    # Averaging pixels, as shrinking a tile does, takes noise away; enlarging one gives it none.
    shrinking = min(1.0, pixel) ** 2
    shot, steady = shot * settings.poisson * shrinking, (steady * settings.gaussian) ** 2 * shrinking
    chosen = (shot + steady).nonzero()[:, 0]
    if not len(chosen):
        return levels
    shot, steady = (variance[chosen, None, None].to(levels.device) for variance in (shot, steady))
    chosen = chosen.to(levels.device)
    clean = levels[chosen]
    noise = normal(tuple(clean.shape), levels.device, generator)
    return levels.index_copy(0, chosen, clean + noise * (clean.clamp(0, 1) * shot + steady).sqrt())
