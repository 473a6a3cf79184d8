"""JEOL: a text file of the same name beside the picture, lines of `$KEY value`; TEM software's tags are named only."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from napari_semclass.micrograph.metadata.formats import IMAGE_DESCRIPTION, MAKE, MODEL, Format, Shape
from napari_semclass.micrograph.metadata.quantities import (
    AGREE,
    agree,
    bar_below,
    length,
    length_text,
    magnification,
    metres,
    number,
    of_scan,
    positive,
    sized,
    volts,
    withdrawn,
)
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean, not_read, unusable
from napari_semclass.micrograph.metadata.text import decoded, lines_of
from napari_semclass.micrograph.metadata.units import unified

_STARTS = ("$CM_FORMAT", "$SEM_DATA_VERSION", "$CM_FULL_SIZE", "$CM_IMAGE_SIZE", "$CM_VERSION")
_LENGTH = re.compile(r"([0-9]+(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([^\W\d_]*)")
_HEADER_TAG = 65027
_Entries = Mapping[str, str]


@dataclass(frozen=True)
class _Scan:
    """Columns and rows of the scan, where they stand, and the rows of the data bar below."""

    columns: float | None
    rows: float | None
    source: str
    bar: tuple[int, int] | None
    warnings: tuple[str, ...]


def jeol_sidecar(data: bytes, shape: Shape) -> Metadata | None:
    """Read the content of a JEOL text file; None when it is something else."""
    lines = lines_of(decoded(data))
    if not any(line.lstrip().startswith(_STARTS) for line in lines):
        return None
    entries: dict[str, str] = {}
    for line in lines:
        key, *rest = line.strip().split(None, 1)[:2] or ("",)
        if key.startswith("$"):
            entries.setdefault(key.lstrip("$"), rest[0].strip() if rest else "")
    scan = _scan(entries, shape)
    found = _pixel_size(entries, scan)
    found = found if scan.columns is None else of_scan(found, scan.columns, shape, scan.source)
    return replace(
        found,
        vendor="jeol",
        instrument=clean(entries.get("CM_INSTRUMENT")),
        detector=clean(entries.get("CM_DETECTOR") or entries.get("CM_DETECTOR_NAME") or entries.get("SM_DETECTOR")),
        voltage=volts(entries.get("CM_ACCEL_VOLT", ""), "kV"),
        magnification=magnification(entries.get("CM_MAG", "")),
        working_distance=positive(length(entries.get("SM_WD", ""), "mm"), 1.0),
        data_bar=scan.bar,
        raw=bounded(entries),
        warnings=(*found.warnings, *scan.warnings),
    )


def _scan(entries: _Entries, shape: Shape) -> _Scan:
    """`CM_FULL_SIZE` or, on newer instruments, `CM_IMAGE_SIZE`; the one as wide as the picture where they differ."""
    sizes = [(key, [number(part) for part in entries.get(key, "").split()[:2]]) for key in _SIZES]
    known = [(key, side[0], side[1]) for key, side in sizes if len(side) == 2 and side[0] and side[1]]
    if not known:
        return _Scan(None, None, "", None, ())
    key, columns, rows = next((size for size in known if size[1] == shape[1]), known[0])
    source = f"JEOL {key}"
    if columns is None or rows is None or columns != shape[1]:
        return _Scan(columns, rows, source, None, ())
    strip = number(entries.get("SM_PNU_HEIGHT")) or 0
    field = _field(entries)[0]
    if field and len(field) == 2 and rows == shape[0] and 0 < strip < rows:
        # The size may be that of the picture with its bar, or the bar was left out: the field of view decides.
        inner = rows - strip
        if agree(field[1] / inner, field[0] / columns) and not agree(field[1] / rows, field[0] / columns):
            return _Scan(columns, inner, source, *bar_below(inner, shape[0], source))
    bar, warnings = bar_below(rows, shape[0], source)
    if bar and strip > 0 and strip != bar[1] - bar[0]:
        text = f"{source} leaves {bar[1] - bar[0]} rows for a data bar, SM_PNU_HEIGHT is {strip:g}; neither is used."
        return _Scan(columns, rows, source, None, (*warnings, text))
    return _Scan(columns, rows, source, bar, warnings)


_SIZES = ("CM_FULL_SIZE", "CM_IMAGE_SIZE")


def _field(entries: _Entries) -> tuple[list[float] | None, bool]:
    """Width and height of the field of view in metres, and whether their unit is missing (then micrometres)."""
    parts = _LENGTH.findall(unified(entries.get("CM_FIELD_OF_VIEW", "")[:100]))[:2]
    units = [unit for _, unit in parts if unit]
    sides = [metres(number(value), unit or (units[-1] if units else "um")) for value, unit in parts]
    known = [side for side in sides if side]
    return (known if known and len(known) == len(sides) else None), not units


def _pixel_size(entries: _Entries, scan: _Scan) -> Metadata:
    """The field of view over the scan, which is exact, unless the scale bar over its pixels contradicts it."""
    marked, bar = _marked(entries), number(entries.get("SM_MICRON_BAR"))
    written = entries.get("CM_FIELD_OF_VIEW", "")
    if not written:
        return marked or _without_both(entries)
    field, unit_missing = _field(entries)
    source = "JEOL CM_FIELD_OF_VIEW"
    if not field:
        return marked if marked and marked.pixel_size else sized((None, None), written, source)
    if not scan.columns or not scan.rows:
        text = f"{source} is {clean(written)}, but the scan's columns (CM_IMAGE_SIZE) are missing."
        return marked if marked and marked.pixel_size else unusable(text)
    rows = field[1] / scan.rows if len(field) == 2 else field[0] / scan.columns
    found = sized((rows, field[0] / scan.columns), written, f"{source} over the scan's columns")
    if marked and marked.pixel_size and found.pixel_size and bar:
        one, other = found.pixel_size[1], marked.pixel_size[1]
        if abs(one - other) > (AGREE + 1 / bar) * max(one, other):  # a bar's pixels are whole numbers
            text = f"{source} gives {length_text(one)} per pixel, SM_MICRON_MARKER over SM_MICRON_BAR "
            return withdrawn(found, f"{text}{length_text(other)}; neither is used.")
    elif unit_missing:
        return unusable(f"{source} is {clean(written)}, without a unit; it is not used.")
    return found


def _marked(entries: _Entries) -> Metadata | None:
    """The scale bar's length over its pixels; None where neither is there."""
    marker, bar = entries.get("SM_MICRON_MARKER", ""), entries.get("SM_MICRON_BAR", "")
    if not marker and not bar:
        return None
    if not marker or not bar:
        there, missing = ("SM_MICRON_MARKER", "SM_MICRON_BAR") if marker else ("SM_MICRON_BAR", "SM_MICRON_MARKER")
        return unusable(f"JEOL {there} is {clean(marker or bar)}, but {missing} is missing: no pixel size follows.")
    metre, pixels = length(marker), number(bar)
    size = metre / pixels if metre is not None and pixels else None
    return sized((size, size), f"{marker} over {bar} px", "JEOL SM_MICRON_MARKER over SM_MICRON_BAR")


def _without_both(entries: _Entries) -> Metadata:
    written = entries.get("CM_PIXEL_SIZE", "")
    if not written:
        return Metadata()
    return unusable(f"JEOL CM_PIXEL_SIZE is {clean(written)}, in a unit that differs between models; it is not used.")


def _read_tem(values: Mapping[int, Any], shape: Shape) -> Metadata | None:
    if _HEADER_TAG in values:
        return not_read("jeol", f"TEM metadata in JEOL's tag {_HEADER_TAG}")
    if "JEOL" in decoded(values.get(MAKE)) and "<TemReporter" in decoded(values.get(IMAGE_DESCRIPTION))[:2000]:
        return not_read("jeol", "metadata of JEOL's TEM software")
    return None


def _read_make(values: Mapping[int, Any], shape: Shape) -> Metadata | None:
    """JEOL's SEMs name themselves in the picture and write the pixel size beside it."""
    make, model = (clean(decoded(values.get(code))) for code in (MAKE, MODEL))
    if not make.upper().startswith("JEOL") and not model.upper().startswith("JSM-"):
        return None
    return Metadata(vendor="jeol", instrument=model)


FORMATS = (
    Format(
        vendor="jeol",
        models="SEMs, the JSM-IT series and 4700F among them",
        where="`x.txt` beside `x.tif`, `x.bmp`, `x.jpg` …",
        keys="`CM_FIELD_OF_VIEW` over `CM_IMAGE_SIZE` or `CM_FULL_SIZE`; `SM_MICRON_MARKER` / `SM_MICRON_BAR`; "
        "`SM_PNU_HEIGHT` (rows of the data bar); `CM_PIXEL_SIZE` is not trusted",
        units="written behind the number; kV; `SM_WD` in mm",
        source="real files; delmic/odemis#3283; public readers",
        sidecars=("{stem}.txt",),
        read_sidecar=jeol_sidecar,
    ),
    Format(
        vendor="jeol",
        models="SEMs",
        where="TIFF and EXIF tags Make, Model",
        keys="the instrument's name; the pixel size is in the text file beside the picture",
        units="-",
        source="public readers",
        read=_read_make,
        texts=(MAKE, MODEL),
    ),
    Format(
        vendor="jeol",
        models="TEM software (SightX and others)",
        where="TIFF tag 65027; ImageDescription: XML `TemReporter`",
        keys="named, not read",
        units="-",
        source="tifffile; rosettasciio's TIFF reader",
        read=_read_tem,
        tags=(_HEADER_TAG,),
        texts=(MAKE, IMAGE_DESCRIPTION),
    ),
)
