"""FEI and Thermo Fisher: TIFF tags 34680 and 34682, as tifffile parses them into sections of entries."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_semclass.micrograph.metadata.quantities import (
    agree,
    bar_below,
    length_text,
    number,
    positive,
    sized,
)
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean

FEI_TAGS = (34682, 34680)
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
        return Metadata()
    source = f"FEI {section}.PixelWidth"
    found = sized([number(value) for value in written], written[1], source)
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
    return Metadata(warnings=(text,))


def _data_bar(tags: _Sections, shape: tuple[int, int]) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
    if _resized(number(_entry(tags, "Image", "ResolutionX")), shape):
        return None, ()
    bar, warnings = bar_below(number(_entry(tags, "Image", "ResolutionY")), shape[0], "FEI Image.ResolutionY")
    height = number(_entry(tags, "PrivateFei", "DatabarHeight"))
    if bar and height is not None and height != bar[1] - bar[0]:
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
