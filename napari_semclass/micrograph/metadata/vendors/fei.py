"""FEI and Thermo Fisher: TIFF tags 34680, 34682 and 34683, sections of `Key=value` or XML, in metres and volts.

What is in 34683 with the root `FeiImage` is Phenom's, and read in its own module.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from napari_semclass.micrograph.metadata.formats import Format
from napari_semclass.micrograph.metadata.quantities import (
    agree,
    bar_below,
    length,
    length_text,
    number,
    positive,
    sized,
    withdrawn,
)
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean, not_read, unusable
from napari_semclass.micrograph.metadata.text import (
    child,
    child_text,
    decoded,
    entries_of,
    lines_of,
    local_name,
    xml_root,
)

FEI_TAGS = (34682, 34680, 34683)
_Sections = Mapping[str, Any]


def fei_metadata(tags: Any, shape: tuple[int, int]) -> Metadata | None:
    """Read an FEI tag: lengths are in metres, voltages in volts.

    Parameters
    ----------
    tags : mapping
        Section -> (entry -> value).
    shape : (int, int)
        The picture's height and width in pixels.

    Returns
    -------
    Metadata or None
        None when the tag holds nothing of FEI.

    Notes
    -----
    The scan has `Image.ResolutionY` rows; the data bar of `PrivateFei.DatabarHeight` rows is added below it.
    """
    if not isinstance(tags, Mapping) or not any(name in tags for name in ("System", "Beam", "Image", "Scan")):
        return None
    beam = str(_entry(tags, "Beam", "Beam") or "EBeam")
    found = _pixel_size(tags, shape)
    bar, warnings = _data_bar(tags, shape)
    written = _entry(tags, "Beam", "HV")
    voltage = positive(number(written), 1e7)
    if written not in (None, "") and voltage is None:
        warnings = (*warnings, f"FEI Beam.HV is {clean(written)!r}, which is no voltage.")
    canvas, width = number(_entry(tags, "Image", "MagCanvasRealWidth")), _field(tags)[1]
    distance = _entry(tags, beam, "WD") or _entry(tags, "Stage", "WorkingDistance")
    return replace(
        found,
        vendor="fei",
        instrument=clean(_entry(tags, "System", "SystemType") or _entry(tags, "System", "Type")).replace('"', ""),
        detector=clean(_entry(tags, "Detectors", "Name")),
        voltage=voltage,
        magnification=positive(canvas / width, 1e9) if canvas and width else None,
        working_distance=positive(number(distance), 1.0),
        data_bar=bar,
        raw=bounded(tags),
        warnings=(*found.warnings, *warnings),
    )


def _pixel_size(tags: _Sections, shape: tuple[int, int]) -> Metadata:
    section = next((name for name in _scans(tags) if _entry(tags, name, "PixelWidth") is not None), "")
    written = [_entry(tags, section, name) for name in ("PixelHeight", "PixelWidth")]
    if not section or all(value in (None, "") for value in written):
        return _of_field(tags, shape)
    source = f"FEI {section}.PixelWidth"
    found = sized([length(value, "m") for value in written], written[1], source)
    width = _field(tags)[1]
    columns = number(_entry(tags, "Image", "ResolutionX"))
    if found.pixel_size is None:
        return found
    if _resized(columns, shape):
        why = f"it belongs to a scan of {columns:g} columns, and the picture has {shape[1]:,}"
    elif width and not agree(width / shape[1], found.pixel_size[1]):
        why = f"the field of view gives {length_text(width / shape[1])} per pixel"
    else:
        return found
    text = f"{source} is {length_text(found.pixel_size[1])}, but {why}; it is not used."
    return unusable(text)


def _of_field(tags: _Sections, shape: tuple[int, int]) -> Metadata:
    """The field of view over the scan's columns and rows, where no entry has the pixel size itself."""
    height, width = _field(tags)
    columns, rows = (number(_entry(tags, "Image", f"Resolution{axis}")) for axis in "XY")
    if not width or columns != shape[1]:
        return Metadata()
    size = (height / rows if height and rows and rows > 0 else width / columns, width / columns)
    return sized(size, length_text(size[1]), "FEI HorFieldsize over ResolutionX")


def _data_bar(tags: _Sections, shape: tuple[int, int]) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
    if _resized(number(_entry(tags, "Image", "ResolutionX")), shape):
        return None, ()
    rows, height = number(_entry(tags, "Image", "ResolutionY")), number(_entry(tags, "PrivateFei", "DatabarHeight"))
    if rows is None:
        return bar_below(shape[0] - height if height and height > 0 else None, shape[0], "FEI DatabarHeight")
    bar, warnings = bar_below(rows, shape[0], "FEI Image.ResolutionY")
    # Newer software writes 0 whatever the bar's height.
    if bar and height is not None and height > 0 and height != bar[1] - bar[0]:
        text = f"FEI Image.ResolutionY leaves {bar[1] - bar[0]} rows for a data bar, DatabarHeight is {height:g}"
        return None, (*warnings, f"{text}; neither is used.")
    return bar, warnings


def _resized(columns: float | None, shape: tuple[int, int]) -> bool:
    """Whether the picture has other columns than the scan had."""
    return columns is not None and columns != shape[1]


def _field(tags: _Sections) -> tuple[float | None, float | None]:
    """Height and width of the field of view in metres."""
    for section in _scans(tags):
        height, width = (positive(number(_entry(tags, section, f"{axis}Fieldsize")), 1.0) for axis in ("Ver", "Hor"))
        if width:
            return height, width
    return None, None


def _scans(tags: _Sections) -> tuple[str, ...]:
    """Sections that may describe the scan, the one that the beam names first."""
    return (str(_entry(tags, "Beam", "Scan") or "Scan"), "Scan", "EScan", "IScan")


def _entry(tags: _Sections, section: str, name: str) -> Any:
    entries = tags.get(section)
    return entries.get(name) if isinstance(entries, Mapping) else None


def thermo_metadata(root: ElementTree.Element, shape: tuple[int, int]) -> Metadata:
    """Read the XML of newer software; its root is `Metadata`."""
    size = child(root, "BinaryResult/PixelSize")
    found = Metadata()
    if size is not None:
        sides = [child(size, axis) for axis in "YX"]
        written = " ".join(filter(None, (child_text(size, "X"), "" if sides[1] is None else sides[1].get("unit", ""))))
        lengths = [None if side is None else length(side.text or "", side.get("unit", "")) for side in sides]
        found = sized(lengths, written, "Thermo Fisher PixelSize")
        powers = {side.get("unitPrefixPower", "1") for side in sides if side is not None}
        if not powers <= {"0", "1"}:
            text = f"Thermo Fisher PixelSize has the unitPrefixPower {clean(' '.join(powers))}; it is not used."
            found = withdrawn(found, text)
    distance, voltage = child_text(root, "Optics/WorkingDistance"), child_text(root, "Optics/AccelerationVoltage")
    return replace(
        found,
        vendor="fei",
        instrument=clean(child_text(root, "Instrument/InstrumentClass")),
        detector=clean(child_text(root, "Detectors/ScanningDetector/DetectorName")),
        voltage=positive(number(voltage), 1e7),
        working_distance=positive(number(distance), 1.0),
        raw=bounded(entries_of(root)),
    )


def sections_of(text: str) -> dict[str, dict[str, str | int | float]]:
    """The entries of `[Section]`s of lines `Key=value`; of a key that is there twice, the last counts."""
    sections: dict[str, dict[str, str | int | float]] = {}
    section: dict[str, str | int | float] = {}
    for line in lines_of(text):
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = sections.setdefault(line[1:-1], {})
            continue
        key, separator, value = line.partition("=")
        if separator:
            section[key.strip()] = _plain(value.strip())
    return sections


def _plain(text: str) -> str | int | float:
    """A number where the text is one, else the text."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _read_sections(values: Mapping[int, Any], shape: tuple[int, int]) -> Metadata | None:
    for code in FEI_TAGS:
        text = decoded(values.get(code))
        found = None if text.lstrip().startswith("<") else fei_metadata(sections_of(text), shape)
        if found:
            return found
    return None


def _read_xml(values: Mapping[int, Any], shape: tuple[int, int]) -> Metadata | None:
    known: Metadata | None = None
    for code in FEI_TAGS:
        text = decoded(values.get(code)).strip()
        if not text or _is_other(text):
            continue
        try:
            root = xml_root(text)
        except ValueError as error:
            why = f"The pixel size is unknown: the FEI XML in tag {code} {error}."
            known = known or replace(unusable(why), vendor="fei")
            continue
        if root is not None and local_name(root) == "Metadata":
            return thermo_metadata(root, shape)
        kind = "" if root is None else f" ({clean(local_name(root))[:40]})"
        known = known or not_read("fei", f"FEI metadata{kind} in tag {code}")
    return known


def _is_other(text: str) -> bool:
    """Whether a tag's text is for another reader: sections, or Phenom's XML."""
    if text.startswith("<"):
        return "<FeiImage" in text[:2000]
    return fei_metadata(sections_of(text), (1, 1)) is not None


FORMATS = (
    Format(
        vendor="fei",
        models="FEI and Thermo Fisher (Quanta, Helios, Apreo, Scios, Teneo …)",
        where="TIFF tags 34682, 34680: sections",
        keys="`PixelWidth`, `PixelHeight` of the scan, or `HorFieldsize`; `ResolutionX`, `ResolutionY` of the scan; "
        "`DatabarHeight` where it is not 0",
        units="m, V",
        source="tifffile `read_fei_metadata`; real files",
        read=_read_sections,
        texts=FEI_TAGS,
    ),
    Format(
        vendor="fei",
        models="Thermo Fisher, newer software",
        where="TIFF tags 34682, 34683: XML, root `Metadata`",
        keys="`BinaryResult/PixelSize`; other XML is named and not read",
        units="by the attribute `unit`",
        source="pynxtools-em; public readers",
        read=_read_xml,
        texts=FEI_TAGS,
    ),
)
