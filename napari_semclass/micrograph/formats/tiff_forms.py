"""What the numbers in a TIFF stand for, from its tags."""

from pathlib import Path
from typing import Any

import numpy as np

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph.formats.forms import (
    Form,
    colours_of_inks,
    colours_of_luma,
    lightness,
    looked_up,
    palette_levels,
    reversed_levels,
)
from napari_semclass.micrograph.formats.image import joined

_OPACITIES = (1, 2)  # of ExtraSamples: associated and unassociated alpha
_INK_SET = 332
_CMYK = 1
_LIGHTNESS = "the lightness (L*) of its CIELab colours is used"


def form_of(page: Any, path: Path, *, has_samples: bool) -> Form:
    """The form of a page's pixels.

    Parameters
    ----------
    page : tifffile.TiffPage
    path : Path
        For messages.
    has_samples : bool
        Whether an axis holds the samples of a pixel; else each plane holds one.

    Raises
    ------
    MicrographError
        When its numbers are no grey levels or colours that are known here.
    """
    count = int(page.samplesperpixel) if has_samples else 1
    change, colours, rgb, note = _colour(page, path, count)
    if count < colours:
        raise MicrographError(f"{path}: is damaged (it has {count} of {colours} samples per pixel).")
    kinds = [int(kind) for kind in page.extrasamples][: count - colours]
    opacity = next((colours + i for i, kind in enumerate(kinds) if kind in _OPACITIES), None)
    left = count - colours - (opacity is not None)
    dropped = f"{left} more samples of each pixel, of unspecified meaning, are not used" if left > 0 else ""
    return Form(change, colours, opacity, rgb, joined((note, dropped)))


def _colour(page: Any, path: Path, count: int) -> tuple[Any, int, bool, str]:
    """How to change the colour samples, how many there are, whether colours come out, and a note."""
    from tifffile import PHOTOMETRIC

    kind = int(page.photometric)
    if kind == PHOTOMETRIC.MINISWHITE:
        return reversed_levels(_bits(page)), 1, False, ""
    if kind == PHOTOMETRIC.RGB:
        return None, 3 if count >= 3 else 1, count >= 3, ""
    if kind == PHOTOMETRIC.PALETTE and page.colormap is not None:
        levels = palette_levels(np.asarray(page.colormap).T)
        return looked_up(levels), 1, levels.ndim == 2, ""
    if kind == PHOTOMETRIC.SEPARATED:
        if count < 4 or page.tags.valueof(_INK_SET, _CMYK) != _CMYK:
            raise MicrographError(f"{path}: holds {count} inks that are not CMYK; convert it to grey or RGB.")
        return colours_of_inks, 4, True, ""
    if kind == PHOTOMETRIC.YCBCR:
        decoded = int(page.compression) in (6, 7, 34892, 33007, 33003, 33005, 34712, 50001)  # by the codec, to RGB
        return None if decoded else colours_of_luma, 3, True, ""
    if kind in (PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB, PHOTOMETRIC.ITULAB):
        return lightness, 3, False, _LIGHTNESS
    if kind in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.LINEAR_RAW, PHOTOMETRIC.PALETTE):
        return None, 1, False, "its palette is missing: its numbers are used" if kind == PHOTOMETRIC.PALETTE else ""
    name = PHOTOMETRIC(kind).name if kind in list(PHOTOMETRIC) else str(kind)
    raise MicrographError(f"{path}: holds pixels of the kind {name}, not grey levels or colours; convert it to grey.")


def _bits(page: Any) -> int:
    bits = page.bitspersample
    return int(bits if isinstance(bits, int) else bits[0])
