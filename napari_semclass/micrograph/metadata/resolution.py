"""Resolution tags of TIFF, PNG, JPEG and BMP: used as pixel size only where they cannot be meant for printing."""

from dataclasses import dataclass
from typing import Any

from napari_semclass.micrograph.metadata.quantities import length_text, metres, number, positive, sized
from napari_semclass.micrograph.metadata.record import Metadata, unusable

_UNITS = {2: "inch", 3: "cm"}  # by TIFF's and EXIF's ResolutionUnit
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296  # tags of TIFF and EXIF
# Programs write a resolution for screens and printers where they know none. No instrument's scan is that coarse ...
_COARSEST = 20e-6
# ... and these finer ones are printers' and scanners', too.
_PRINTERS = (1440, 1800, 2400, 2540, 2880, 3600, 4000, 4800, 5760, 7200, 9600)
_MOST = 1e15  # pixels per unit


@dataclass(frozen=True)
class Resolution:
    """A resolution in pixels per metre along y and x, both above 0, and where it stands."""

    y: float
    x: float
    source: str

    def metadata(self) -> Metadata:
        """The pixel size it gives, or why it gives none."""
        per_inch = self.x * (metres(1.0, "inch") or 0.0)
        if 1 / self.x > _COARSEST or any(abs(per_inch - known) < 0.5 for known in _PRINTERS):
            text = f"The {self.source} is {per_inch:,.4g} pixels per inch: for printing, not a pixel size."
            return unusable(text)
        return sized((1 / self.y, 1 / self.x), length_text(1 / self.x), self.source)


def resolution_of(y: Any, x: Any, unit: Any, source: str) -> Resolution | None:
    """A resolution from the values of its tags; None where they are missing, zero, or without a unit of length."""
    known = number(unit)
    size = metres(1.0, _UNITS.get(int(known), "")) if known is not None else None
    per_unit = ratio(y), ratio(x)
    if size is None or per_unit[0] is None or per_unit[1] is None:
        return None
    return Resolution(per_unit[0] / size, per_unit[1] / size, source)


def ratio(value: Any) -> float | None:
    """A rational tag (two whole numbers, or already divided) above zero, or None."""
    parts = value if isinstance(value, tuple) else (value, 1)
    above, below = (number(part) for part in parts) if len(parts) == 2 else (None, None)
    return positive(above / below, _MOST) if above and below and below > 0 else None
