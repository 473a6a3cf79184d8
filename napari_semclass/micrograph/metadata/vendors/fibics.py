"""Fibics (Zeiss Atlas): XML in TIFF tag 51023 with the two steps of the scan in micrometres."""

from collections.abc import Mapping
from dataclasses import replace
from math import hypot
from typing import Any
from xml.etree import ElementTree

from napari_semclass.micrograph.metadata.formats import Format, Shape
from napari_semclass.micrograph.metadata.quantities import agree, length, length_text, number, sized, withdrawn
from napari_semclass.micrograph.metadata.record import Metadata, bounded, not_read, unusable
from napari_semclass.micrograph.metadata.text import child, child_text, entries_of, local_name, xml_root

FIBICS_TAG = 51023


def fibics_metadata(root: ElementTree.Element, shape: Shape) -> Metadata:
    """Read the XML: a pixel is as wide as the vector (Ux, Uy) and as high as (Vx, Vy)."""
    scan = child(root, "Scan")
    steps = [[number(child_text(scan, f"{axis}{part}")) for part in "xy"] for axis in "VU"]
    lengths = [None if None in step else hypot(*(part or 0.0 for part in step)) * 1e-6 for step in steps]
    field = child(scan, "FOV_X")
    width = None if field is None else length(field.text or "", field.get("units", ""))
    columns = number(child_text(root, "Image/Width"))
    rows = number(child_text(root, "Image/Height"))
    found = Metadata(raw=bounded(entries_of(root)))
    if any(any(part is not None for part in step) for step in steps):
        size = sized(lengths, f"({child_text(scan, 'Ux')}, {child_text(scan, 'Uy')})", "Fibics Ux, Uy")
        found = replace(size, raw=found.raw)
    elif width and columns and columns > 0:
        found = replace(sized((width / columns,) * 2, field, "Fibics FOV_X over Width"), raw=found.raw)
    found = replace(found, vendor="fibics")
    if found.pixel_size is None:
        return found
    if columns is not None and rows is not None and (rows, columns) != shape:
        text = f"Fibics metadata belong to a picture of {columns:g} x {rows:g} pixels, this one has "
        return withdrawn(found, f"{text}{shape[1]:,} x {shape[0]:,}: its pixel size is not used.")
    if width and columns and not agree(width / columns, found.pixel_size[1]):
        text = f"Fibics Ux, Uy give {length_text(found.pixel_size[1])} per pixel, FOV_X over Width "
        return withdrawn(found, f"{text}{length_text(width / columns)}; neither is used.")
    return found


def _read(values: Mapping[int, Any], shape: Shape) -> Metadata | None:
    try:
        root = xml_root(values[FIBICS_TAG])
    except ValueError as error:
        return replace(unusable(f"The pixel size is unknown: the Fibics XML {error}."), vendor="fibics")
    if root is None or local_name(root) != "Fibics":
        return not_read("fibics", "metadata in Fibics' tag 51023")
    return fibics_metadata(root, shape)


FORMATS = (
    Format(
        vendor="fibics",
        models="Fibics, Zeiss Atlas 5",
        where="TIFF tag 51023: XML, root `Fibics`",
        keys="`Scan/Ux`, `Uy`, `Vx`, `Vy`, or `FOV_X`; `Image/Width`, `Height`",
        units="µm",
        source="tifffile (`FibicsXML`); a public reader with measured files",
        read=_read,
        texts=(FIBICS_TAG,),
    ),
)
