"""Files in: TIFF, PNG, JPEG, BMP, zarr and OME-Zarr become micrographs, lazily where they are large."""

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_semclass.errors import MicrographError, brief
from napari_semclass.micrograph.headers import PICTURES, is_endless, is_tiff, plane_metadata
from napari_semclass.micrograph.metadata import (
    Metadata,
    guarded,
    ome_zarr_metadata,
    picture_metadata,
    tiff_metadata,
)
from napari_semclass.micrograph.micrograph import Micrograph, as_micrographs

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".zarr")
_GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")  # of Pillow
# Below this a TIFF is read at once, which is faster than chunk by chunk.
_EAGER_BYTES = 256_000_000
LARGEST_BLOCK_BYTES = 1 << 30
"""What a file may make us unpack at once: so much, or as much as the file itself is long."""
# A palette with this share of its colours grey, in order, is an instrument's: the others are its marks.
_GREY_PALETTE = 0.8


def open_micrographs(path: str | Path) -> list[Micrograph]:
    """Open an image file or zarr folder.

    Parameters
    ----------
    path : str or Path
        TIFF (any number of planes, OME, tiled), PNG, JPEG, BMP, or a zarr array or OME-Zarr image.

    Returns
    -------
    list of Micrograph
        One, or one per plane of a stack, with the pixel size and what else the file says (`metadata`). Large TIFFs
        and zarr stay on disk until a box of them is read.

    Raises
    ------
    MicrographError
        Missing, damaged or not an image, in one sentence.
    """
    path = Path(path)
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for names too long for the disk
        raise MicrographError(f"{path}: no such file or folder.")
    if path.is_file() and path.stat().st_size == 0:
        raise MicrographError(f"{path}: is empty (0 bytes).")
    try:
        if path.is_dir():
            return _open_zarr(path)
        if path.is_file():
            return _open_tiff(path) if is_tiff(path) else _open_picture(path)
        raise MicrographError(f"{path}: is neither a file nor a folder.")
    except MicrographError:
        raise
    except MemoryError as error:
        raise MicrographError(f"{path}: does not fit in memory; convert it to a tiled TIFF or zarr.") from error
    except PermissionError as error:
        raise MicrographError(f"{path}: cannot be opened ({error.strerror}).") from error
    except Exception as error:  # decoders raise anything on damaged files
        raise MicrographError(f"{path}: cannot be read as an image ({brief(error)}).") from error


def _open_tiff(path: Path) -> list[Micrograph]:
    import tifffile

    if is_endless(path):  # tifffile would follow it for ever
        raise MicrographError(f"{path}: is damaged (its list of pages leads back to itself); copy it again.")
    # tifffile logs what it repairs; what matters reaches the user as an error of ours.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with tifffile.TiffFile(path) as tiff:
        if not tiff.series:
            raise MicrographError(f"{path}: holds no image.")
        series = tiff.series[0]
        _refuse_truncated(path, series)
        page = series.keyframe
        metadata = guarded(partial(tiff_metadata, tiff, page, path))
        coloured = page.photometric == tifffile.PHOTOMETRIC.PALETTE and not _is_grey(page.colormap)
        if coloured or page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
            return _open_picture(path, metadata)  # Pillow knows what colours such numbers stand for
        white = 2**page.bitspersample - 1 if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE else None
        samples = series.shape[series.axes.index("S")] if "S" in series.axes else 0
        levels = len(series.levels)
        note = f"level 0 of {levels} (full resolution) is used" if levels > 1 else _others(tiff.series)
        planes = plane_metadata(series, metadata)
        array = series.asarray() if series.nbytes <= _EAGER_BYTES else None
    if array is None:
        array = _lazy(path, wrapped=bool(samples) or white is not None)
        _refuse_huge_blocks(array, path, path.stat().st_size)
    array = array if white is None else _negative(array, white)
    opened = _tiff_micrographs(array, series.axes, samples, path, note)
    if len(planes) != len(opened):
        return _described(opened, metadata)
    return [one for plane, known in zip(opened, planes, strict=True) for one in _described([plane], known)]


def _lazy(path: Path, *, wrapped: bool) -> Any:
    """The first image of a TIFF, read box by box; `wrapped` in dask where it has to be computed with."""
    import dask.array as da
    import tifffile
    import zarr

    array = zarr.open(tifffile.imread(path, series=0, level=0, aszarr=True), mode="r")
    return da.from_zarr(array) if wrapped else array


def _is_grey(colours: Any) -> bool:
    """Whether a palette (3, n) is a ramp of grey but for a few colours: then its numbers are grey levels."""
    levels = np.asarray(colours)
    if levels.ndim != 2 or len(levels) != 3:
        return False
    ramp = np.linspace(0, 65535, levels.shape[1])
    return bool(np.mean(np.abs(levels - ramp).max(axis=0) < 65535 / levels.shape[1]) >= _GREY_PALETTE)


def _described(micrographs: list[Micrograph], metadata: Metadata) -> list[Micrograph]:
    """The micrographs with their metadata, their pixel size where it is the same along both axes."""
    oblong = metadata.pixel_size is not None and metadata.square_pixel_size is None
    said = "; the pixel size is not used, because pixels are not square" if oblong else ""
    return [
        replace(
            micrograph,
            metadata=metadata,
            pixel_size=metadata.square_pixel_size,
            note=f"{micrograph.note}{said}".removeprefix("; "),
        )
        for micrograph in micrographs
    ]


def _negative(pixels: Any, white: int) -> Any:
    """Grey levels (numpy or dask) of a file in which 0 is white."""
    return ~pixels if pixels.dtype == bool else pixels.dtype.type(white) - pixels


def _others(series: Sequence[Any]) -> str:
    """What to say of images of other sizes in the same file, such as an instrument's thumbnail or camera view."""
    sizes = ", ".join(" x ".join(map(str, other.shape)) for other in series[1:4])
    return f"the first of {len(series)} images in the file is used (others: {sizes})" if len(series) > 1 else ""


def _tiff_micrographs(array: Any, axes: str, samples: int, path: Path, note: str) -> list[Micrograph]:
    """Micrographs of an array whose axis `S`, if any, holds a pixel's samples: grey, grey and alpha, or colours."""
    if samples:
        array = _moved_last(array, axes.index("S"))
        array = array if samples in (3, 4) else array[..., 0]
    return as_micrographs(array, source=str(path), rgb=samples in (3, 4), note=note)


def _moved_last(array: Any, axis: int) -> Any:
    """The array (numpy or dask) with one axis moved to the end."""
    order = [i for i in range(array.ndim) if i != axis] + [axis]
    return array.transpose(order)


def _refuse_truncated(path: Path, series: Any) -> None:
    """Refuse a file that ends early or lacks strips: read as zeros, they would be classified as if they were there."""
    import tifffile

    size = path.stat().st_size
    for page in series.pages:
        if page is None:
            continue
        ends = (o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False))
        if max(ends, default=0) > size:
            raise MicrographError(
                f"{path}: is cut short or damaged (pixels are said to lie behind its {size:,} bytes); copy it again."
            )
        blocks, there = prod(page.chunked), min(len(page.dataoffsets), len(page.databytecounts))
        whole = page.compression == tifffile.COMPRESSION.NONE and sum(page.databytecounts) >= page.nbytes
        if there < blocks and not whole:
            raise MicrographError(f"{path}: is damaged (has {there:,} of {blocks:,} blocks of pixels); copy it again.")


def _open_picture(path: Path, metadata: Metadata | None = None) -> list[Micrograph]:
    from PIL import Image, UnidentifiedImageError

    if path.suffix.lower() == ".zarr":
        raise MicrographError(f"{path}: is a file; a zarr image is a folder.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large is what micrographs are
            picture = Image.open(path, formats=PICTURES)
    except UnidentifiedImageError as error:
        raise MicrographError(
            f"{path}: cannot be read as an image; its content is not TIFF, PNG, JPEG, BMP or the like."
        ) from error
    except Image.DecompressionBombError as error:
        raise MicrographError(
            f"{path}: is too large for a {path.suffix[1:].upper()} picture, which cannot be read in parts; "
            "convert it to a tiled TIFF or zarr."
        ) from error
    with picture:
        metadata = metadata or guarded(partial(picture_metadata, picture, path))
        colour = picture.mode not in _GREY_MODES
        if picture.mode in ("LA", "La"):
            pixels = np.asarray(picture.getchannel(0))
        else:  # palettes and CMYK become RGB
            pixels = np.asarray(picture.convert("RGB") if colour else picture)
    return _described(as_micrographs(pixels, source=str(path), rgb=colour), metadata)


def _open_zarr(path: Path) -> list[Micrograph]:
    import zarr
    from zarr.errors import GroupNotFoundError

    try:
        node = zarr.open(str(path), mode="r")
    except (FileNotFoundError, GroupNotFoundError) as error:
        raise MicrographError(f"{path}: is a folder without zarr data in it.") from error
    if isinstance(node, zarr.Array):
        return as_micrographs(_bounded(node, path), source=str(path))
    attributes = dict(node.attrs)
    scales = _mapping(attributes.get("ome", attributes)).get("multiscales")
    if scales:
        return _open_ome(path, node, _mapping(scales[0]))
    arrays = [name for name, _ in node.arrays()]
    if len(arrays) == 1:
        return as_micrographs(_bounded(node[arrays[0]], path), source=str(path))
    held = ", ".join(sorted(arrays)[:5]) or "none"
    raise MicrographError(f"{path}: is not one zarr image (arrays inside: {held}); name the array's own folder.")


def _open_ome(path: Path, group: Any, scales: Mapping[str, Any]) -> list[Micrograph]:
    """The finest level of an OME-Zarr image."""
    levels = scales["datasets"]
    note = f"level 0 of {len(levels)} (full resolution) is used" if len(levels) > 1 else ""
    finest = _bounded(group[levels[0]["path"]], path)
    opened = as_micrographs(finest, source=str(path), rgb=False, note=note)
    return _described(opened, guarded(partial(ome_zarr_metadata, scales)))


def _bounded(array: Any, path: Path) -> Any:
    """The zarr array, of which reading a box takes no more memory than it says."""
    from napari_semclass.micrograph.packed import held

    _refuse_huge_blocks(array, path)
    return held(array, path)


def _refuse_huge_blocks(array: Any, path: Path, size: int = 0) -> None:
    """Refuse blocks of which a single one would fill the memory; `size` (bytes) is the file's own length."""
    first = [edge[0] if isinstance(edge, tuple) else edge for edge in array.chunks]
    block = prod(int(length) for length in first) * array.dtype.itemsize
    if block > max(LARGEST_BLOCK_BYTES, size):
        raise MicrographError(
            f"{path}: is stored in blocks of {block / 1e9:,.1f} GB, too large to unpack one; save it in smaller chunks."
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
