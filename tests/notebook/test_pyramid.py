"""The pyramid that a browser looks at."""

import numpy as np
import pytest

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph import GreyRange, as_micrographs

pytest.importorskip("anywidget", reason="the widget needs the extra `notebook`")

from napari_semclass.notebook.pyramid import SIDE, Pyramid

LEVELS = GreyRange(0, 255)


class Counted:
    """Counts the pixels that are read."""

    def __init__(self, pixels):
        self.pixels, self.shape, self.dtype, self.read = pixels, pixels.shape, pixels.dtype, 0

    def __getitem__(self, box):
        self.read += self.pixels[box].size
        return self.pixels[box]


def test_a_level_is_the_mean_of_the_pixels_it_stands_for():
    pixels = np.random.default_rng(0).integers(0, 256, (700, 1100)).astype(np.uint8)
    pyramid = Pyramid(as_micrographs(pixels)[0], LEVELS)
    assert pyramid.depth == 4
    np.testing.assert_array_equal(pyramid.tile((0, 1, 2)), pixels[256:512, 512:768])
    assert pyramid.tile((0, 2, 4)).shape == (700 - 512, 1100 - 1024)
    half = pixels[:512, :512].reshape(256, 2, 256, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(pyramid.tile((1, 0, 0)), half, atol=0.51)
    assert pyramid.tile((3, 0, 0)).shape == (88, 138)


def test_levels_above_those_read_from_pixels_come_from_the_tiles_below():
    pixels = np.tile(np.linspace(0, 255, 9000).astype(np.uint8), (5000, 1))
    pyramid = Pyramid(as_micrographs(pixels)[0], LEVELS)
    top = pyramid.tile((pyramid.depth - 1, 0, 0))
    factor = 2 ** (pyramid.depth - 1)
    assert top.shape == (-(-5000 // factor), -(-9000 // factor))
    np.testing.assert_allclose(top[0], np.linspace(0, 255, top.shape[1]), atol=3)


def test_only_what_is_looked_at_is_read():
    counted = Counted(np.zeros((20_000, 20_000), np.uint8))
    pyramid = Pyramid(as_micrographs(counted)[0], LEVELS)
    pyramid.tile((0, 10, 10))
    pyramid.tile((0, 10, 10))
    assert counted.read == SIDE**2


def test_there_is_nothing_outside():
    pyramid = Pyramid(as_micrographs(np.zeros((300, 300), np.uint8))[0], LEVELS)
    for key in ((0, 2, 0), (0, 0, -1), (2, 0, 0), (-1, 0, 0)):
        with pytest.raises(MicrographError, match="there is no tile"):
            pyramid.tile(key)
