"""Predictions as a picture: the micrograph in grey under its category colours, with a caption below."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from napari_semclass.classify.caption import PAPER, Caption, Entry
from napari_semclass.classify.prediction import Prediction
from napari_semclass.classify.show import tiles_text
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import GreyRange, Micrograph, grey_range, shrink
from napari_semclass.names import text_of_path
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
    picture = np.repeat(grey[..., None], 3, axis=2) if prediction.whole else _tinted(prediction, grey, opacity)
    height, picture_width = grey.shape
    strip = Image.new("RGB", (width, caption.height(width)), PAPER)
    caption.draw(ImageDraw.Draw(strip), 0, width, scale, picture_width)
    if picture_width < width:
        picture = np.concatenate([picture, np.full((height, width - picture_width, 3), PAPER, dtype=np.uint8)], axis=1)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(_png([picture, np.asarray(strip)]))


def _png(pictures: list[NDArray[np.uint8]]) -> bytes:
    """Pictures (height, width, 3) of one width, one below the other, as a PNG packed by libdeflate.

    In a third of the time that libpng with zlib takes, and smaller; Pillow, which tries five filters on every line,
    takes ten times as long again. Source: PNG specification (third edition), 5.3 chunks, 9.2 filter type 1 (Sub).
    """
    height, width = sum(map(len, pictures)), pictures[0].shape[1]
    lines = np.empty((height, 1 + width * 3), dtype=np.uint8)
    lines[:, 0] = 1
    pixels = lines[:, 1:].reshape(height, width, 3)
    top = 0
    for picture in pictures:
        rows = pixels[top : top + len(picture)]
        rows[:, 0] = picture[:, 0]
        for channel in range(3):  # one by one: numpy is slow where the innermost axis is short
            np.subtract(picture[:, 1:, channel], picture[:, :-1, channel], out=rows[:, 1:, channel])
        top += len(picture)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB, not interlaced
    parts = ((b"IHDR", head), (b"IDAT", bytes(imagecodecs.deflate_encode(lines.tobytes(), level=1))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


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
    file = text_of_path(Path(micrograph.name).name)
    how = " · ".join(part for part in (file, model and f"model {model}", unit) if part)
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
    levels = GreyRange(*made) if made else grey_range(micrograph, 0.5, 99.5)
    return replace(levels, void=0.0)  # black where there is no data


def _scaled(micrograph: Micrograph, levels: GreyRange, scale: float) -> NDArray[np.uint8]:
    """The whole micrograph at display size, in 256 grey levels."""
    height, width = micrograph.shape
    factor = max(1, int(1 / scale))
    field = shrink(micrograph, levels, factor, (0, height))
    field *= 255
    grey = np.rint(field, out=field).astype(np.uint8)
    size = _display(width, scale), _display(height, scale)
    if grey.shape == size[::-1]:
        return grey
    # The last block of `shrink` may reach over the edge: the part resampled ends where the micrograph does.
    part = (0, 0, width / factor, height / factor)
    method = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(grey).resize(size, method, part))


def _tinted(prediction: Prediction, grey: NDArray[np.uint8], opacity: float) -> NDArray[np.uint8]:
    """A grey picture (height, width) in the colour of the cell under each display pixel's centre, (height, width, 3).

    Looked up in a table of colours by label and grey level; where there is no cell the picture stays grey.
    """
    y, x = (
        ((np.arange(shown) + 0.5) * length / shown).astype(np.int64)
        for shown, length in zip(grey.shape, prediction.grid.shape, strict=True)
    )
    cells = prediction.cells()
    colors = np.array([ImageColor.getrgb(answer.color) for answer in prediction.answers], dtype=np.float32)
    level = np.arange(256, dtype=np.float32)[:, None]
    table = np.zeros((1 + len(colors), 256, 4), dtype=np.uint8)  # of 4 bytes, to be looked up as one number
    table[0, :, :3] = level
    # Rounded apart, so that from pixel to pixel all channels change alike: a quarter smaller as PNG.
    tinted = np.rint((1 - opacity) * level) + np.rint(opacity * colors[:, None])
    table[1:, :, :3] = np.minimum(tinted, 255)
    place = cells.expand(256 * cells.labels().astype(np.intp), y, x) + grey
    found = np.take(table.view(np.uint32), place).view(np.uint8)
    return found.reshape(*grey.shape, 4)[..., :3]
