"""Which tile is suggested next: unsure ones, and never the same twice."""

import numpy as np
from numpy.typing import NDArray

from napari_semclass.annotate.suggest import next_tiles


def _tiles(n: int = 40) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Different features, and probabilities that are the surer the later the tile comes."""
    features = np.random.default_rng(0).normal(size=(n, 16)).astype(np.float32)
    best = np.linspace(0.5, 1.0, n, dtype=np.float32)
    return features, np.stack([best, 1 - best], axis=1)


def test_suggestions_are_unsure_unmarked_and_all_different() -> None:
    features, probabilities = _tiles()
    marked = np.zeros(40, dtype=bool)
    marked[:5] = True
    found = next_tiles(features, probabilities, marked, n=10)
    assert len(set(found.tolist())) == 10
    assert not marked[found].any()
    assert found.max() < 25  # the surer half does not compete


def test_a_model_that_is_sure_of_all_still_gets_different_tiles() -> None:
    features, _ = _tiles()
    sure = np.tile(np.array([1, 0], dtype=np.float32), (40, 1))
    assert len(set(next_tiles(features, sure, np.zeros(40, dtype=bool), n=6).tolist())) == 6


def test_near_copies_of_a_marked_or_suggested_tile_are_left_out() -> None:
    features, _ = _tiles()
    noise = np.random.default_rng(1).normal(scale=1e-3, size=features.shape).astype(np.float32)
    twice = np.concatenate([features, features + noise])
    even = np.full((80, 2), 0.5, dtype=np.float32)
    marked = np.zeros(80, dtype=bool)
    marked[:20] = True
    found = next_tiles(twice, even, marked, n=80)
    assert sorted((found % 40).tolist()) == list(range(20, 40))


def test_nothing_is_suggested_where_all_is_marked() -> None:
    features, probabilities = _tiles()
    assert len(next_tiles(features, probabilities, np.ones(40, dtype=bool), n=3)) == 0


def test_of_a_large_mosaic_the_least_sure_tiles_are_suggested_from_all_over_it() -> None:
    features, probabilities = _tiles(20_000)
    marked = np.zeros(20_000, dtype=bool)
    marked[::2] = True
    found = next_tiles(features, probabilities, marked, n=12)
    assert len(set(found.tolist())) == 12
    assert not marked[found].any()
    assert found.max() < 9_000
    even = np.full((20_000, 2), 0.5, dtype=np.float32)
    assert np.ptp(next_tiles(features, even, marked, n=12)) > 10_000
