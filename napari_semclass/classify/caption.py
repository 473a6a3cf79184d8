"""The caption under an overlay: scale bar, legend with shares, and how the picture was classified."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from math import ceil, floor, isfinite, log10
from pathlib import Path

import numpy as np
from PIL import ImageDraw, ImageFont

PAPER = (245, 246, 248)  # not the white of many a data bar above it
_INK, _FAINT, _OUTLINE = (28, 30, 34), (104, 109, 117), (150, 154, 160)
_MOST_ENTRIES = 24
_LONGEST = 400  # letters that are looked at for a line
_COLUMN_WIDTHS = (18, 24)  # least and most for a column of the legend, in text sizes
_UNITS = (("nm", 1e-9), ("µm", 1e-6), ("mm", 1e-3))

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Entry:
    """One line of the legend: a category, its colour (r, g, b) and its share in [0, 1], None for none."""

    name: str
    color: tuple[int, ...]
    share: float | None


@dataclass(frozen=True)
class Caption:
    """What the caption says; `headline` sets the first entry in bold, as the answer for a whole picture."""

    entries: Sequence[Entry]
    how: str
    pixel_size: float | None
    headline: bool

    def height(self, width: int) -> int:
        """Pixels that it takes below a picture on a canvas `width` pixels wide."""
        return _Sheet.of(width, len(self.entries)).height

    def draw(self, draw: ImageDraw.ImageDraw, top: int, width: int, scale: float, picture_width: int) -> None:
        """Draw it from row `top` on; `scale` is display pixels per source pixel of the picture above."""
        sheet = _Sheet.of(width, len(self.entries))
        y = top + sheet.text
        self._draw_scale_bar(draw, y, sheet, scale, picture_width)
        y += sheet.line
        for index, entry in enumerate(self.entries[:_MOST_ENTRIES]):
            column, row = divmod(index, sheet.rows)
            face = font(sheet.text, bold=self.headline and index == 0)
            _draw_entry(draw, sheet.text + column * sheet.column_width, y + row * sheet.line, sheet, entry, face)
        y += sheet.rows * sheet.line
        small = font(round(0.85 * sheet.text))
        left_out = len(self.entries) - _MOST_ENTRIES
        how = self.how if left_out <= 0 else f"and {left_out} smaller ones · {self.how}"
        how = fitted(how, width - 2 * sheet.text, small)
        draw.text((sheet.text, y + sheet.line / 2), how, _FAINT, small, anchor="lm")

    def _draw_scale_bar(
        self, draw: ImageDraw.ImageDraw, y: int, sheet: "_Sheet", scale: float, picture_width: int
    ) -> None:
        length, label = scale_bar(self.pixel_size, picture_width / scale / 4)
        long, thick = max(1, round(length * scale)), max(3, sheet.text // 4)
        middle = y + sheet.line / 2
        draw.rectangle((sheet.text, middle - thick / 2, sheet.text + long - 1, middle + thick / 2), _INK)
        draw.text((1.6 * sheet.text + long, middle), label, _INK, font(sheet.text), anchor="lm")


@dataclass(frozen=True)
class _Sheet:
    """Sizes, in pixels; `text` is also the margin all around."""

    text: int
    line: int
    rows: int
    column_width: int

    @classmethod
    def of(cls, width: int, entries: int) -> "_Sheet":
        text = int(np.clip(width / 56, 14, 30))
        shown = min(entries, _MOST_ENTRIES)
        least, most = (size * text for size in _COLUMN_WIDTHS)
        columns = max(1, min((width - text) // least, shown))
        return cls(text, round(1.75 * text), ceil(shown / columns), min((width - text) // columns, most))

    @property
    def height(self) -> int:
        return self.line * (self.rows + 2) + round(1.6 * self.text)


def _draw_entry(draw: ImageDraw.ImageDraw, x: int, y: int, sheet: _Sheet, entry: Entry, face: Font) -> None:
    """Swatch, name and, at the end of the column, the share."""
    side = sheet.text
    top = y + (sheet.line - side) // 2
    draw.rectangle((x, top, x + side - 1, top + side - 1), entry.color, _OUTLINE)
    share = "" if entry.share is None else percent(entry.share)
    right = x + sheet.column_width - sheet.text
    share_width = face.getlength(share)
    middle = y + sheet.line / 2
    name = fitted(entry.name.replace("_", " "), right - x - 2.2 * side - share_width, face)
    draw.text((x + 1.6 * side, middle), name, _INK, face, anchor="lm")
    draw.text((right - share_width, middle), share, _INK, face, anchor="lm")


@lru_cache(maxsize=16)
def font(size: int, bold: bool = False) -> Font:
    """A sans-serif font of `size` pixels."""
    # Pillow's own font has no µ and no accents; vispy, which comes with napari, ships Open Sans.
    vispy = find_spec("vispy")
    if vispy is not None and vispy.origin is not None:
        name = "OpenSans-Bold.ttf" if bold else "OpenSans-Regular.ttf"
        path = Path(vispy.origin).parent / "util" / "fonts" / "data" / name
        if path.is_file():
            return ImageFont.truetype(str(path), size)
    return ImageFont.load_default(size)


def fitted(text: str, width: float, face: Font) -> str:
    """The text on one line, or as much of its start and end as fits `width` pixels, with an ellipsis between."""
    # Names come from strangers: Pillow cannot lay out some characters that nobody sees, and takes long over long ones.
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
    if face.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if face.getlength(short) <= width:
            return short
    return "…"


def percent(share: float) -> str:
    """A share in [0, 1] as people write it: `41 %`, `3.2 %`, `<0.1 %`."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def scale_bar(pixel_size: float | None, longest: float) -> tuple[float, str]:
    """Length in source pixels and label of a scale bar of at most `longest` source pixels (but at least 1).

    The label is 1, 2 or 5 times a power of ten in nm, µm or mm, or in px where the pixel size (metres) is unknown.
    """
    longest = max(1.0, longest)
    if pixel_size is None or not (isfinite(pixel_size) and pixel_size > 0):
        pixels = _one_two_five(longest)
        return pixels, f"{pixels:,.0f} px"
    metres = _one_two_five(longest * pixel_size)
    unit, size = next((u for u in reversed(_UNITS) if metres >= u[1] * (1 - 1e-9)), _UNITS[0])
    return metres / pixel_size, f"{metres / size:.6g} {unit}"


def _one_two_five(most: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above `most`."""
    power = 10.0 ** floor(log10(most))
    return max(step * power for step in (1, 2, 5) if step == 1 or step * power <= most)
