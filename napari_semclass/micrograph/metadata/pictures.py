"""PNG, JPEG and BMP: what a vendor wrote into their EXIF, a sidecar beside them, else their resolution."""

from pathlib import Path
from typing import Any

from napari_semclass.micrograph.metadata.quantities import length_text, withdrawn
from napari_semclass.micrograph.metadata.record import Metadata
from napari_semclass.micrograph.metadata.resolution import (
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Resolution,
    resolution_of,
)
from napari_semclass.micrograph.metadata.sidecars import sidecar_metadata
from napari_semclass.micrograph.metadata.sources import combined, read_vendors, with_reason

_DOTS_PER_INCH = 2
_EXIF, _WIDTH, _HEIGHT = 34665, 40962, 40963  # the width and height are those of the picture when it was written


def picture_metadata(picture: Any, path: Path) -> Metadata:
    """What a picture opened by Pillow says about itself.

    Parameters
    ----------
    picture : PIL.Image.Image
    path : Path
        The file's, to look for a sidecar beside it.
    """
    width, height = picture.size
    exif = picture.getexif()
    inner = exif.get_ifd(_EXIF)
    values = {code: _bytes(value) for code, value in (*exif.items(), *inner.items())}
    of_vendors = [_unless_resized(found, inner, picture.size) for found in read_vendors(values, (height, width))]
    beside = sidecar_metadata(path, (height, width))
    resolution = _resolution(picture, exif)
    sources = (*of_vendors, *([beside] if beside else []))
    return with_reason(combined(sources, resolution.metadata() if resolution else None))


def _bytes(value: Any) -> Any:
    """The bytes of a text, which Pillow decodes as Latin-1 whatever it is; other values as they are."""
    try:
        return value.encode("latin-1") if isinstance(value, str) else value
    except UnicodeEncodeError:
        return value


def _unless_resized(found: Metadata, exif: Any, size: tuple[int, int]) -> Metadata:
    """Metadata of EXIF, without a pixel size where EXIF was written for a picture of other size than it is in."""
    written = exif.get(_WIDTH), exif.get(_HEIGHT)
    if not found.pixel_size or None in written or written == size:
        return found
    text = f"EXIF belongs to a picture of {written[0]} x {written[1]} pixels, this one has {size[0]:,} x {size[1]:,}"
    return withdrawn(found, f"{text}: the pixel size of {length_text(found.pixel_size[1])} is not used.")


def _resolution(picture: Any, exif: Any) -> Resolution | None:
    found = resolution_of(
        exif.get(Y_RESOLUTION), exif.get(X_RESOLUTION), exif.get(RESOLUTION_UNIT, _DOTS_PER_INCH), "EXIF resolution"
    )
    if found:
        return found
    x, y = picture.info.get("dpi") or (None, None)  # Pillow converts PNG's pHYs and BMP's pixels per metre, too
    return resolution_of(y, x, _DOTS_PER_INCH, "picture's resolution")
