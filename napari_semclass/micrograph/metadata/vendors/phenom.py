"""Phenom desktop SEMs: XML with the root `FeiImage` in TIFF tag 34683, and in the EXIF of JPEG and PNG."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from napari_semclass.micrograph.metadata.formats import IMAGE_DESCRIPTION, MAKER_NOTE, USER_COMMENT, Format
from napari_semclass.micrograph.metadata.quantities import bar_below, length, number, positive, sized, volts
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean, unusable
from napari_semclass.micrograph.metadata.text import child, child_text, decoded, entries_of, local_name, xml_root

_TAGS = (34683, 34682, 34680, IMAGE_DESCRIPTION, USER_COMMENT, MAKER_NOTE)


def phenom_metadata(root: ElementTree.Element, shape: tuple[int, int]) -> Metadata:
    """Read Phenom's XML; the data bar is the lowest `databarHeight` rows."""
    sides = [child(root, name) for name in ("pixelHeight", "pixelWidth")]
    found = Metadata()
    if any(side is not None for side in sides):
        written = "" if sides[1] is None else f"{(sides[1].text or '').strip()} {sides[1].get('unit', '')}".strip()
        found = sized([_length(side) for side in sides], written, "Phenom pixelWidth")
    height = number(child_text(root, "databarHeight"))
    scan_rows = shape[0] - height if height is not None and height > 0 else None
    bar, warnings = bar_below(scan_rows, shape[0], "Phenom databarHeight")
    return replace(
        found,
        vendor="phenom",
        instrument=clean(child_text(root, "instrument/type")),
        detector=clean(child_text(root, "acquisition/scan/detector")),
        voltage=_voltage(child(root, "acquisition/scan/highVoltage")),
        working_distance=positive(_length(child(root, "workingDistance")), 1.0),
        data_bar=bar,
        raw=bounded(entries_of(root)),
        warnings=(*found.warnings, *warnings),
    )


def _length(element: ElementTree.Element | None) -> float | None:
    return None if element is None else length(element.text or "", element.get("unit", ""))


def _voltage(element: ElementTree.Element | None) -> float | None:
    return None if element is None else volts(element.text or "", element.get("unit", ""))


def _read(values: Mapping[int, Any], shape: tuple[int, int]) -> Metadata | None:
    for code in _TAGS:
        text = decoded(values.get(code))
        start = text.find("<FeiImage")
        if start < 0:
            continue
        try:
            root = xml_root(_with_prologue(text, start))
        except ValueError as error:
            return replace(unusable(f"The pixel size is unknown: the Phenom XML {error}."), vendor="phenom")
        if root is not None and local_name(root) == "FeiImage":
            return phenom_metadata(root, shape)
    return None


def _with_prologue(text: str, start: int) -> str:
    """The XML with what it declares before its root, without the bytes of a comment or a maker's note around it."""
    prologue = re.search(r"<[?!]", text[:start])
    return text[prologue.start() if prologue else start :]


FORMATS = (
    Format(
        vendor="phenom",
        models="Phenom desktop SEMs",
        where="TIFF tag 34683; EXIF of JPEG and PNG: XML, root `FeiImage`",
        keys="`pixelWidth`, `pixelHeight`, `databarHeight`, `highVoltage`, `workingDistance`",
        units="by the attribute `unit`",
        source="ome/bioformats#3740; public readers",
        read=_read,
        texts=_TAGS,
    ),
)
