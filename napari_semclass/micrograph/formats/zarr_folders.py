"""zarr arrays and OME-Zarr images: read box by box; what was never stored counts as no data."""

from collections.abc import Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph.formats.blocks import refuse_huge_blocks
from napari_semclass.micrograph.formats.image import Facts, Image, joined
from napari_semclass.micrograph.formats.presence import Inventory, count_blocks, proven
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
    absent = _absent(array)
    pixels = proven(limited, Inventory(tuple(array.shape), _stored_blocks(array), absent=absent), path)
    return Image(_facts(array, metadata, note, absent), pixels, alpha=pixels.has_opacity)


def zarr_facts(path: Path) -> Facts:
    """What a zarr folder says of its image."""
    array, metadata, note = _found(path)
    return _facts(array, metadata, note, _absent(array))


def _facts(array: Any, metadata: Metadata, note: str, absent: frozenset[tuple[int, ...]]) -> Facts:
    height, width = (int(length) for length in array.shape[-2:]) if array.ndim >= 2 else (0, 0)
    planes = count_blocks(tuple(array.shape[:-2]), (1,) * max(0, array.ndim - 2))
    blocks = _stored_blocks(array)
    lacking = f"{len(absent):,} of {blocks:,} chunks are not stored and count as no data (they read as {array.fill_value})"
    return Facts((height, width), (metadata,) * planes, joined((note, lacking if absent else "")))


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
        raise MicrographError(f"{path}: lacks its full resolution (level {name!r} is not in the folder); copy it again.")
    note = f"level 0 of {len(levels)} (full resolution) is used" if len(levels) > 1 else ""
    return group[name], guarded(partial(ome_zarr_metadata, scales)), note


def _edges(array: Any) -> tuple[int, ...]:
    """Sides of what is stored in one piece: shards where there are some, else chunks."""
    return tuple(int(edge) for edge in getattr(array, "shards", None) or array.chunks)


def _stored_blocks(array: Any) -> int:
    return count_blocks(tuple(array.shape), _edges(array))


def _absent(array: Any) -> frozenset[tuple[int, ...]]:
    """Places of chunks (or shards) that are not stored; zarr reads them as the fill value."""
    folder = Path(str(array.store_path.store.root)) / array.path
    counts = [-(-length // edge) for length, edge in zip(array.shape, _edges(array), strict=True)]
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    places = product(*(range(count) for count in counts))
    return frozenset(place for place in places if array.metadata.encode_chunk_key(place) not in names)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
