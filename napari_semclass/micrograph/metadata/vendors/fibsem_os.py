"""FIBSEM-OS (OpenFIBSEM, AutoLiftout): JSON in the TIFF's ImageDescription, lengths in metres."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_semclass.micrograph.metadata.formats import IMAGE_DESCRIPTION, Format, Shape
from napari_semclass.micrograph.metadata.quantities import agree, length_text, number, sized, withdrawn
from napari_semclass.micrograph.metadata.record import Metadata, bounded, not_read
from napari_semclass.micrograph.metadata.text import decoded

_MOST_TEXT = 1_000_000  # characters; they are a few thousand


def fibsem_metadata(described: Mapping[str, Any], shape: Shape) -> Metadata | None:
    """Read what the JSON holds; None when it is another program's."""
    image = described.get("image")
    if not isinstance(image, Mapping) or not image.keys() & {"beam_type", "hfw"}:
        return None
    size = described.get("pixel_size")
    sides = [number(size.get(axis)) if isinstance(size, Mapping) else None for axis in "yx"]
    scan = image.get("resolution")
    columns, rows = (
        (number(side) for side in scan) if isinstance(scan, list | tuple) and len(scan) == 2 else (None,) * 2
    )
    width = number(image.get("hfw"))
    field = width / columns if width and columns and columns > 0 else None
    if any(sides):
        found = sized(sides, f"{sides[1]} m", "FIBSEM-OS pixel_size")
    elif field:
        found = sized((field, field), f"{field} m", "FIBSEM-OS hfw over resolution")
    else:
        found = not_read("fibsem-os", "FIBSEM-OS metadata without pixel_size or hfw")
    found = replace(found, vendor="fibsem-os", raw=bounded(described))
    if found.pixel_size is None:
        return found
    if columns is not None and rows is not None and (rows, columns) != shape:
        text = f"FIBSEM-OS metadata belong to a picture of {columns:g} x {rows:g} pixels, this one has "
        return withdrawn(found, f"{text}{shape[1]:,} x {shape[0]:,}: its pixel size is not used.")
    if field and not agree(field, found.pixel_size[1]):
        text = f"FIBSEM-OS pixel_size gives {length_text(found.pixel_size[1])} per pixel, hfw over resolution "
        return withdrawn(found, f"{text}{length_text(field)}; neither is used.")
    return found


def _read(values: Mapping[int, Any], shape: Shape) -> Metadata | None:
    text = decoded(values[IMAGE_DESCRIPTION]).strip()
    if not text.startswith("{") or len(text) > _MOST_TEXT:
        return None
    try:
        described = json.loads(text)
    except (ValueError, RecursionError):
        return not_read("fibsem-os", "damaged FIBSEM-OS metadata") if '"beam_type"' in text else None
    return fibsem_metadata(described, shape) if isinstance(described, dict) else None


FORMATS = (
    Format(
        vendor="fibsem-os",
        models="FIBSEM-OS / OpenFIBSEM",
        where="TIFF ImageDescription: JSON",
        keys="`pixel_size`, or `image.hfw` over `image.resolution`",
        units="m",
        source="OpenFIBSEM's `fibsem/structures.py`; delmic/odemis tests",
        read=_read,
        texts=(IMAGE_DESCRIPTION,),
    ),
)
