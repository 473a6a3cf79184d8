"""TIFF: vendors' tags first, then a sidecar, OME, ImageJ and the resolution tags; what contradicts is not used."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_semclass.micrograph.metadata.formats import MAKER_NOTE, USER_COMMENT
from napari_semclass.micrograph.metadata.imagej import imagej_metadata
from napari_semclass.micrograph.metadata.ome import ome_metadata
from napari_semclass.micrograph.metadata.record import Metadata, Outcome
from napari_semclass.micrograph.metadata.resolution import (
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    ratio,
    resolution_of,
)
from napari_semclass.micrograph.metadata.sidecars import sidecar_metadata
from napari_semclass.micrograph.metadata.sources import combined, read_vendors, with_reason
from napari_semclass.micrograph.metadata.vendors import vendor_formats

_EXIF = 34665
_IN_EXIF = {USER_COMMENT: "UserComment", MAKER_NOTE: "MakerNote"}  # as tifffile names them
_MOST_BYTES = 16_000_000  # of one tag


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
    program = _of_program(tiff, page, ratio(y), ratio(x))
    sources = [*_of_vendors(page), sidecar_metadata(path, _shape(page)), program]
    known = [source for source in sources if source]
    resolution = resolution_of(y, x, 2 if unit is None else unit, "TIFF resolution tag")
    if tiff.is_imagej and program and program.outcome is not Outcome.ABSENT:
        resolution = None  # the same tags, in ImageJ's own unit
    return with_reason(combined(known, resolution.metadata() if resolution else None))


def vendor_metadata(page: Any) -> Metadata | None:
    """What instruments' own tags on a page say, or None without any; a name alone is not enough."""
    sources = [found for found in _of_vendors(page) if found.raw or found.outcome is not Outcome.ABSENT]
    return combined(sources, None) if sources else None


def _of_vendors(page: Any) -> list[Metadata]:
    return list(read_vendors(dict(_values(page)), _shape(page)))


def _values(page: Any) -> Iterator[tuple[int, Any]]:
    """The values of the tags that vendors' readers know: parsed by tifffile, or the raw bytes of texts."""
    parsed = {code for entry in vendor_formats() for code in entry.tags}
    for code in sorted({code for entry in vendor_formats() for code in entry.texts} | parsed):
        if code in page.tags:
            try:
                yield code, page.tags[code].value if code in parsed else _raw(page, page.tags[code])
            except Exception:  # a tag that tifffile cannot parse is there, and its reader says so
                yield code, None
    inner = page.tags.valueof(_EXIF)
    for code, name in _IN_EXIF.items() if isinstance(inner, dict) else ():
        if isinstance(inner.get(name), str | bytes):
            yield code, inner[name]


def _raw(page: Any, tag: Any) -> bytes:
    file = page.parent.filehandle
    file.seek(tag.valueoffset)
    return bytes(file.read(min(tag.valuebytecount, _MOST_BYTES)))


def _shape(page: Any) -> tuple[int, int]:
    return int(page.imagelength), int(page.imagewidth)


def _of_program(tiff: Any, page: Any, y: float | None, x: float | None) -> Metadata | None:
    """OME or ImageJ metadata, None without them; `y` and `x` are pixels per ImageJ's unit."""
    if tiff.is_ome:
        return ome_metadata(tiff.ome_metadata, _shape(page))
    return imagej_metadata(tiff.imagej_metadata, y, x) if tiff.is_imagej else None
