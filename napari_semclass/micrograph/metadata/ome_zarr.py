"""OME-Zarr: the scale and unit of the finest level."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from napari_semclass.micrograph.metadata.quantities import metres, number, sized
from napari_semclass.micrograph.metadata.record import Metadata, clean, unusable
from napari_semclass.micrograph.metadata.sources import with_reason


def ome_zarr_metadata(image: Mapping[str, Any]) -> Metadata:
    """Read one entry of `multiscales`: the scales of the first level and of the whole image, multiplied."""
    axes = [axis if isinstance(axis, Mapping) else {} for axis in _list(image.get("axes"))]
    levels = _list(image.get("datasets"))
    level = levels[0] if levels and isinstance(levels[0], Mapping) else {}
    scales = [*_scales(level), *_scales(image)]
    units = [str(axis.get("unit", ""))[:40] for axis in axes[-2:]]
    if len(units) < 2 or not scales:
        return with_reason(Metadata())
    if not all(units):
        plain = all(number(factor) == 1 for scale in scales for factor in scale[-2:])
        text = f"OME-Zarr scale is {clean(scales[0][-2:])}, without a unit; it is not used."
        return with_reason(Metadata() if plain else unusable(text))
    sizes = []
    for axis, unit in zip((-2, -1), units, strict=True):
        factors = [number(scale[axis]) if len(scale) >= 2 else None for scale in scales]
        known = [factor for factor in factors if factor is not None]
        sizes.append(metres(prod(known), unit) if len(known) == len(factors) else None)
    return with_reason(sized(sizes, f"{scales[0][-2:]} in {units}", "OME-Zarr scale"))


def _scales(described: Mapping[str, Any]) -> list[Sequence[Any]]:
    transforms = [t for t in _list(described.get("coordinateTransformations")) if isinstance(t, Mapping)]
    return [t["scale"] for t in transforms if t.get("type") == "scale" and isinstance(t.get("scale"), Sequence)]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
