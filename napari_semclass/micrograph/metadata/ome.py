"""OME-XML: the physical size of a pixel and the microscope's name."""

from dataclasses import replace
from typing import Any

from napari_semclass.micrograph.metadata.quantities import metres, number, sized
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean, unusable
from napari_semclass.micrograph.metadata.text import xml_root


def ome_metadata(text: Any, shape: tuple[int, int]) -> Metadata:
    """Read the OME-XML of a TIFF; of several images the first with this height and width counts, else the first.

    The default unit is the micrometre.
    """
    try:
        root = xml_root(text)
    except ValueError as error:
        return unusable(f"OME-XML {error}; the pixel size is not read from it.")
    if root is None:
        return unusable("OME-XML is damaged; the pixel size is not read from it.")
    images = root.findall(".//{*}Pixels")
    sides = tuple(map(str, shape))
    alike = [image for image in images if (image.get("SizeY"), image.get("SizeX")) == sides]
    pixels = next(iter(alike or images), None)
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
