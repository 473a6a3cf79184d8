"""ImageJ's TIFFs: the resolution tags count in pixels per unit of its own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_semclass.micrograph.metadata.quantities import metres, sized
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean

# ImageJ's names for "not calibrated"; inches are its default for printing.
_NO_UNITS = ("", "pixel", "pixels", "px", "inch", "null", "none")


def imagej_metadata(described: Any, y: float | None, x: float | None) -> Metadata:
    """Read ImageJ's entries; `y` and `x` are pixels per unit."""
    if not isinstance(described, Mapping):
        return Metadata()
    units = [str(described.get(key, described.get("unit", "")))[:20] for key in ("yunit", "unit")]
    found = Metadata()
    if units[1].strip().lower() not in _NO_UNITS:
        lengths = [metres(1 / n, unit) if n else None for n, unit in zip((y, x), units, strict=True)]
        written = f"1 / {x:g} {clean(units[1])}" if x else f"0 pixels per {clean(units[1])}"
        found = sized(lengths, written, "ImageJ resolution and unit")
    return replace(found, raw=bounded(described))
