"""What is drawn for the starter: every category, in varieties that differ, the same each time."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from napari_semclass.samples import CATEGORIES

TRAINING = Path(__file__).parents[3] / "training"
pytestmark = pytest.mark.skipif(
    not (TRAINING / "starter_scenes").is_dir(), reason="no checkout: training/starter_scenes is not there"
)


@pytest.fixture(scope="module")
def scenes():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TRAINING)
        yield importlib.import_module("starter_scenes")


def test_all_categories_are_drawn(scenes):
    assert tuple(scenes.VARIETIES) == CATEGORIES


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_variety_shows_something_and_another_one_each_time(scenes, category):
    kinds = len(scenes.VARIETIES[category])
    pictures = [scenes.generated(category, number, 0) for number in range(2 * kinds)]
    assert all(picture.dtype == np.uint8 and picture.std() > 2 for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == 2 * kinds
    assert {picture.shape for picture in pictures[:kinds]} == {scenes.SIDES}
    np.testing.assert_array_equal(scenes.generated(category, 1, 0), pictures[1])
    assert not np.array_equal(scenes.generated(category, 1, 1), pictures[1])


def test_half_are_worn_as_pictures_in_collections_are(scenes):
    fresh, worn = ([scenes.generated("Tips", 2 * n + part, 0) for n in range(12)] for part in (0, 1))
    assert {picture.shape for picture in fresh} == {scenes.SIDES}
    assert len({picture.shape for picture in worn}) > 3
    assert all(picture.shape[1] <= 640 and picture.shape[0] >= 100 for picture in worn)
    # Stretched until they clip: more of the pixels are black or white.
    clipped = [np.median([np.isin(picture, (0, 255)).mean() for picture in part]) for part in (fresh, worn)]
    assert clipped[1] > 2 * clipped[0]
