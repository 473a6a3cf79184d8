"""The band below a micrograph with voltage, working distance, magnification and a scale bar."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_semclass.samples.scene import Shape

_SCALE_NM = [n * 10**power for power in range(6) for n in (1, 2, 5)]
_POLAROID_NM = 127e6  # Magnifications are quoted for a print 127 mm wide, by old custom.


def _length(nanometres: float) -> str:
    if nanometres >= 1000:
        return f"{nanometres / 1000:g} um"  # Pillow's own font has no µ; many instruments print um, too.
    return f"{nanometres:g} nm"


def data_bar(shape: Shape, field_um: tuple[float, float], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a data bar as wide as the micrograph and 7 to 9 % of its height.

    Parameters
    ----------
    shape
        Rows and columns of the micrograph.
    field_um
        Least and greatest width of what the micrograph shows, in micrometres.
    rng
        Source of chance: dark or bright band, its height, the instrument's settings.

    Returns
    -------
    NDArray[np.uint8]
        Grey levels, shape (rows of the band, columns).
    """
    rows, columns = max(8, round(shape[0] * rng.uniform(0.07, 0.09))), shape[1]
    paper, ink = (0, 255) if rng.random() < 0.6 else (255, 0)
    band = Image.new("L", (columns, rows), paper)
    pen = ImageDraw.Draw(band)
    pixel_nm = 1000 * np.exp(rng.uniform(*np.log(field_um))) / columns
    wanted = pixel_nm * columns * 0.14
    scale = min(_SCALE_NM, key=lambda nm: abs(np.log(nm / wanted)))
    font = ImageFont.load_default(size=max(6, round(rows * 0.38)))
    margin, middle = max(2, columns // 60), rows / 2
    text = (
        f"{rng.choice([1, 2, 3, 5, 10, 15]):.2f} kV   WD {rng.uniform(2.5, 9.5):.1f} mm   "
        f"Mag {_POLAROID_NM / (pixel_nm * columns) / 1000:.3g} kX   SYNTHETIC"
    )
    pen.text((margin, middle), text, fill=ink, font=font, anchor="lm")
    long = scale / pixel_nm
    left, low = columns - margin - long, rows * 0.78
    pen.line([(left, low), (left + long, low)], fill=ink, width=max(1, rows // 18))
    for end in (left, left + long):
        pen.line([(end, low - rows * 0.12), (end, low + rows * 0.12)], fill=ink, width=max(1, rows // 24))
    pen.text((left + long / 2, rows * 0.36), _length(scale), fill=ink, font=font, anchor="mm")
    pen.line([(0, 0), (columns, 0)], fill=255 - paper if paper else 90, width=1)
    return np.array(band)
