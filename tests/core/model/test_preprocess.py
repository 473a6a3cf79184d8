"""Tiles that show nothing are told from those whose pattern only looks even where few pixels are looked at."""

import numpy as np
import pytest
import torch

from napari_semclass.model.preprocess import is_blank


def test_even_and_saturated_tiles_are_blank_and_patterns_are_not():
    random = np.random.default_rng(0)
    even = 0.4 + random.normal(0, 0.004, (224, 224))
    saturated = np.ones((224, 224))
    saturated[:40, :40] = random.random((40, 40))
    lattice = np.tile((np.arange(224) % 7 == 0) * 0.6, (224, 1)) + 0.2  # as far apart as the pixels looked at first
    both_ways = np.maximum(lattice, lattice.T)
    noise = random.random((224, 224))
    tiles = torch.from_numpy(np.stack([even, saturated, lattice, both_ways, noise]).astype(np.float32))
    assert is_blank(tiles).tolist() == [True, True, False, False, False]


def test_small_tiles_are_looked_at_as_closely():
    tile = torch.full((1, 32, 32), 0.5)
    assert is_blank(tile).tolist() == [True]
    tile[0, ::2, ::4] = 0.9
    assert is_blank(tile).tolist() == [False]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.09, 0.11, 0.2, 0.5])
@pytest.mark.parametrize("side", [15, 32, 61])
def test_a_tile_is_blank_by_how_many_pixels_differ_and_not_by_where(share, side):
    random = np.random.default_rng(int(100 * share) + side)
    tiles = 0.5 + random.choice([-3.9, 0, 3.9], (8, side, side), p=[0.3, 0.4, 0.3]) / 255
    some = (np.arange(0, side, 2)[:, None], np.arange(0, side, 2))  # those that are looked at
    looked = tiles[:, *some].reshape(8, -1)
    count = round(share * looked.shape[1])
    for tile, place in zip(looked[:4], (slice(count), slice(len(looked[0]) - count, None)) * 2, strict=True):
        tile[place] = 1.0
    for tile in looked[4:]:
        tile[random.permutation(len(tile))[:count]] = 0.0
    tiles[:, *some] = looked.reshape(8, len(some[1]), len(some[1]))
    assert is_blank(torch.from_numpy(tiles.astype(np.float32))).tolist() == [share < 0.1] * 8
