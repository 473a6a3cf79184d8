"""Reading chunk by chunk: a chunk of a zarr, TIFF or dask array that several boxes share is decoded once."""

import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of all arrays together. It holds two rows of chunks of 1024 px across 100,000 px of 8 bit.
CACHE_BYTES = 256_000_000
_numbers = itertools.count()
_lock = threading.RLock()
_kept: "OrderedDict[tuple[int, int, int], NDArray[Any]]" = OrderedDict()
_kept_bytes = 0


def chunked(pixels: Any) -> Any:
    """The array (height, width, …) behind a memory of its chunks, or as it is where it has none or too large ones."""
    chunks = getattr(pixels, "chunks", None)
    if chunks is None or isinstance(pixels, np.ndarray):
        return pixels
    edges = [_edges(int(length), chunk) for length, chunk in zip(pixels.shape[:2], chunks[:2], strict=True)]
    rest = int(np.prod(pixels.shape[2:], dtype=np.int64)) * np.dtype(pixels.dtype).itemsize
    largest = int(np.diff(edges[0]).max() * np.diff(edges[1]).max()) * rest
    return pixels if largest > CACHE_BYTES // 4 else _Chunked(pixels, *edges)


class _Chunked:
    """An array whose boxes are put together from chunks; only `[y0:y1, x0:x1]` is understood."""

    def __init__(self, pixels: Any, y_edges: NDArray[np.int64], x_edges: NDArray[np.int64]) -> None:
        self._pixels, self._y, self._x = pixels, y_edges, x_edges
        self.shape, self.dtype = pixels.shape, pixels.dtype
        self._number = next(_numbers)
        weakref.finalize(self, _forget, self._number)

    def __getitem__(self, box: tuple[slice, slice]) -> NDArray[Any]:
        (y0, y1, _), (x0, x1, _) = (part.indices(n) for part, n in zip(box, self._pixels.shape[:2], strict=True))
        out = np.empty((max(0, y1 - y0), max(0, x1 - x0), *self._pixels.shape[2:]), self._pixels.dtype)
        if not out.size:
            return out
        columns = range(*np.searchsorted(self._x, [x0, x1 - 1], side="right").tolist())
        columns = range(columns.start - 1, columns.stop)
        first, last = np.searchsorted(self._y, [y0, y1 - 1], side="right").tolist()
        # A pass goes down: what lies above is not asked for again, and would only fill the memory of large micrographs.
        _forget(self._number, above=first - 1)
        for row in range(first - 1, last):
            top, bottom = max(y0, int(self._y[row])), min(y1, int(self._y[row + 1]))
            with _lock:  # two threads that want the same chunk
                for column, unit in self._units(row, columns):
                    left, right = max(x0, int(self._x[column])), min(x1, int(self._x[column + 1]))
                    shift_y, shift_x = self._y[row], self._x[column]
                    part = unit[top - shift_y : bottom - shift_y, left - shift_x : right - shift_x]
                    out[top - y0 : bottom - y0, left - x0 : right - x0] = part
        return out

    def _units(self, row: int, columns: range) -> Iterator[tuple[int, NDArray[Any]]]:
        """Chunks of one row; neighbours that are not at hand are read together."""
        for missing, group in itertools.groupby(columns, lambda column: (self._number, row, column) not in _kept):
            run = list(group)
            if not missing:
                for column in run:
                    key = self._number, row, column
                    if key in _kept:
                        _kept.move_to_end(key)
                        yield column, _kept[key]
                    else:  # pushed out by those read since
                        yield column, self._read(row, [column])[0]
                continue
            yield from zip(run, self._read(row, run), strict=True)

    def _read(self, row: int, run: list[int]) -> list[NDArray[Any]]:
        edges = self._x[run[0] : run[-1] + 2]
        read = np.asarray(self._pixels[int(self._y[row]) : int(self._y[row + 1]), int(edges[0]) : int(edges[-1])])
        units = np.split(read, edges[1:-1] - edges[0], axis=1)
        if len(units) > 1:  # views would keep all of what was read in memory
            units = [unit.copy() for unit in units]
        for column, unit in zip(run, units, strict=True):
            _keep((self._number, row, column), unit)
        return units


def _edges(length: int, chunk: Any) -> NDArray[np.int64]:
    """Where chunks (of one size, or of those listed) begin along an axis, and its end."""
    if isinstance(chunk, int | np.integer):
        return np.array([*range(0, length, int(chunk)), length])
    return np.cumsum([0, *(size for size in chunk if size)])


def _keep(key: tuple[int, int, int], unit: NDArray[Any]) -> None:
    global _kept_bytes
    _kept[key] = unit
    _kept_bytes += unit.nbytes
    while _kept_bytes > CACHE_BYTES:
        _kept_bytes -= _kept.popitem(last=False)[1].nbytes


def _forget(number: int, above: int | None = None) -> None:
    """Let go of an array's chunks, or of those in rows of chunks above one."""
    global _kept_bytes
    with _lock:
        for key in [key for key in _kept if key[0] == number and (above is None or key[1] < above)]:
            _kept_bytes -= _kept.pop(key).nbytes
