"""The Micrograph: one grey plane, lazy or in memory, with what is known about it."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import MicrographError, brief
from napari_semclass.micrograph.chunks import chunked
from napari_semclass.micrograph.databar import DataBar, find_data_bars, specimen_rows
from napari_semclass.micrograph.fill import Fill, find_fills, has_flat_window, lattice_step, read_lattice
from napari_semclass.micrograph.metadata.record import Metadata
from napari_semclass.micrograph.samples import grey_levels, without
from napari_semclass.micrograph.void import LEAST_SAID, VoidMap, void_map, void_text

# One field of view of a microscope stays below this; anything larger is a stitched mosaic, which has no data
# bar of its own, and searching it for one would mean reading it whole.
LARGEST_FIELD_PX = 64_000_000
_NOTHING_KNOWN = Metadata()
_COLOUR_EPSILON = 1e-6  # of the brightest level: grey of the same colour may differ in its last bit
_COMPUTED = ("data_bars", "fills", "void_map", "_lattice")


@dataclass(frozen=True, eq=False)
class Micrograph:
    """One grey plane of pixels and what is known about it.

    Parameters
    ----------
    pixels : array (height, width)
        Grey levels of any real dtype and range; numpy, dask or zarr. Only `read` looks into it.
    source : str
        Where it came from, for messages and tables: a path or a layer name.
    plane : int or None
        Index of the plane (C order over the leading axes) when the source holds several.
    pixel_size : float or None
        Metres per pixel; None when unknown.
    note : str
        What a user should know about how the pixels were chosen, such as the level of a pyramid; may be empty.
    known_bars : tuple of DataBar or None
        Data bars that the user has set; None lets `data_bars` find them.
    rgb : bool
        True when `pixels` is (height, width, 3 or 4): the luminance is taken as it is read.
    alpha : bool
        True when the last of a pixel's samples is its opacity: `pixels` is (height, width, 4) with `rgb`, else
        (height, width, 2).
    metadata : Metadata
        What the file says besides its pixels; where and why `pixel_size` is unknown, too.
    no_data : float or None
        The level that stands for "no data" where the source says so; with colours, of all of them at once.

    Notes
    -----
    Void is what holds no data: NaN and infinity, opacity 0, `no_data`, and the constant fill of mosaics and rotated
    pictures (see `fill`). It is left out as data bars are.
    """

    pixels: Any
    source: str = "array"
    plane: int | None = None
    pixel_size: float | None = None
    note: str = ""
    known_bars: tuple[DataBar, ...] | None = None
    rgb: bool = False
    alpha: bool = False
    metadata: Metadata = _NOTHING_KNOWN
    no_data: float | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.pixels.shape[0]), int(self.pixels.shape[1])

    @property
    def name(self) -> str:
        """The source, with `#plane` where the source holds several."""
        return self.source if self.plane is None else f"{self.source}#{self.plane}"

    @property
    def pixel_size_source(self) -> str:
        """Where the pixel size stands, such as `Zeiss AP_IMAGE_PIXEL_SIZE`; empty when unknown or given by hand."""
        return self.metadata.pixel_size_source if self.pixel_size is not None else ""

    @cached_property
    def data_bars(self) -> tuple[DataBar, ...]:
        """The data bars: the user's, else the instrument's, else those found by their look.

        Pixels are searched at first use, in fields of at most 64 megapixels; larger mosaics have none.
        """
        if self.known_bars is not None:
            return self.known_bars
        if self.metadata.data_bar is not None:
            return (DataBar(*self.metadata.data_bar, confidence=1.0),)
        if prod(self.shape) > LARGEST_FIELD_PX:
            return ()
        grey = self._grey(0, self.shape[0], 0, self.shape[1])
        step = lattice_step(self.shape)
        self.__dict__["_lattice"] = np.ascontiguousarray(grey[::step, ::step])
        return find_data_bars(grey)

    @property
    def specimen(self) -> tuple[tuple[int, int], ...]:
        """Row intervals `[y0, y1)` outside the data bars, top to bottom."""
        return specimen_rows(self.shape[0], self.data_bars)

    @property
    def field(self) -> tuple[int, int, int, int]:
        """Box `(y0, x0, y1, x1)` of the tallest interval of specimen rows, without wholly void borders."""
        y0, y1 = max(self.specimen, key=lambda part: part[1] - part[0], default=(0, self.shape[0]))
        known = self.void_map
        if known is None:
            return y0, 0, y1, self.shape[1]
        columns, rows = np.arange(self.shape[1] + 1), np.arange(y0, y1 + 1)
        down = np.flatnonzero(known.areas(rows, columns[[0, -1]])[:, 0] < self.shape[1])
        across = np.flatnonzero(known.areas(rows[[0, -1]], columns)[0] < y1 - y0)
        if not len(down) or not len(across):
            return y0, 0, y1, self.shape[1]
        return y0 + int(down[0]), int(across[0]), y0 + int(down[-1]) + 1, int(across[-1]) + 1

    @cached_property
    def fills(self) -> tuple[Fill, ...]:
        """The constant fills around and between the fields of a mosaic or beside a rotated picture."""
        if prod(self.shape) > LARGEST_FIELD_PX and not has_flat_window(self.shape, self._grey):
            return ()
        lattice, step = self._lattice, lattice_step(self.shape)
        tolerance = _COLOUR_EPSILON * float(np.nan_to_num(lattice).max()) if self.rgb else 0.0
        allowed = np.ones(self.shape[0], dtype=bool)
        for bar in self.data_bars:
            allowed[bar.start : bar.stop] = False
        return find_fills(lattice, allowed[::step], step, self._grey, tolerance=tolerance)

    @cached_property
    def void_map(self) -> VoidMap | None:
        """How much of any box holds no data; None where every pixel holds some.

        Found at first use; with floating-point numbers, opacity, `no_data` or fill, all is read once, band by band.
        """
        declared = self.alpha or self.no_data is not None or np.dtype(self.pixels.dtype).kind == "f"
        return void_map(self.shape, self.void) if declared or self.fills else None

    @property
    def void_note(self) -> str:
        """How much of the picture holds no data, as part of a sentence; empty where that is nothing."""
        share = 0.0 if self.void_map is None else self.void_map.share
        return void_text(share) if share >= LEAST_SAID else ""

    def remembering(self) -> "Micrograph":
        """The same for one pass over it: chunks that several boxes share are decoded once, as long as it lives.

        The next pass sees what has been written into the array since.
        """
        same = replace(self, pixels=chunked(self.pixels))
        same.__dict__.update({name: self.__dict__[name] for name in _COMPUTED if name in self.__dict__})
        return same

    def with_fills(self) -> "Micrograph":
        """The same with its constant fills as the grey levels that they are: to be shown, without a search for them."""
        same = replace(self)
        same.__dict__["fills"] = ()
        return same

    def read(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        """Grey levels of the box `[y0, y1) x [x0, x1)` as a numpy array (y1-y0, x1-x0), in the source's range.

        Where the box holds pixels without data, they are NaN and the array is of floating-point numbers.

        Raises
        ------
        MicrographError
            When the source cannot deliver these pixels, such as a damaged file.
        """
        grey = self._grey(y0, y1, x0, x1)
        for fill in self.fills if grey.size else ():
            grey = without(grey, fill.mask(grey, y0, x0))
        return grey

    def void(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.bool_]:
        """Pixels of the box `[y0, y1) x [x0, x1)` that hold no data, (y1-y0, x1-x0)."""
        grey = self.read(y0, y1, x0, x1)
        return np.isnan(grey) if grey.dtype.kind == "f" else np.zeros(grey.shape, dtype=bool)

    def _grey(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        """As `read`, but with the constant fill as it is."""
        try:
            block = np.asarray(self.pixels[y0:y1, x0:x1])
        except Exception as error:  # lazy arrays raise whatever their codec raises
            raise MicrographError(f"{self.name}: pixels cannot be read ({brief(error)}).") from error
        return grey_levels(block, rgb=self.rgb, alpha=self.alpha, no_data=self.no_data)

    @cached_property
    def _lattice(self) -> NDArray[Any]:
        return read_lattice(self.shape, self._grey)
