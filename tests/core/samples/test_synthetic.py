"""Synthetic micrographs: repeatable, varied, told apart by their category, and labelled truthfully."""

import numpy as np
import pytest

from napari_semclass.errors import SettingsError
from napari_semclass.samples import CATEGORIES, synthetic_micrograph, synthetic_mosaic

SMALL = (96, 128)
NFFA = (
    "Porous_Sponge",
    "Patterned_surface",
    "Particles",
    "Films_Coated_Surface",
    "Powder",
    "Tips",
    "Nanowires",
    "Biological",
    "MEMS_devices_and_electrodes",
    "Fibres",
)


def test_categories_are_those_of_nffa_in_their_order():
    assert CATEGORIES == NFFA


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_seed_decides_the_picture(category):
    first, again, other = (synthetic_micrograph(category, SMALL, seed) for seed in (3, 3, 4))
    assert first.shape == SMALL
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert np.mean(first != other) > 0.5


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_seed_gives_a_usable_exposure(category):
    for seed in range(6):
        picture = synthetic_micrograph(category, SMALL, seed)
        assert picture.std() > 4, f"seed {seed} shows nothing"
        assert np.mean((picture == 0) | (picture == 255)) < 0.25, f"seed {seed} is clipped"


@pytest.mark.parametrize("seed", range(4))
def test_the_data_bar_fills_the_bottom_and_nothing_else(seed):
    shape = (300, 400)
    plain = synthetic_micrograph("Powder", shape, seed)
    barred = synthetic_micrograph("Powder", shape, seed, data_bar=True)
    changed = np.flatnonzero((plain != barred).any(axis=1))
    assert 0.065 * shape[0] <= shape[0] - changed[0] <= 0.095 * shape[0]
    band = barred[changed[0] + 1 :]
    paper = np.median(band)
    assert paper in (0, 255)
    assert 0.01 < np.mean(np.abs(band.astype(int) - paper) > 128) < 0.4, "no writing in the bar"


def test_data_bars_come_dark_and_bright():
    papers = {int(np.median(synthetic_micrograph("Tips", SMALL, s, data_bar=True)[-6:])) for s in range(8)}
    assert papers == {0, 255}


def test_an_unknown_category_is_named_with_the_choices():
    with pytest.raises(SettingsError, match=r"'Nanotubes'.*Porous_Sponge, .*Fibres"):
        synthetic_micrograph("Nanotubes", SMALL)


def test_too_small_a_picture_is_refused():
    with pytest.raises(SettingsError, match="20 x 400 pixels is too small"):
        synthetic_micrograph("Tips", (20, 400))


def test_a_mosaic_comes_with_its_true_map():
    wanted = ["Powder", "Patterned_surface", "Tips"]
    mosaic, truth = synthetic_mosaic((500, 620), seed=2, categories=wanted)
    assert mosaic.shape == truth.shape == (500, 620)
    assert mosaic.dtype == truth.dtype == np.uint8
    assert {CATEGORIES[index] for index in np.unique(truth)} == set(wanted)
    powder, tips = (mosaic[truth == CATEGORIES.index(name)] for name in ("Powder", "Tips"))
    assert powder.mean() > tips.mean() + 20, "the map does not follow the picture"


def test_a_mosaic_repeats_with_its_seed():
    first, again, other = (synthetic_mosaic((200, 200), seed, CATEGORIES[:2]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert np.mean(first[0] != other[0]) > 0.5


def test_regions_of_a_mosaic_hold_whole_tiles():
    _, truth = synthetic_mosaic((1300, 1300), seed=5, categories=CATEGORIES[:3])
    tiles = truth[: 1300 // 224 * 224, : 1300 // 224 * 224].reshape(5, 224, 5, 224).swapaxes(1, 2).reshape(25, -1)
    purity = np.array([np.bincount(tile).max() / tile.size for tile in tiles])
    assert np.mean(purity > 0.95) > 0.3


@pytest.mark.parametrize(("categories", "message"), [([], "at least one category"), (["Rust"], "'Rust'")])
def test_a_mosaic_of_nothing_or_of_unknown_things_is_refused(categories, message):
    with pytest.raises(SettingsError, match=message):
        synthetic_mosaic((200, 200), categories=categories)
