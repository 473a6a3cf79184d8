"""Before and after: the earlier model is asked about the very tiles that the new one was tested on."""

from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest

from napari_semclass.errors import SettingsError
from napari_semclass.learn.compare import compare, shared_categories
from napari_semclass.learn.held_out import HeldOutTiles
from napari_semclass.names import paired

LEVELS = {"dark": 25, "grey": 128, "bright": 230}


@pytest.fixture
def held_out(tmp_path):
    """Six tiles of 32 px each of dark, grey and bright in two files; a new model that gets every second one wrong."""

    def make(names=tuple(LEVELS)):
        random = np.random.default_rng(0)
        for file in range(2):
            columns = [np.full((96, 32), level) for level in LEVELS.values()]
            pixels = np.hstack(columns) + random.normal(0, 4, (96, 96))
            iio.imwrite(tmp_path / f"{file}.png", np.clip(pixels, 0, 255).astype(np.uint8))
        boxes = [[32 * row, 32 * column, 32 * row + 32, 32 * column + 32] for row in range(3) for column in range(3)]
        labels = np.tile(np.arange(3), 6)
        answers = np.where(np.arange(18) % 2, (labels + 1) % 3, labels)
        return HeldOutTiles(
            tuple(tmp_path / f"{file}.png" for file in range(2) for _ in range(9)),
            np.array(boxes * 2),
            np.arange(18),
            np.repeat([0, 1], 9),
            (None,) * 18,
            labels,
            0.05 + 0.85 * np.eye(3)[answers],
            names,
        )

    return make


def test_the_better_model_is_seen_to_be_better(tiny_model, held_out):
    found = compare(tiny_model, tiny_model.card, held_out(), device="cpu")
    assert (found.tiles, found.groups) == (18, 2)
    assert found.before[0].value == 1.0
    assert found.after[0].value == pytest.approx(0.5)
    assert found.gain.value == pytest.approx(-0.5)
    assert found.gain.low <= -0.5 <= found.gain.high


def test_names_count_as_equal_whatever_their_case(tiny_model, held_out):
    found = compare(tiny_model, tiny_model.card, held_out(("DARK", "Grey", "bright")), device="cpu")
    assert found.before[0].value == 1.0
    assert shared_categories(("A", "b"), ("a", "c")) == ("A",)


def test_only_tiles_of_shared_categories_are_judged(tiny_model, held_out):
    found = compare(tiny_model, tiny_model.card, held_out(("dark", "other", "bright")), device="cpu")
    assert found.categories == ("dark", "bright")
    assert found.tiles == 12


def test_models_with_nothing_in_common_are_not_compared(tiny_model, held_out):
    with pytest.raises(SettingsError, match="does not know pores, fibres"):
        compare(tiny_model, tiny_model.card, held_out(("pores", "fibres", "bright")), device="cpu")


def test_with_one_group_the_gain_is_not_claimed(tiny_model, held_out):
    tiles = replace(held_out(), groups=np.zeros(18, dtype=np.int64))
    assert compare(tiny_model, tiny_model.card, tiles, device="cpu").gain is None


def test_names_that_differ_by_case_only_keep_their_own_scores():
    assert shared_categories(("Pore", "crack", "pore"), ("crack", "pore")) == ("crack", "pore")
    assert shared_categories(("pore", "crack"), ("Pore", "pore", "crack")) == ("pore", "crack")
    assert shared_categories(("pore", "crack"), ("Pore", "PORE", "crack")) == ("crack",)
    assert shared_categories(("Pore", "PORE", "crack"), ("pore", "crack")) == ("crack",)
    assert shared_categories(("Pore", "crack"), ("PORE", "crack")) == ("Pore", "crack")


def test_a_category_is_scored_by_the_equal_name_before_one_of_other_case():
    assert paired(("crack", "pore"), ("Pore", "crack", "pore")) == {"crack": "crack", "pore": "pore"}
