"""TIFF: vendor tags first, then a sidecar, OME, ImageJ and the resolution tags; what contradicts is not used."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_semclass.micrograph.metadata.fei import FEI_TAGS, fei_metadata
from napari_semclass.micrograph.metadata.ome import ome_metadata
from napari_semclass.micrograph.metadata.quantities import metres, sized
from napari_semclass.micrograph.metadata.record import Metadata, bounded
from napari_semclass.micrograph.metadata.resolution import (
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    compared,
    ratio,
    resolution_of,
    with_reason,
)
from napari_semclass.micrograph.metadata.sidecars import sidecar_metadata
from napari_semclass.micrograph.metadata.tescan import TESCAN_TAG, tescan_metadata
from napari_semclass.micrograph.metadata.zeiss import ZEISS_TAG, zeiss_metadata

_READERS = (
    (ZEISS_TAG, zeiss_metadata),
    *((code, fei_metadata) for code in FEI_TAGS),
    (TESCAN_TAG, tescan_metadata),
)
# ImageJ's names for "not calibrated"; inches are its default for printing.
_NO_UNITS = ("", "pixel", "pixels", "inch", "null", "none")


def tiff_metadata(tiff: Any, page: Any, path: Path) -> Metadata:
    """What a TIFF says about one of its pages.

    Parameters
    ----------
    tiff : tifffile.TiffFile
        Open.
    page : tifffile.TiffPage
        Its own vendor tags count; OME and ImageJ describe the file.
    path : Path
        The file's, to look for a sidecar beside it.
    """
    y, x, unit = (page.tags.valueof(code) for code in (Y_RESOLUTION, X_RESOLUTION, RESOLUTION_UNIT))
    resolution = resolution_of(y, x, 2 if unit is None else unit, "TIFF resolution tag")
    found = vendor_metadata(page) or sidecar_metadata(path, _shape(page)) or _of_program(tiff, ratio(y), ratio(x))
    if found.pixel_size is None and not found.vendor and not found.warnings and resolution:
        plain = resolution.metadata()
        found = replace(
            found,
            pixel_size=plain.pixel_size,
            pixel_size_source=plain.pixel_size_source,
            warnings=plain.warnings,
        )
    return with_reason(compared(found, resolution))


def vendor_metadata(page: Any) -> Metadata | None:
    """What an instrument's own tag on a page says, or None without one."""
    for code, read in _READERS:
        found = read(page.tags[code].value, _shape(page)) if code in page.tags else None
        if found:
            return found
    return None


def _shape(page: Any) -> tuple[int, int]:
    return int(page.imagelength), int(page.imagewidth)


def _of_program(tiff: Any, y: float | None, x: float | None) -> Metadata:
    """OME or ImageJ metadata, empty without them; `y` and `x` are pixels per ImageJ's unit."""
    if tiff.is_ome:
        return ome_metadata(tiff.ome_metadata)
    described = tiff.imagej_metadata if tiff.is_imagej else None
    if not isinstance(described, Mapping):
        return Metadata()
    unit = str(described.get("unit", ""))[:20]
    found = Metadata()
    if unit.strip().lower() not in _NO_UNITS:
        lengths = [metres(1 / n, unit) if n else None for n in (y, x)]
        found = sized(lengths, f"{x} pixels per {unit}", "ImageJ resolution and unit")
    return replace(found, raw=bounded(described))
