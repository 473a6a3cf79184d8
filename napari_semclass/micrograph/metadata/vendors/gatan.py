"""Gatan DigitalMicrograph: TIFF tags 65003 to 65010 with the units and scales of both axes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_semclass.micrograph.metadata.formats import Format, Shape
from napari_semclass.micrograph.metadata.quantities import agree, metres, number, sized, withdrawn
from napari_semclass.micrograph.metadata.record import Metadata, bounded
from napari_semclass.micrograph.metadata.text import decoded

_UNITS, _SCALES = (65003, 65004), (65009, 65010)


def gatan_metadata(values: Mapping[int, Any], shape: Shape) -> Metadata | None:
    """Read the tags; None unless there is a scale and a text for the unit, as other programs use these codes, too."""
    scales = [number(values.get(code)) for code in _SCALES]
    texts = [values[code] for code in _UNITS if isinstance(values.get(code), str | bytes)]
    if not texts or all(scale is None for scale in scales):
        return None
    units = [decoded(text).strip() for text in texts]
    units = units if len(units) == 2 else units * 2
    sides = [scale for scale in scales if scale is not None]
    sides = sides if len(sides) == 2 else sides * 2
    lengths = [metres(side, unit) for side, unit in zip(sides, units, strict=True)]
    found = sized(lengths, f"{sides[0]:g} {units[0]}".strip(), "Gatan scale (TIFF tag 65009)")
    if found.pixel_size and not agree(*found.pixel_size):
        text = (
            "Gatan's scales (TIFF tags 65009, 65010) differ, and readers disagree which is that of x; neither is used."
        )
        found = withdrawn(replace(found, warnings=()), text)
    return replace(found, vendor="gatan", raw=bounded({str(code): value for code, value in values.items()}))


FORMATS = (
    Format(
        vendor="gatan",
        models="DigitalMicrograph (Gatan)",
        where="TIFF tags 65003, 65004, 65009, 65010",
        keys="scales and units of both axes; a unit such as 1/nm is no length",
        units="as text in 65003, 65004",
        source="hyperspy/hyperspy#1043; rosettasciio's TIFF reader",
        read=gatan_metadata,
        tags=(*_UNITS, *_SCALES),
    ),
)
