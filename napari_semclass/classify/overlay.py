"""Predictions as a picture: the micrograph in grey under its category colours, with a caption below."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from napari_semclass.classify.caption import PAPER, Caption, Entry
from napari_semclass.classify.prediction import Prediction
from napari_semclass.classify.show import tiles_text
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import GreyRange, Micrograph, grey_range, shrink
from napari_semclass.writing import replacing

LONGEST_PX = 2048
# Pictures smaller than this are enlarged by a whole number, so that their caption is not larger than they are.
_SMALL_PX = 512
_NARROWEST_CANVAS = 480
_LIKELIEST = 4  # categories named for a whole picture


def write_overlay(prediction: Prediction, micrograph: Micrograph, path: str | Path, *, opacity: float = 0.45) -> None:
    """Write the overlay as a PNG of at most 2,048 px on its long side.

    The picture begins at the upper left corner. Larger micrographs are shrunk, those under 512 px enlarged by a
    whole number; every pixel has the colour of the cell under its centre. Below it stand a scale bar, the
    categories present with their share of the classified area, and how the picture was classified. A picture
    classified as a whole is not tinted: its caption says the category and the confidence.

    Parameters
    ----------
    prediction : Prediction
    micrograph : Micrograph
        What was classified.
    path : str or Path
        Replaced when it exists.
    opacity : float
        Of the colours, in [0, 1].

    Raises
    ------
    SettingsError
        When the prediction is of a micrograph of another shape, or `opacity` is outside [0, 1].
    MicrographError, OutputError
        When pixels cannot be read or the file cannot be written.
    """
    if prediction.grid.shape != micrograph.shape:
        raise SettingsError(f"{micrograph.name}: its shape {micrograph.shape} is not that of the prediction.")
    if not 0 <= opacity <= 1:
        raise SettingsError(f"opacity {opacity:g} is outside 0 to 1.")
    micrograph = micrograph.remembering()
    caption = _caption(prediction, micrograph)
    scale, width = _layout(micrograph.shape, caption)
    grey = _scaled(micrograph, _levels(prediction, micrograph), scale)
    picture = np.repeat(np.rint(grey * 255).astype(np.uint8)[..., None], 3, axis=2)
    if not prediction.whole:
        tint, covered = _tint(prediction, grey.shape)
        tinted = (1 - opacity) * (grey * 255)[..., None] + opacity * tint.astype(np.float32)
        np.copyto(picture, np.rint(tinted).astype(np.uint8), where=covered[..., None])
    height, picture_width = grey.shape
    canvas = Image.new("RGB", (width, height + caption.height(width)), PAPER)
    canvas.paste(Image.fromarray(picture), (0, 0))
    caption.draw(ImageDraw.Draw(canvas), height, width, scale, picture_width)
    with replacing(Path(path)) as temporary:
        canvas.save(temporary, "PNG", compress_level=2)  # of noise, higher levels take four times as long for nothing


def _caption(prediction: Prediction, micrograph: Micrograph) -> Caption:
    whole = prediction.whole
    shares = prediction.mean_probabilities() if whole else prediction.area_fractions()
    # Of a whole picture shares are probabilities; "unknown" has none, and is named first where it is the answer.
    entries = [
        Entry(category.name, ImageColor.getrgb(category.color), float(share))
        for category, share in zip(prediction.categories if whole else prediction.answers, shares, strict=True)
        if share > 0
    ]
    entries.sort(key=lambda entry: -(entry.share or 0))
    if whole and prediction.rejection is not None and prediction.counts()[-1]:
        unknown = prediction.rejection.category
        entries.insert(0, Entry(unknown.name, ImageColor.getrgb(unknown.color), None))
    unit = "whole picture, share = probability" if whole else f"{tiles_text(prediction)}, share = area"
    model = (prediction.made or {}).get("model", {}).get("name", "")
    how = " · ".join(part for part in (Path(micrograph.name).name, model and f"model {model}", unit) if part)
    return Caption(entries[:_LIKELIEST] if whole else entries, how, prediction.pixel_size, headline=whole)


def _layout(shape: tuple[int, int], caption: Caption) -> tuple[float, int]:
    """Display pixels per source pixel and the canvas' width, so that picture and caption fit."""
    height, width = shape
    scale = float(max(1, _SMALL_PX // max(shape)))
    while True:  # a narrower canvas can need a higher caption, so shrinking is repeated until both fit
        canvas = max(_NARROWEST_CANVAS, _display(width, scale))
        room = LONGEST_PX - caption.height(canvas)
        if canvas <= LONGEST_PX and _display(height, scale) <= room:
            return scale, canvas
        scale = min(0.999 * scale, LONGEST_PX / width, room / height)


def _display(length: int, scale: float) -> int:
    return max(1, round(length * scale))


def _levels(prediction: Prediction, micrograph: Micrograph) -> GreyRange:
    made = (prediction.made or {}).get("grey_range")
    return GreyRange(*made) if made else grey_range(micrograph, 0.5, 99.5)


def _scaled(micrograph: Micrograph, levels: GreyRange, scale: float) -> NDArray[np.float32]:
    """The whole micrograph at display size, grey levels in [0, 1]."""
    height, width = micrograph.shape
    factor = max(1, int(1 / scale))
    field = shrink(micrograph, levels, factor, (0, height))
    size = _display(width, scale), _display(height, scale)
    if field.shape == size[::-1]:
        return field
    # The last block of `shrink` may reach over the edge: the part resampled ends where the micrograph does.
    part = (0, 0, width / factor, height / factor)
    method = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.LANCZOS
    return np.clip(np.asarray(Image.fromarray(field).resize(size, method, part), dtype=np.float32), 0, 1)


def _tint(prediction: Prediction, size: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Colour (height, width, 3) of the cell under each display pixel's centre, and where there is one."""
    y, x = (
        ((np.arange(shown) + 0.5) * length / shown).astype(np.int64)
        for shown, length in zip(size, prediction.grid.shape, strict=True)
    )
    cells = prediction.cells()
    labels = cells.expand(cells.labels(), y, x)
    colors = np.array([(0, 0, 0), *(ImageColor.getrgb(c.color) for c in prediction.answers)], dtype=np.uint8)
    return colors[labels], labels > 0
