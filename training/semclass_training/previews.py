"""Draws what a plan's augmentation does, one picture to look at before training."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from napari_semclass.learn.augmentation import Augmentation
from napari_semclass.writing import replacing
from semclass_training.augment import Augment

_DRAWS = 5
_GAP = 6
_LABELS = 130
_SMALLEST = 112
_NONE: dict[str, Any] = {field.name: 0.0 for field in fields(Augmentation)} | {"dihedral": False}


def write_previews(tiles: Tensor, settings: Augmentation, path: Path, seed: int = 0) -> None:
    """Write a PNG with a row per effect that is on, and a last one with all of them as training draws them.

    Each row shows a tile and five variations. In the rows of single effects, an effect befalls every variation.

    Parameters
    ----------
    tiles : Tensor (n, side, side)
        Grey levels in [0, 1]; the rows take turns with them. Small tiles are shown enlarged, pixel by pixel.
    settings : Augmentation
    path : Path
        Replaced when it exists.
    seed : int

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    rows = [
        (f"{name}\n{value:g}" if name != "dihedral" else name, _only(name, value))
        for name, value in asdict(settings).items()
        if value and name != "share"
    ]
    rows.append(("all of them", settings))
    tiles = tiles.cpu().float()
    enlarged = max(1, -(-_SMALLEST // tiles.shape[-1]))
    cell = tiles.shape[-1] * enlarged + _GAP
    sheet = Image.new("L", (_LABELS + (1 + _DRAWS) * cell, len(rows) * cell + _GAP), 255)
    pen = ImageDraw.Draw(sheet)
    for number, (label, only) in enumerate(rows):
        tile = tiles[number % len(tiles)]
        drawn = Augment(only)(tile.expand(_DRAWS, -1, -1), torch.Generator().manual_seed(seed + number))
        for column, levels in enumerate([tile, *drawn]):
            place = (_LABELS + column * cell, number * cell + _GAP)
            sheet.paste(Image.fromarray(_pixels(levels, enlarged)), place)
        pen.text((_GAP, number * cell + _GAP), label, fill=0, font_size=16)
    with replacing(path) as temporary:
        sheet.save(temporary, "PNG")


def _only(name: str, value: float) -> Augmentation:
    """One effect, befalling every tile."""
    return Augmentation(**_NONE | {"share": 1.0, name: 1.0 if name == "charging" else value})


def _pixels(levels: Tensor, enlarged: int) -> NDArray[np.uint8]:
    pixels = (levels * 255).round().to(torch.uint8).numpy()
    return np.asarray(pixels.repeat(enlarged, axis=0).repeat(enlarged, axis=1), np.uint8)
