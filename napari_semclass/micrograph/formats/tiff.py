"""TIFF: any number of planes, any kind of pixel, box by box where they are large."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph.formats import orientation, tiff_forms
from napari_semclass.micrograph.formats.blocks import refuse_huge_blocks
from napari_semclass.micrograph.formats.forms import Form
from napari_semclass.micrograph.formats.image import Facts, Image, joined
from napari_semclass.micrograph.formats.presence import changed, proven
from napari_semclass.micrograph.formats.tiff_pages import TiffImage, find_image, frames, page_kinds
from napari_semclass.micrograph.metadata import Metadata, guarded, tiff_metadata, vendor_metadata
from napari_semclass.micrograph.metadata.quantities import number

# Below this a TIFF is read at once, which is faster than chunk by chunk.
_EAGER_BYTES = 256_000_000
_JPEG = (6, 7, 34892, 33007)  # compressions
_NO_DATA_TAG = 42113  # GDAL's
_WHITE_IS_ZERO = 0
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"


def read_tiff(path: Path) -> Image:
    """Open a TIFF's micrograph; its pixels stay on disk where they are many.

    Raises
    ------
    MicrographError
        When it is damaged or lacks pixels.
    """
    with ExitStack() as closing:
        image = _opened(path, closing)
        form = tiff_forms.form_of(image.keyframe, path, has_samples="S" in image.axes)
        facts = _facts(image, path, form.note, upright=True)
        inventory = image.inventory(path)
        for page in frames(image):
            page.__dict__["decode"] = _strict(page)
        if prod(image.shape) * np.dtype(image.series.dtype).itemsize <= _EAGER_BYTES:
            proven(np.broadcast_to(0, image.shape), inventory, path)  # before memory is taken for what is not there
            stored: Any = image.series.asarray() if image.complete else _stacked(image, np)
        else:
            stored = _lazy(image, path)
            closing.pop_all()  # what is read later is read from the open file
        pixels = proven(stored, inventory, path)
        upright = orientation.known(image.keyframe.tags.valueof(orientation.TAG))
        array = _meant(pixels.array, image, form, upright)
        no_data = _no_data(image.keyframe, form)
    return Image(facts, changed(pixels, array), rgb=form.rgb, alpha=form.opacity is not None, no_data=no_data)


def tiff_facts(path: Path, *, upright: bool = True) -> Facts:
    """What a TIFF says of its micrograph; with `upright` False, of its rows and columns as they are stored.

    Raises
    ------
    MicrographError
        When it is damaged.
    """
    with ExitStack() as closing:
        image = _opened(path, closing)
        form = tiff_forms.form_of(image.keyframe, path, has_samples="S" in image.axes)
        return _facts(image, path, form.note, upright=upright)


def _opened(path: Path, closing: ExitStack) -> TiffImage:
    import tifffile

    kinds = page_kinds(path)
    if kinds is None:  # tifffile would follow it for ever
        raise MicrographError(f"{path}: is damaged (its list of pages leads back to itself); copy it again.")
    # tifffile logs what it repairs; what matters reaches the user as an error of ours.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    # A file gives its own planes, never those of other files that it names.
    tiff = tifffile.TiffFile(path, _multifile=False, is_mmstack=False, is_ndtiff=False)
    closing.callback(tiff.close)
    return find_image(tiff, path, kinds)


def _facts(image: TiffImage, path: Path, form_note: str, *, upright: bool) -> Facts:
    page = image.keyframe
    turn = orientation.known(page.tags.valueof(orientation.TAG)) if upright else 1
    height, width = int(page.imagelength), int(page.imagewidth)
    first = guarded(partial(tiff_metadata, image.tiff, page, path))
    samples = image.shape[image.axes.index("S")] if "S" in image.axes else 1
    count = max(1, prod(image.shape) // (height * width * samples))
    own = _page_metadata(image, path, first)
    planes = own if len(own) == count else [first] * count
    return Facts(
        orientation.upright_shape(height, width, turn),
        tuple(orientation.upright_metadata(plane, height, turn) for plane in planes),
        joined((image.note, form_note, orientation.described(turn))),
    )


def _page_metadata(image: TiffImage, path: Path, first: Metadata) -> list[Metadata]:
    """What an instrument says about each page of a stack; empty where that is all the same."""
    pages = image.pages if first.vendor and len(image.pages) > 1 else ()
    own = [guarded(partial(_own_metadata, page)) for page in pages]
    if all(other == own[0] for other in own):
        return []
    return [
        first if found == Metadata() else guarded(partial(tiff_metadata, image.tiff, page, path))
        for page, found in zip(pages, own, strict=True)
    ]


def _own_metadata(page: Any) -> Metadata:
    return (vendor_metadata(page) if hasattr(page, "tags") else None) or Metadata()


def _no_data(page: Any, form: Form) -> float | None:
    """The level of the pixels, as `form` changes them, that the file declares to stand for "no data".

    NaN needs no declaration, and of an entry of a palette or an ink no such level is left.
    """
    level = number(page.tags.valueof(_NO_DATA_TAG))
    if level is None or form.change is None:
        return level
    stored = np.array([level]).astype(page.dtype)
    if page.photometric != _WHITE_IS_ZERO or stored[0] != level:
        return None
    return float(form.change(stored)[0])


def _strict(page: Any) -> Callable[..., Any]:
    """The decoder of a page's blocks, which refuses those that are not stored or end early instead of filling them."""
    decode = page.decode
    is_jpeg = page.compression in _JPEG

    def strict(data: bytes | None, index: int, **options: Any) -> Any:
        if data is None:
            raise ValueError(f"block {index:,} of its pixels is not in the file")
        if is_jpeg and _JPEG_END not in data[max(0, data.rfind(_JPEG_SCAN)) :]:
            raise ValueError(f"block {index:,} of its pixels is cut short")
        return decode(data, index, **options)

    return strict


def _stacked(image: TiffImage, module: Any) -> Any:
    return module.stack([page.asarray() for page in image.pages])


def _lazy(image: TiffImage, path: Path) -> Any:
    """The image, read box by box."""
    import dask.array as da
    import zarr

    size = path.stat().st_size
    stores = [image.series.aszarr(level=0)] if image.complete else [page.aszarr() for page in image.pages]
    arrays = [zarr.open(store, mode="r") for store in stores]
    for array in arrays:
        refuse_huge_blocks(array, path, size)
    return arrays[0] if image.complete else da.stack([da.from_zarr(array) for array in arrays])


def _meant(stored: Any, image: TiffImage, form: Form, turn: int) -> Any:
    """Stored samples (numpy or zarr) as upright grey levels or colours, the samples last."""
    import dask.array as da

    axes = image.axes
    if form.is_plain and "S" not in axes and turn == 1:
        return stored
    array = stored if isinstance(stored, np.ndarray | da.Array) else da.from_zarr(stored)
    has_samples = "S" in axes
    if has_samples:
        place = axes.index("S")
        array = array.transpose([i for i in range(array.ndim) if i != place] + [place])
    if isinstance(array, np.ndarray):
        meant: Any = form.applied(array, has_samples=has_samples)
    else:
        meant = _computed(array, form, has_samples=has_samples)
    y_axis = axes.replace("S", "").index("Y")
    return orientation.upright(meant, turn, y_axis)


def _computed(array: Any, form: Form, *, has_samples: bool) -> Any:
    """A dask array changed as `form` says, block by block, each with all samples of its pixels."""
    if has_samples:
        array = array.rechunk({array.ndim - 1: -1})
    kept = array.ndim - has_samples
    one = form.applied(np.zeros((1,) * kept + array.shape[kept:], array.dtype), has_samples=has_samples)
    chunks = (*array.chunks[:kept], *((n,) for n in one.shape[kept:]))
    axes = {"drop_axis": array.ndim - 1} if has_samples and one.ndim == kept else {}
    if one.ndim > array.ndim:
        axes = {"new_axis": array.ndim}
    return array.map_blocks(form.applied, has_samples=has_samples, dtype=one.dtype, chunks=chunks, meta=one[:0], **axes)
