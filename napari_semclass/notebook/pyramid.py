"""The micrograph for a browser: small grey tiles of a pyramid, made when they are looked at and sent from a thread."""

import threading
from collections.abc import Callable, Iterable
from functools import lru_cache
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph import GreyRange, Micrograph, shrink

SIDE = 256  # of a tile in pixels
# Up to this level tiles are averaged from the pixels (2,048 px aside), above it from the tiles below.
_FROM_PIXELS = 3
_KEPT = 1024  # tiles, of 64 kB at most

Key = tuple[int, int, int]
"""Level (0 is full resolution, each further one half as large), row and column of a tile."""


class Pyramid:
    """Tiles of one micrograph.

    Parameters
    ----------
    micrograph : Micrograph
    levels : GreyRange
        Grey levels that become black and white.
    """

    def __init__(self, micrograph: Micrograph, levels: GreyRange) -> None:
        self._micrograph, self._levels = micrograph.with_fills(), levels
        self.depth = max(0, ceil(log2(max(micrograph.shape) / SIDE))) + 1
        self._kept = lru_cache(_KEPT)(self._made)

    def tile(self, key: Key) -> NDArray[np.uint8]:
        """One tile, up to (256, 256); those at the right and lower edge end where the micrograph does.

        Raises
        ------
        MicrographError
            When there is no such tile, or its pixels cannot be read.
        """
        level, row, column = key
        height, width = self._size(level) if 0 <= level < self.depth else (0, 0)
        if not (0 <= row * SIDE < height and 0 <= column * SIDE < width):
            raise MicrographError(f"{self._micrograph.name}: there is no tile {key}.")
        return self._kept(key)

    def _size(self, level: int) -> tuple[int, int]:
        height, width = self._micrograph.shape
        return ceil(height / 2**level), ceil(width / 2**level)

    def _made(self, key: Key) -> NDArray[np.uint8]:
        level, row, column = key
        if level > _FROM_PIXELS:
            return self._from_below(key)
        factor, (height, width) = 2**level, self._micrograph.shape
        side = SIDE * factor
        rows = row * side, min((row + 1) * side, height)
        columns = column * side, min((column + 1) * side, width)
        grey = shrink(self._micrograph, self._levels, factor, rows, columns)
        return np.rint(255 * grey).astype(np.uint8)

    def _from_below(self, key: Key) -> NDArray[np.uint8]:
        """The four tiles of the level below, halved."""
        level, row, column = key
        height, width = self._size(level - 1)
        wide = range(2 * column, min(2 * column + 2, ceil(width / SIDE)))
        high = range(2 * row, min(2 * row + 2, ceil(height / SIDE)))
        whole = np.block([[self._kept((level - 1, r, c)) for c in wide] for r in high])
        even = np.pad(whole, [(0, n % 2) for n in whole.shape], mode="edge")
        quarters = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean(axis=(1, 3))
        return np.rint(quarters).astype(np.uint8)


class TileSender:
    """Makes the tiles that are wanted now, in their order, in a thread that sleeps while none is.

    Parameters
    ----------
    pyramid : Pyramid
    send : callable
        Given a tile's key and pixels; called from the thread.
    failed : callable
        Given one sentence when pixels cannot be read; then the rest of what was wanted is dropped.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        send: Callable[[Key, NDArray[np.uint8]], None],
        failed: Callable[[str], None],
    ) -> None:
        self._pyramid, self._send, self._failed = pyramid, send, failed
        self._wanted: list[Key] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="semclass-tiles", daemon=True)

    def want(self, keys: Iterable[Key]) -> None:
        """These tiles, most wanted first, in place of what was wanted before."""
        with self._changed:
            self._wanted = list(keys)
            self._changed.notify()
        if not self._thread.is_alive() and not self._closed:
            self._thread.start()

    def close(self) -> None:
        """Send no more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._wanted and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                key = self._wanted.pop(0)
            try:
                self._send(key, self._pyramid.tile(key))
            except MicrographError as error:
                with self._changed:
                    self._wanted = []
                self._failed(str(error))
