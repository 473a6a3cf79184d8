"""PNG, JPEG and BMP: a sidecar beside them, else their resolution (EXIF, pHYs, JFIF)."""

from pathlib import Path
from typing import Any

from napari_semclass.micrograph.metadata.record import Metadata
from napari_semclass.micrograph.metadata.resolution import (
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Resolution,
    compared,
    resolution_of,
    with_reason,
)
from napari_semclass.micrograph.metadata.sidecars import sidecar_metadata

_DOTS_PER_INCH = 2


def picture_metadata(picture: Any, path: Path) -> Metadata:
    """What a picture opened by Pillow says about itself.

    Parameters
    ----------
    picture : PIL.Image.Image
    path : Path
        The file's, to look for a sidecar beside it.
    """
    width, height = picture.size
    resolution = _resolution(picture)
    found = sidecar_metadata(path, (height, width))
    if found is None:
        return with_reason(resolution.metadata() if resolution else Metadata())
    return with_reason(compared(found, resolution))


def _resolution(picture: Any) -> Resolution | None:
    exif = picture.getexif()
    found = resolution_of(
        exif.get(Y_RESOLUTION), exif.get(X_RESOLUTION), exif.get(RESOLUTION_UNIT, _DOTS_PER_INCH), "EXIF resolution"
    )
    if found:
        return found
    x, y = picture.info.get("dpi") or (None, None)  # Pillow converts PNG's pHYs and BMP's pixels per metre, too
    return resolution_of(y, x, _DOTS_PER_INCH, "picture's resolution")
