"""Olympus and EMSIS (SIS, iTEM): TIFF tags 33560 and 33471, as tifffile parses them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_semclass.micrograph.metadata.formats import Format, Shape
from napari_semclass.micrograph.metadata.quantities import number, positive, sized
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean, not_read

_TAGS = (33560, 33471)


def sis_metadata(values: Mapping[int, Any], shape: Shape) -> Metadata | None:
    """Read the tags; the pixel size is in metres."""
    parsed: dict[str, Any] = {}
    for code in _TAGS:
        if isinstance(values.get(code), Mapping):
            parsed = {**values[code], **parsed}
    if not {"pixelsizex", "pixelsizey"} <= parsed.keys():
        return not_read("olympus", "Olympus SIS metadata")
    sides = [number(parsed[key]) for key in ("pixelsizey", "pixelsizex")]
    return replace(
        sized(sides, f"{parsed['pixelsizex']} m", "Olympus SIS pixel size"),
        vendor="olympus",
        detector=clean(parsed.get("cameraname")),
        magnification=positive(number(parsed.get("magnification")), 1e9),
        raw=bounded(parsed),
    )


FORMATS = (
    Format(
        vendor="olympus",
        models="Olympus / EMSIS SIS, iTEM",
        where="TIFF tags 33560, 33471",
        keys="calibration of both axes, camera, magnification",
        units="m times a power of ten",
        source="tifffile `read_sis`; hyperspy/hyperspy#2511",
        read=sis_metadata,
        tags=_TAGS,
    ),
)
