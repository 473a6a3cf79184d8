"""Which way up a picture is: TIFF's and EXIF's tag Orientation, applied to pixels and to what belongs to rows."""

from dataclasses import replace
from typing import Any

from napari_semclass.micrograph.metadata import Metadata

TAG = 274
_TURNED = {
    1: "",
    2: "mirrored left to right",
    3: "turned by 180 degrees",
    4: "mirrored top to bottom",
    5: "mirrored along its diagonal",
    6: "turned by 90 degrees clockwise",
    7: "mirrored along its other diagonal",
    8: "turned by 90 degrees counterclockwise",
}


def known(value: Any) -> int:
    """An orientation from 1 to 8; 1, upright, for anything else."""
    return value if isinstance(value, int) and value in _TURNED else 1


def described(orientation: int) -> str:
    """What to say of a picture that is turned as its file says; empty for an upright one."""
    turned = _TURNED[orientation]
    return f"{turned}, as the file says (orientation {orientation})" if turned else ""


def upright_shape(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Height and width of the picture once it is upright."""
    return (width, height) if orientation > 4 else (height, width)


def upright(pixels: Any, orientation: int, y_axis: int) -> Any:
    """The array (numpy or dask) with rows along `y_axis` and columns along the next axis made upright."""
    if orientation > 4:
        order = list(range(pixels.ndim))
        order[y_axis], order[y_axis + 1] = order[y_axis + 1], order[y_axis]
        pixels = pixels.transpose(order)
    # After rows and columns have changed places: which of them run backwards.
    rows, columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    before = (slice(None),) * y_axis
    return pixels[(*before, slice(None, None, -1 if rows else None), slice(None, None, -1 if columns else None))]


def upright_metadata(metadata: Metadata, height: int, orientation: int) -> Metadata:
    """The metadata of a picture of so many stored rows once it is upright."""
    bar = metadata.data_bar
    if orientation > 4:
        size = metadata.pixel_size
        lost = (
            ("The data bar is known to be at a side of the turned picture, where it is not left out.",) if bar else ()
        )
        return replace(
            metadata,
            pixel_size=size and (size[1], size[0]),
            data_bar=None,
            warnings=(*metadata.warnings, *lost),
        )
    if bar and orientation in (3, 4):
        bar = height - bar[1], height - bar[0]
    return replace(metadata, data_bar=bar)
