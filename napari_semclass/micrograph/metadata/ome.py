"""OME-XML: the physical size of a pixel and the microscope's name."""

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from napari_semclass.micrograph.metadata.quantities import metres, number, sized
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean

_LONGEST = 16_000_000  # characters; a mosaic of thousands of tiles is described in a few million
_DECLARATION = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def ome_metadata(text: Any) -> Metadata:
    """Read the OME-XML of a TIFF; of several images the first counts. The default unit is the micrometre."""
    if not isinstance(text, str) or len(text) > _LONGEST or _DECLARATION.search(text):
        return Metadata(warnings=("OME-XML is too long or holds declarations; the pixel size is not read from it.",))
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - declarations, which attacks need, were refused
    except (ElementTree.ParseError, ValueError):
        return Metadata(warnings=("OME-XML is damaged; the pixel size is not read from it.",))
    pixels = root.find(".//{*}Pixels")
    microscope = root.find(".//{*}Microscope")
    attributes = {} if pixels is None else dict(pixels.attrib)
    names = {} if microscope is None else dict(microscope.attrib)
    written = {axis: attributes.get(f"PhysicalSize{axis}", "") for axis in "YX"}
    found = Metadata()
    if any(written.values()):
        units = {axis: attributes.get(f"PhysicalSize{axis}Unit", "µm") for axis in "YX"}
        sizes = [metres(number(written[axis]), units[axis]) for axis in "YX"]
        found = sized(sizes, f"{written['X']} {units['X']}", "OME PhysicalSizeX")
    instrument = " ".join(filter(None, (names.get("Manufacturer"), names.get("Model"))))
    return replace(found, instrument=clean(instrument), raw=bounded({"Pixels": attributes, "Microscope": names}))
