"""zarr arrays and OME-Zarr images: read box by box; what was never stored counts as no data."""

from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph.formats.blocks import refuse_huge_blocks
from napari_semclass.micrograph.formats.image import Facts, Image, joined
from napari_semclass.micrograph.formats.presence import Inventory, proven
from napari_semclass.micrograph.formats.zarr_stock import stored_chunks
from napari_semclass.micrograph.metadata import Metadata, guarded, ome_zarr_metadata


def read_zarr(path: Path) -> Image:
    """Open a zarr array, or the finest level of an OME-Zarr image.

    Raises
    ------
    MicrographError
        When the folder holds no such thing, or its chunks are too large or packed in an unknown way.
    """
    from napari_semclass.micrograph.packed import held

    array, metadata, note = _found(path)
    refuse_huge_blocks(array, path)
    limited = held(array, path)
    stored = stored_chunks(array, path)
    pixels = proven(limited, Inventory(tuple(array.shape), stored.size, stored=stored), path)
    return Image(_facts(array, metadata, note, stored), pixels, alpha=pixels.has_opacity)


def zarr_facts(path: Path) -> Facts:
    """What a zarr folder says of its image."""
    array, metadata, note = _found(path)
    return _facts(array, metadata, note, stored_chunks(array, path))


def _facts(array: Any, metadata: Metadata, note: str, stored: NDArray[np.bool_]) -> Facts:
    height, width = (int(length) for length in array.shape[-2:]) if array.ndim >= 2 else (0, 0)
    planes = prod(int(length) for length in array.shape[:-2])
    absent = int(stored.size - stored.sum())
    text = f"{absent:,} of {stored.size:,} chunks are not stored and count as no data (they read as {array.fill_value})"
    return Facts((height, width), (metadata,) * planes, joined((note, text if absent else "")))


def _found(path: Path) -> tuple[Any, Metadata, str]:
    """The array of a folder, what is known of it, and which level it is."""
    import zarr
    from zarr.errors import GroupNotFoundError

    try:
        node = zarr.open(str(path), mode="r")
    except (FileNotFoundError, GroupNotFoundError) as error:
        raise MicrographError(f"{path}: is a folder without zarr data in it.") from error
    if isinstance(node, zarr.Array):
        return node, Metadata(), ""
    attributes = dict(node.attrs)
    scales = _mapping(attributes.get("ome", attributes)).get("multiscales")
    if scales:
        return _finest(path, node, _mapping(scales[0]))
    arrays = [name for name, _ in node.arrays()]
    if len(arrays) == 1:
        return node[arrays[0]], Metadata(), ""
    named = ", ".join(sorted(arrays)[:5]) or "none"
    raise MicrographError(f"{path}: is not one zarr image (arrays inside: {named}); name the array's own folder.")


def _finest(path: Path, group: Any, scales: Mapping[str, Any]) -> tuple[Any, Metadata, str]:
    levels = scales["datasets"]
    name = levels[0]["path"]
    if name not in group:
        raise MicrographError(
            f"{path}: lacks its full resolution (level {name!r} is not in the folder); copy it again."
        )
    note = f"level 0 of {len(levels)} (full resolution) is used" if len(levels) > 1 else ""
    return group[name], guarded(partial(ome_zarr_metadata, scales)), note


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
