"""Numbers and units as instruments write them, converted once: lengths to metres, voltages to volts."""

import re
from collections.abc import Sequence
from dataclasses import replace
from math import isclose, isfinite
from typing import Any

from napari_semclass.micrograph.metadata.record import Metadata, Outcome, clean, unusable
from napari_semclass.micrograph.metadata.units import metres_per, unified, volts_per

_SMALLEST_PIXEL, _LARGEST_PIXEL = 1e-12, 1e-2  # metres
_SQUARE = 0.005  # how much rounding may make pixels oblong
AGREE = 0.02  # how much two statements of one length may differ
_TALLEST_BAR = 0.4  # of the picture's height
_MOST_TEXT = 100  # characters looked at
# A comma is a decimal one: instruments write no thousands separators. An exponent is e-9, E-009, or x10^-9.
_QUANTITY = re.compile(
    r"\s*([+-]?[0-9]{1,20}(?:[.,][0-9]{0,20})?|[+-]?[.,][0-9]{1,20})"
    r"(?:[eE]([+-]?[0-9]{1,3})|\s*[x×*·]\s*10(?:\^\s*([+-]?[0-9]{1,3})|([+-][0-9]{1,3})))?\s*(\S.*)?",
    re.DOTALL,
)


def number(value: Any) -> float | None:
    """A finite number, or None for whatever else a tag holds."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        found = quantity(value)
        return found[0] if found and not found[1] else None
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if isfinite(result) else None


def quantity(text: Any) -> tuple[float, str] | None:
    """A finite number and the unit behind it (may be empty), as in `5,825 nm`; None for anything else."""
    match = _QUANTITY.fullmatch(unified(str(text)[:_MOST_TEXT]).strip())
    if not match:
        return None
    exponent = match[2] or match[3] or match[4] or "0"
    value = float(f"{match[1].replace(',', '.')}e{exponent}")
    return (value, (match[5] or "").strip()) if isfinite(value) else None


def metres(value: float | None, unit: Any) -> float | None:
    """A length in metres; None for an unknown unit."""
    factor = metres_per(unit)
    return None if value is None or factor is None else value * factor


def length(text: Any, default: str = "") -> float | None:
    """A length such as `10um` in metres; `default` is the unit where none stands."""
    found = quantity(text)
    return metres(found[0], found[1] or default) if found else None


def volts(text: Any, default: str = "V") -> float | None:
    """A voltage such as `5.00 kV` or `-5 kV` in volts, without its sign; None for 0 and for more than 10 MV."""
    found = quantity(text)
    factor = volts_per(found[1] or default) if found else None
    return positive(abs(found[0]) * factor, 1e7) if found and factor else None


def magnification(text: Any) -> float | None:
    """A magnification such as `50.00 K X`."""
    found = quantity(text)
    if not found:
        return None
    unit = found[1].lower().replace(" ", "")
    factor = {"": 1.0, "x": 1.0, "k": 1e3, "kx": 1e3}.get(unit)
    return positive(found[0] * factor, 1e9) if factor else None


def positive(value: float | None, most: float) -> float | None:
    """The value if it is above 0 and at most `most`, else None."""
    return value if value is not None and 0 < value <= most else None


def length_text(value: float) -> str:
    """A length with four digits, such as `5.825 nm`."""
    for unit, size in (("m", 1.0), ("mm", 1e-3), ("µm", 1e-6), ("nm", 1e-9)):
        if abs(value) >= size:
            return f"{value / size:.4g} {unit}"
    return f"{value / 1e-12:.4g} pm"


def agree(one: float, other: float) -> bool:
    """Whether two lengths are the same within what rounding explains."""
    return isclose(one, other, rel_tol=AGREE)


def sized(size: Sequence[float | None], written: Any, source: str) -> Metadata:
    """Metadata with this pixel size (metres along y and x), or with a warning where it cannot be one.

    `written` is what stands in the file, for the warning.
    """
    y, x = size
    if y is None or x is None or not (isfinite(y) and isfinite(x)):
        what = "no length" if y is None and x is None else "a length along one axis only"
        return unusable(f"{source} is {clean(str(written)[:_MOST_TEXT])!r}, which is {what}.")
    y, x = (float(f"{side:.12g}") for side in (y, x))  # without the noise of converting units
    for value in (y, x):
        if value <= 0:
            return unusable(f"{source} is {value:g} m, which is no pixel size.")
        if not _SMALLEST_PIXEL <= value <= _LARGEST_PIXEL:
            return unusable(f"{source} is {value:.4g} m per pixel; only 1 pm to 1 cm is believed.")
    if isclose(y, x, rel_tol=_SQUARE):
        return Metadata((x, x), source)
    text = f"Pixels are not square ({length_text(y)} high, {length_text(x)} wide by {source})."
    return Metadata((y, x), source, warnings=(text,))


def withdrawn(found: Metadata, reason: str) -> Metadata:
    """The same without its pixel size, which must not be used; `reason` is the sentence."""
    warnings = (*found.warnings, reason)
    return replace(found, pixel_size=None, pixel_size_source="", warnings=warnings, outcome=Outcome.UNUSABLE)


def contradicts(size: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two pixel sizes differ along either axis."""
    return not all(agree(one, two) for one, two in zip(size, other, strict=True))


def bar_below(scan_rows: float | None, rows: int, where: str) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
    """Rows `[start, stop)` below a scan of so many rows, and warnings; None where the scan fills the picture."""
    if scan_rows is None or scan_rows == rows:
        return None, ()
    if scan_rows != int(scan_rows) or not (1 - _TALLEST_BAR) * rows <= scan_rows < rows:
        text = f"{where} gives a scan of {scan_rows:g} rows, which does not fit a picture of {rows:,}; it is not used."
        return None, (text,)
    return (int(scan_rows), rows), ()


def of_scan(found: Metadata, columns: float, shape: tuple[int, int], where: str) -> Metadata:
    """The same for a scan of so many columns, without its pixel size where the picture has others: it was resized."""
    if columns == shape[1]:
        return found
    text = f"{where} gives a scan of {columns:g} columns, the picture has {shape[1]:,}"
    if found.pixel_size is None:
        return replace(found, warnings=(*found.warnings, f"{text}."))
    return withdrawn(found, f"{text}: the pixel size of {length_text(found.pixel_size[1])} is not used.")
