"""TESCAN: TIFF tag 50431, thumbnails followed by lines of `Key=value` in metres and volts."""

import re
from dataclasses import replace
from typing import Any

from napari_semclass.micrograph.metadata.quantities import bar_below, number, positive, sized
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean

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
    entries = {key.decode("latin-1"): value.decode("utf-8", "replace").strip() for key, value in lines}
    if not entries.keys() & {"PixelSizeX", "Device", "TagRevision"}:
        return None
    written = [entries.get("PixelSizeY", ""), entries.get("PixelSizeX", "")]
    found = sized([number(v) for v in written], written[1], "TESCAN PixelSizeX") if any(written) else Metadata()
    strip = number(entries.get("ImageStripSize"))
    scan = shape[0] - strip if strip is not None else None
    bar, warnings = bar_below(scan, shape[0], "TESCAN ImageStripSize")
    return replace(
        found,
        vendor="tescan",
        instrument=clean(" ".join(filter(None, (entries.get("Device"), entries.get("SerialNumber"))))),
        detector=clean(entries.get("Detector")),
        voltage=positive(number(entries.get("HV")), 1e7),
        magnification=positive(number(entries.get("Magnification")), 1e9),
        working_distance=positive(number(entries.get("WD")), 1.0),
        data_bar=bar,
        raw=bounded(entries),
        warnings=(*found.warnings, *warnings),
    )
