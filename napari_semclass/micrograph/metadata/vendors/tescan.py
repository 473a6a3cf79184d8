"""TESCAN: TIFF tag 50431, thumbnails followed by lines of `Key=value` in metres and volts; the same lines in a file.

The header file beside a picture is named after it: `x-tif.hdr` beside `x.tif`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_semclass.micrograph.metadata.formats import Format
from napari_semclass.micrograph.metadata.quantities import (
    bar_below,
    length,
    magnification,
    number,
    positive,
    sized,
    volts,
)
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean
from napari_semclass.micrograph.metadata.text import decoded, lines_of

TESCAN_TAG = 50431
_MOST_BYTES = 4_000_000  # the text is some kB and comes last
_LINE = re.compile(rb"(?<![\w.])(\w{1,60})=([^\r\n\0]{0,200})\r?\n")


def tescan_metadata(tag: Any, shape: tuple[int, int]) -> Metadata | None:
    """Read a TESCAN tag.

    Parameters
    ----------
    tag : bytes or str
        With or without the thumbnails before the text.
    shape : (int, int)
        The picture's height and width in pixels.

    Returns
    -------
    Metadata or None
        None when the tag holds nothing of TESCAN.

    Notes
    -----
    The data bar is the lowest `ImageStripSize` rows.
    """
    data = tag.encode("utf-8", "replace") if isinstance(tag, str) else tag
    if not isinstance(data, bytes):
        return None
    lines = _LINE.findall(data[-_MOST_BYTES:])
    return _of_entries({key.decode("latin-1"): decoded(value).strip() for key, value in lines}, shape, "TESCAN tag's")


def tescan_header(data: bytes, shape: tuple[int, int]) -> Metadata | None:
    """Read the content of a header file; None when it is another program's (ENVI and Radiance write .hdr, too)."""
    entries: dict[str, str] = {}
    text = decoded(data)
    if "[main]" not in text.casefold() and "PixelSizeX" not in text:
        return None
    for line in lines_of(text):
        key, separator, value = line.partition("=")
        if separator:
            entries.setdefault(key.strip(), value.strip())
    return _of_entries(entries, shape, "TESCAN header file's")


def _of_entries(entries: dict[str, str], shape: tuple[int, int], where: str) -> Metadata | None:
    """Read the entries; `where` they stand begins the sentences."""
    if not entries.keys() & {"PixelSizeX", "Device", "TagRevision"}:
        return None
    written = [entries.get("PixelSizeY", ""), entries.get("PixelSizeX", "")]
    found = sized([length(v, "m") for v in written], written[1], f"{where} PixelSizeX") if any(written) else Metadata()
    strip = number(entries.get("ImageStripSize"))
    scan = shape[0] - strip if strip is not None and strip > 0 else None
    bar, warnings = bar_below(scan, shape[0], f"{where} ImageStripSize")
    return replace(
        found,
        vendor="tescan",
        instrument=clean(" ".join(filter(None, (entries.get("Device"), entries.get("SerialNumber"))))),
        detector=clean(entries.get("Detector")),
        voltage=volts(entries.get("HV", "")),
        magnification=magnification(entries.get("Magnification", "")),
        working_distance=positive(length(entries.get("WD", ""), "m"), 1.0),
        data_bar=bar,
        raw=bounded(entries),
        warnings=(*found.warnings, *warnings),
    )


def _read(values: Mapping[int, Any], shape: tuple[int, int]) -> Metadata | None:
    return tescan_metadata(values[TESCAN_TAG], shape)


_KEYS = "`PixelSizeX`, `PixelSizeY`, `ImageStripSize` (rows of the data bar)"
_SOURCE = "real files; public readers, such as NexusLIMS'"
FORMATS = (
    Format(
        vendor="tescan",
        models="VEGA3, MIRA3 and others",
        where="TIFF tag 50431",
        keys=_KEYS,
        units="m, V",
        source=_SOURCE,
        read=_read,
        tags=(TESCAN_TAG,),
    ),
    Format(
        vendor="tescan",
        models="the same, beside TIFF, PNG, JPEG and BMP",
        where="`x-tif.hdr`, `x-png.hdr` … or `x.hdr`",
        keys=_KEYS,
        units="m, V",
        source=_SOURCE,
        sidecars=("{stem}-{ending}.hdr", "{stem}.hdr"),
        read_sidecar=tescan_header,
    ),
)
