"""The one place that proves that each pixel of an image was in its file.

Decoders fill what is missing with zeros, which would be classified as if they were specimen. So readers take stock of
what is stored (`Inventory`), and only `proven` turns an array into `ProvenPixels`, the only pixels that a micrograph of
a file is made of: it refuses what lacks pixels, or, where a format may leave out blocks that hold nothing, marks them
as having no data.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import MicrographError

_PROOF = object()


@dataclass(frozen=True)
class Inventory:
    """What a file needs to hold for all pixels of an image, and what it does hold.

    Parameters
    ----------
    shape : tuple of int
        That the header states, and the array must have.
    blocks : int
        Strips, tiles or chunks that make up the image; 1 for a format that is decoded as a whole.
    stored : array of bool or None
        Whether each block along each axis is stored, where the format may leave some out; None where it may not.
    lacking : int
        How many are not stored, where it does not.
    ends_at : int
        First byte behind the last block.
    file_bytes : int
        Length of the file.
    """

    shape: tuple[int, ...]
    blocks: int = 1
    stored: NDArray[np.bool_] | None = None
    lacking: int = 0
    ends_at: int = 0
    file_bytes: int = 0


class ProvenPixels:
    """An array of which each pixel was in its file; `has_opacity` where a last axis says of which pixels that is so."""

    def __init__(self, array: Any, *, has_opacity: bool, proof: object) -> None:
        if proof is not _PROOF:
            raise TypeError("ProvenPixels are made by `proven` alone.")
        self.array = array
        self.has_opacity = has_opacity


def proven(array: Any, inventory: Inventory, path: Path) -> ProvenPixels:
    """Prove by an inventory that the array's pixels were in the file.

    Raises
    ------
    MicrographError
        When some were not.
    """
    if inventory.ends_at > inventory.file_bytes:
        raise MicrographError(
            f"{path}: is cut short or damaged (pixels are said to lie behind its {inventory.file_bytes:,} bytes); "
            "copy it again."
        )
    if inventory.lacking:
        there = inventory.blocks - inventory.lacking
        raise MicrographError(
            f"{path}: is damaged (has {there:,} of {inventory.blocks:,} blocks of pixels); copy it again."
        )
    if tuple(array.shape) != inventory.shape:
        raise MicrographError(
            f"{path}: is damaged (its header says {_text(inventory.shape)} pixels, {_text(array.shape)} are there); "
            "copy it again."
        )
    if inventory.stored is not None and not inventory.stored.all():
        return ProvenPixels(_WithOpacity(array, inventory.stored), has_opacity=True, proof=_PROOF)
    return ProvenPixels(array, has_opacity=False, proof=_PROOF)


def changed(pixels: ProvenPixels, array: Any) -> ProvenPixels:
    """The same pixels in another form: converted, turned, or one plane of them."""
    return ProvenPixels(array, has_opacity=pixels.has_opacity, proof=_PROOF)


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


class _WithOpacity:
    """A chunked array with a last axis of level and opacity, which is 0 where a chunk is not stored."""

    def __init__(self, array: Any, stored: NDArray[np.bool_]) -> None:
        self._array, self._stored = array, stored
        self.shape = (*array.shape, 2)
        self.dtype = np.dtype(array.dtype)
        self.chunks = (*array.chunks, 2)

    def __getitem__(self, box: Any) -> NDArray[Any]:
        box = box if isinstance(box, tuple) else (box,)
        levels = np.asarray(self._array[box[: self._array.ndim]])
        places = []
        for axis, (length, edge) in enumerate(zip(self._array.shape, self._array.chunks, strict=True)):
            part = box[axis] if axis < len(box) else slice(None)
            numbers = np.arange(length)[part] // edge
            places.append(np.atleast_1d(numbers))
        stored = self._stored[np.ix_(*places)].reshape(levels.shape)
        both = np.stack([levels, np.where(stored, _opaque(self.dtype), 0).astype(self.dtype)], axis=-1)
        return both[(..., *box[self._array.ndim :])] if len(box) > self._array.ndim else both


def _opaque(dtype: np.dtype[Any]) -> Any:
    return np.iinfo(dtype).max if dtype.kind in "ui" else 1
