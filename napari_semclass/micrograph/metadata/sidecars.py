"""JEOL and Hitachi: a text file of the same name beside the picture."""

from dataclasses import replace
from pathlib import Path

from napari_semclass.micrograph.metadata.quantities import (
    bar_below,
    length,
    length_text,
    magnification,
    number,
    positive,
    quantity,
    sized,
    volts,
)
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean

_MOST_BYTES = 200_000  # instruments write a few kB
_JEOL, _HITACHI = "$CM_FORMAT", "[SemImageFile]"
_Entries = dict[str, str]


def sidecar_metadata(path: Path, shape: tuple[int, int]) -> Metadata | None:
    """Read the text file beside a picture.

    Parameters
    ----------
    path : Path
        The picture's.
    shape : (int, int)
        The picture's height and width in pixels.

    Returns
    -------
    Metadata or None
        None when there is no such file or it is not an instrument's.
    """
    sidecar = next((p for p in (path.with_suffix(".txt"), path.with_suffix(".TXT")) if p.is_file()), None)
    if sidecar is None or sidecar == path:
        return None
    try:
        with sidecar.open("rb") as file:
            data = file.read(_MOST_BYTES)
    except OSError:
        return None
    return parse_sidecar(data, shape)


def parse_sidecar(data: bytes, shape: tuple[int, int]) -> Metadata | None:
    """Read the content of a JEOL or Hitachi text file; None when it is something else."""
    text = _decoded(data)
    if any(line.startswith((_JEOL, "$SEM_DATA_VERSION")) for line in text.splitlines()):
        return _jeol(_entries(text, " "), shape)
    if _HITACHI.casefold() in text[:1000].casefold():
        return _hitachi(_entries(text, "="), shape)
    return None


def _decoded(data: bytes) -> str:
    for encoding in ("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _entries(text: str, separator: str) -> _Entries:
    """Keys without their leading `$` and stripped values; of a key that is there twice, the first counts."""
    entries: _Entries = {}
    for line in text.splitlines():
        key, found, value = line.strip().partition(separator)
        if found:
            entries.setdefault(key.lstrip("$").strip(), value.strip())
    return entries


def _jeol(entries: _Entries, shape: tuple[int, int]) -> Metadata:
    """The scale bar's length and its pixels give the pixel size, of a scan of `CM_FULL_SIZE` columns and rows."""
    bar_px, marker = number(entries.get("SM_MICRON_BAR")), entries.get("SM_MICRON_MARKER", "")
    source = "JEOL SM_MICRON_MARKER over SM_MICRON_BAR"
    bar_m = length(marker)
    size = bar_m / bar_px if bar_m is not None and bar_px else None
    written = f"{marker} over {entries.get('SM_MICRON_BAR', '')} px"
    found = sized((size, size), written, source) if marker or bar_px is not None else Metadata()
    scan = entries.get("CM_FULL_SIZE", "").split()[:2]
    return _with_scan(
        replace(
            found,
            vendor="jeol",
            instrument=clean(entries.get("CM_INSTRUMENT")),
            detector=clean(entries.get("CM_DETECTOR") or entries.get("CM_DETECTOR_NAME")),
            voltage=volts(entries.get("CM_ACCEL_VOLT", ""), "kV"),
            magnification=magnification(entries.get("CM_MAG", "")),
            working_distance=positive(length(entries.get("SM_WD", ""), "mm"), 1.0),
            raw=bounded(entries),
        ),
        scan,
        shape,
        "JEOL CM_FULL_SIZE",
    )


def _hitachi(entries: _Entries, shape: tuple[int, int]) -> Metadata:
    """`PixelSize` is in nanometres; older instruments (S-4700) give only a magnification."""
    written = entries.get("PixelSize", "")
    size = length(written, "nm")
    found = sized((size, size), written, "Hitachi PixelSize") if written else Metadata()
    if not written and entries.get("Magnification"):
        text = "Hitachi gives a magnification but no PixelSize; no pixel size follows from it."
        found = replace(found, warnings=(text,))
    return _with_scan(
        replace(
            found,
            vendor="hitachi",
            instrument=clean(entries.get("InstructName") or entries.get("InstrumentName")),
            detector=clean(entries.get("SignalName")),
            voltage=volts(entries.get("AcceleratingVoltage", "")),
            magnification=magnification(entries.get("Magnification", "")),
            working_distance=positive(length(entries.get("WorkingDistance", ""), "um"), 1.0),
            raw=bounded(entries),
        ),
        entries.get("DataSize", "").lower().split("x")[:2],
        shape,
        "Hitachi DataSize",
    )


def _with_scan(found: Metadata, scan: list[str], shape: tuple[int, int], where: str) -> Metadata:
    """The data bar below a scan of `columns rows`; a pixel size of a scan of other width is not used."""
    sizes = [quantity(part) for part in scan]
    if len(sizes) != 2 or sizes[0] is None or sizes[1] is None:
        return found
    (columns, _), (rows, _) = sizes[0], sizes[1]
    if columns != shape[1]:
        text = f"{where} gives a scan of {columns:g} columns, the picture has {shape[1]:,}"
        if found.pixel_size:
            text += f": the pixel size of {length_text(found.pixel_size[1])} is not used"
        return replace(found, pixel_size=None, pixel_size_source="", warnings=(*found.warnings, f"{text}."))
    bar, warnings = bar_below(rows, shape[0], where)
    return replace(found, data_bar=bar, warnings=(*found.warnings, *warnings))
