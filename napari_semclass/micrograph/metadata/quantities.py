"""Numbers and units as instruments write them, converted once: lengths to metres, voltages to volts."""

import re
from collections.abc import Sequence
from math import isclose, isfinite
from typing import Any

from napari_semclass.micrograph.metadata.record import Metadata

LENGTHS = {
    "fm": 1e-15,
    "pm": 1e-12,
    "picometer": 1e-12,
    "å": 1e-10,
    "angstrom": 1e-10,
    "nm": 1e-9,
    "nanometer": 1e-9,
    "um": 1e-6,
    "micron": 1e-6,
    "micrometer": 1e-6,
    "mm": 1e-3,
    "millimeter": 1e-3,
    "cm": 1e-2,
    "centimeter": 1e-2,
    "m": 1.0,
    "meter": 1.0,
    "in": 0.0254,
    "inch": 0.0254,
}
_VOLTS = {"v": 1.0, "volt": 1.0, "kv": 1e3, "kvolt": 1e3}
_SHORT = 3  # letters up to which a unit has no plural: ms is no length
_SMALLEST_PIXEL, _LARGEST_PIXEL = 1e-12, 1e-2  # metres
_SQUARE = 0.005  # how much rounding may make pixels oblong
AGREE = 0.02  # how much two statements of one length may differ
_TALLEST_BAR = 0.4  # of the picture's height
_MOST_TEXT = 100  # characters looked at
# A comma is a decimal one: instruments write no thousands separators.
_QUANTITY = re.compile(r"\s*([+-]?\d{1,20}(?:[.,]\d{0,20})?(?:[eE][+-]?\d{1,3})?)\s*(\S.*)?")


def number(value: Any) -> float | None:
    """A finite number, or None for whatever else a tag holds."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        found = _QUANTITY.fullmatch(value[:_MOST_TEXT])
        if not found or found[2]:
            return None
        value = found[1].replace(",", ".")
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if isfinite(result) else None


def quantity(text: Any) -> tuple[float, str] | None:
    """A finite number and the unit behind it (may be empty), as in `5,825 nm`; None for anything else."""
    found = _QUANTITY.fullmatch(str(text)[:_MOST_TEXT])
    value = number(found[1]) if found else None
    return None if found is None or value is None else (value, (found[2] or "").strip())


def metres(value: float | None, unit: str) -> float | None:
    """A length in metres; None for an unknown unit."""
    factor = _factor(unit, LENGTHS)
    return None if value is None or factor is None else value * factor


def length(text: Any, default: str = "") -> float | None:
    """A length such as `10um` in metres; `default` is the unit where none stands."""
    found = quantity(text)
    return metres(found[0], found[1] or default) if found else None


def volts(text: Any, default: str = "V") -> float | None:
    """A voltage such as `5.00 kV` in volts; None unless it is above 0 and at most 10 MV."""
    found = quantity(text)
    factor = _factor(found[1] or default, _VOLTS) if found else None
    return positive(found[0] * factor, 1e7) if found and factor else None


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
        return Metadata(warnings=(f"{source} is {str(written)[:_MOST_TEXT]!r}, which is no length.",))
    for value in (y, x):
        if value <= 0:
            return Metadata(warnings=(f"{source} is {value:g} m, which is no pixel size.",))
        if not _SMALLEST_PIXEL <= value <= _LARGEST_PIXEL:
            return Metadata(warnings=(f"{source} is {value:.4g} m per pixel; only 1 pm to 1 cm is believed.",))
    if isclose(y, x, rel_tol=_SQUARE):
        return Metadata((x, x), source)
    text = f"Pixels are not square ({length_text(y)} high, {length_text(x)} wide by {source})."
    return Metadata((y, x), source, warnings=(text,))


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


def _factor(unit: str, known: dict[str, float]) -> float | None:
    # A micro sign (two of Unicode's, ImageJ's escape, UTF-8 read as Latin-1, or unreadable) is written as u.
    plain = unit.strip().lower()
    for sign in ("\\u00b5", "\\u03bc", "âµ", "î¼", "µ", "μ", "\ufffd"):
        plain = plain.replace(sign, "u")
    plain = plain.replace("metre", "meter").removesuffix(".")
    return known.get(plain, known.get(plain.removesuffix("s")) if len(plain) > _SHORT else None)
