"""Pixels out: arrays however large, lazy ones included, as tiled TIFF with the values and type that they have."""

import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import MicrographError, brief
from napari_semclass.writing import replacing

_SIDE = 512  # of the tiles in the file
_BIG_BYTES = 2_000_000_000  # from here on TIFF needs 64-bit offsets, whatever compression saves


def write_tiff(pixels: Any, path: Path, *, rgb: bool, alpha: bool = False, name: str) -> None:
    """Write an image, band by band; `open_micrographs` gives its planes back as they are.

    Parameters
    ----------
    pixels : array (…, height, width) or (…, height, width, 2, 3 or 4)
        numpy, dask or zarr; bool becomes uint8.
    path : Path
        Replaced whole, or not at all.
    rgb : bool
        Whether the last axis holds colour channels.
    alpha : bool
        Whether the last of a pixel's samples is its opacity.
    name : str
        Of the image, for messages.

    Raises
    ------
    OutputError
        When the file cannot be written.
    MicrographError
        When the source cannot deliver its pixels.
    """
    import tifffile

    dtype = np.dtype(np.uint8) if pixels.dtype == bool else np.dtype(pixels.dtype).newbyteorder("=")
    shape = tuple(int(n) for n in pixels.shape)
    with replacing(path) as temporary:
        tifffile.imwrite(
            temporary,
            _tiles(pixels, shape, dtype, rgb or alpha, name),
            shape=shape,
            dtype=dtype,
            photometric="rgb" if rgb else "minisblack",
            planarconfig="contig" if rgb or alpha else None,
            extrasamples=["unassalpha"] if alpha else None,
            tile=(_SIDE, _SIDE),
            compression="zlib",
            compressionargs={"level": 1},
            bigtiff=prod(shape) * dtype.itemsize > _BIG_BYTES,
        )
        with temporary.open("rb") as file:
            os.fsync(file.fileno())


def read_box(pixels: Any, box: Any, name: str) -> NDArray[Any]:
    """A box of an array as it is, colours included.

    Raises
    ------
    MicrographError
        When the source cannot deliver it.
    """
    try:
        return np.asarray(pixels[box])
    except Exception as error:  # lazy arrays raise whatever their codec raises
        raise MicrographError(f"{name}: pixels cannot be read ({brief(error)}).") from error


def _tiles(
    pixels: Any, shape: tuple[int, ...], dtype: np.dtype[Any], has_samples: bool, name: str
) -> Iterator[NDArray[Any]]:
    """The file's tiles in its order; each is as large as the others, zeros beyond the edge."""
    leading = shape[: -3 if has_samples else -2]
    height, width = shape[len(leading) : len(leading) + 2]
    for plane in np.ndindex(*leading):
        for top in range(0, height, _SIDE):
            band = read_box(pixels, (*plane, slice(top, top + _SIDE), slice(None)), name).astype(dtype, copy=False)
            for left in range(0, width, _SIDE):
                part = band[:, left : left + _SIDE]
                missing = [(0, _SIDE - part.shape[0]), (0, _SIDE - part.shape[1]), (0, 0)][: part.ndim]
                yield np.ascontiguousarray(np.pad(part, missing))
