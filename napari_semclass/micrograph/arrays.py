"""Arrays in: an image, a stack or a pyramid becomes micrographs."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph.micrograph import Micrograph


def as_micrographs(
    array: Any,
    *,
    source: str = "array",
    pixel_size: float | None = None,
    rgb: bool | None = None,
    alpha: bool | None = None,
    note: str = "",
    no_data: float | None = None,
) -> list[Micrograph]:
    """Turn an array into micrographs: one for a 2-D image, one per plane for a stack.

    Parameters
    ----------
    array : array (…, height, width) or (…, height, width, 2, 3 or 4)
        numpy, dask or zarr; bool, integer or float of any range. Or a sequence of such arrays, the levels of a
        pyramid from fine to coarse: the finest is used and `note` says so.
    source : str
        Name for messages and tables.
    pixel_size : float or None
        Metres per pixel.
    rgb : bool or None
        Whether the last axis holds colour channels; None guesses (three or more axes, the last 3 or 4 long).
    alpha : bool or None
        Whether the last of a pixel's samples is its opacity (grey and alpha, or RGBA); None takes the fourth of four
        colour channels for it.
    note : str
        Passed on to the micrographs.
    no_data : float or None
        The level that stands for "no data", if there is one.

    Returns
    -------
    list of Micrograph
        In C order of the leading axes; `plane` is set when there is more than one.

    Raises
    ------
    MicrographError
        No pixels, fewer than two axes, or grey levels that are not real numbers.
    """
    if isinstance(array, Sequence) or type(array).__name__ == "MultiScaleData":
        levels = len(array)
        if not levels:
            raise MicrographError(f"{source}: holds no pixels (a pyramid without levels).")
        note = note or f"level 0 of {levels} (full resolution) is used"
        array = array[0]
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        array = np.asarray(array)
    shape = tuple(int(n) for n in array.shape)
    _refuse_unusable(source, shape, np.dtype(array.dtype))
    if rgb is None:
        rgb = not alpha and len(shape) >= 3 and shape[-1] in (3, 4) and min(shape[-3:-1]) > 4
    if alpha is None:
        alpha = rgb and shape[-1] == 4
    leading = shape[: -3 if rgb or alpha else -2]
    if rgb and (len(shape) < 3 or shape[-1] not in (3, 4)):
        raise MicrographError(
            f"{source}: marked as colour, but its shape {' x '.join(map(str, shape))} does not end in 3 or 4 channels; "
            "open it as a grey image."
        )
    if alpha and (len(shape) < 3 or shape[-1] != (4 if rgb else 2)):
        raise MicrographError(
            f"{source}: marked as having an opacity, but its shape {' x '.join(map(str, shape))} does not end in "
            f"{4 if rgb else 2} channels."
        )
    planes = prod(leading)
    return [
        Micrograph(
            # Lazy arrays without views (zarr) are wrapped so that only the asked-for box of a plane is read.
            pixels=_Plane(array, np.unravel_index(index, leading)) if leading else array,
            source=source,
            plane=index if planes > 1 else None,
            pixel_size=pixel_size,
            note=note,
            rgb=rgb,
            alpha=alpha,
            no_data=no_data,
        )
        for index in range(planes)
    ]


class _Plane:
    """One plane of a stack, sliced only when a box of it is read."""

    def __init__(self, stack: Any, index: tuple[Any, ...]) -> None:
        self._stack = stack
        self._index = tuple(int(i) for i in index)
        self.shape = stack.shape[len(index) :]
        self.dtype = stack.dtype
        chunks = getattr(stack, "chunks", None)
        self.chunks = None if chunks is None else chunks[len(index) :]

    def __getitem__(self, box: tuple[slice, slice]) -> Any:
        return self._stack[(*self._index, *box)]


def _refuse_unusable(source: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise MicrographError where no category could be right."""
    if len(shape) < 2:
        raise MicrographError(f"{source}: has {len(shape)} axes; a micrograph needs height and width.")
    if prod(shape) == 0:
        raise MicrographError(f"{source}: holds no pixels (shape {' x '.join(map(str, shape))}).")
    if dtype.kind == "c":
        raise MicrographError(f"{source}: holds complex numbers; take their magnitude first.")
    if dtype.kind not in "buif":
        raise MicrographError(f"{source}: holds {dtype} values, not grey levels; convert them to numbers first.")
