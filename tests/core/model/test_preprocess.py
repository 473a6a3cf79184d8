"""Tiles that show nothing are told from those whose pattern only looks even where few pixels are looked at."""

import numpy as np
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
