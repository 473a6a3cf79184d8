"""Hitachi: a text file of the same name beside the picture, `[SemImageFile]` and lines of `Key=value`."""

from dataclasses import replace

from napari_semclass.micrograph.metadata.formats import Format, Shape
from napari_semclass.micrograph.metadata.quantities import (
    bar_below,
    length,
    magnification,
    of_scan,
    positive,
    quantity,
    sized,
    volts,
)
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean, unusable
from napari_semclass.micrograph.metadata.text import decoded, lines_of

_START = "[semimagefile]"


def hitachi_sidecar(data: bytes, shape: Shape) -> Metadata | None:
    """Read the content of a Hitachi text file; None when it is something else.

    `PixelSize` is in nanometres; older instruments (S-4700) give only a magnification.
    """
    text = decoded(data)
    if _START not in text[:1000].casefold():
        return None
    entries: dict[str, str] = {}
    for line in lines_of(text):
        key, separator, value = line.strip().partition("=")
        if separator:
            entries.setdefault(key.strip(), value.strip())
    written = entries.get("PixelSize", "")
    size = length(written, "nm")
    found = sized((size, size), written, "Hitachi PixelSize") if written else Metadata()
    if not written and entries.get("Magnification"):
        found = unusable("Hitachi gives a magnification but no PixelSize; no pixel size follows from it.")
    sides = [quantity(part) for part in entries.get("DataSize", "").lower().replace("*", "x").split("x")[:2]]
    columns, rows = (side[0] if side else None for side in sides) if len(sides) == 2 else (None, None)
    found = replace(
        found,
        vendor="hitachi",
        instrument=clean(entries.get("InstructName") or entries.get("InstrumentName")),
        detector=clean(entries.get("SignalName")),
        voltage=volts(entries.get("AcceleratingVoltage", "")),
        magnification=magnification(entries.get("Magnification", "")),
        working_distance=positive(length(entries.get("WorkingDistance", ""), "um"), 1.0),
        raw=bounded(entries),
    )
    if columns is None or rows is None:
        return found
    found = of_scan(found, columns, shape, "Hitachi DataSize")
    bar, warnings = bar_below(rows, shape[0], "Hitachi DataSize") if columns == shape[1] else (None, ())
    return replace(found, data_bar=bar, warnings=(*found.warnings, *warnings))


FORMATS = (
    Format(
        vendor="hitachi",
        models="S-4700, S-4800, SU series",
        where="`x.txt` beside `x.tif`, `x.bmp`, `x.jpg` …",
        keys="`PixelSize`, `DataSize`; a magnification alone gives no pixel size",
        units="nm; V and µm as written",
        source="real files; Bio-Formats `HitachiReader`",
        sidecars=("{stem}.txt",),
        read_sidecar=hitachi_sidecar,
    ),
)
