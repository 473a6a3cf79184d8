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


def test_all_categories_are_drawn_in_the_order_of_the_model(scenes):
    assert tuple(scenes.VARIETIES) == CATEGORIES


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_variety_shows_something_and_another_one_each_time(scenes, category):
    kinds = len(scenes.VARIETIES[category])
    pictures = [scenes.generated(category, number, 0) for number in range(2 * kinds)]
    assert all(picture.dtype == np.uint8 and picture.std() > 2 for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == 2 * kinds
    # The first round is as recorded, the second as passed on: of other sizes, too.
    assert {picture.shape for picture in pictures[:kinds]} == {scenes.SIDES}
    assert all(100 <= picture.shape[0] <= 480 and picture.shape[1] <= 640 for picture in pictures[kinds:])
    np.testing.assert_array_equal(scenes.generated(category, 1, 0), pictures[1])
    assert not np.array_equal(scenes.generated(category, 1, 1), pictures[1])
