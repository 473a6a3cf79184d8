"""Arrays on disk: named by content, written once, read without trust, predictions to the bit."""

import numpy as np
import pytest

from napari_semclass.annotate.arrays import (
    load_arrays,
    painted_blocks,
    prediction_arrays,
    predictions_from,
    put_block,
    save_arrays,
)
from napari_semclass.classify import Prediction, tile_grid
from napari_semclass.classify.rejection import Rejection
from napari_semclass.errors import SettingsError
from napari_semclass.model import Category


def test_equal_arrays_share_a_file_and_others_do_not(tmp_path):
    one = {"a": np.arange(6).reshape(2, 3)}
    name = save_arrays(one, tmp_path)
    assert save_arrays({"a": one["a"].copy()}, tmp_path) == name
    for other in (
        {"a": one["a"].reshape(3, 2)},
        {"b": one["a"]},
        {"a": one["a"].astype(np.int32)},
        {"a": one["a"] + 1},
    ):
        assert save_arrays(other, tmp_path) != name
    np.testing.assert_array_equal(load_arrays(tmp_path / name)["a"], one["a"])
    with np.load(tmp_path / name, allow_pickle=False) as opened:  # any numpy reads them
        np.testing.assert_array_equal(opened["a"], one["a"])


@pytest.mark.parametrize("held", [np.array([{}], dtype=object), np.array(["text"])])
def test_only_numbers_are_read(tmp_path, held):
    np.savez(tmp_path / "x.npz", a=held)
    with pytest.raises(SettingsError, match="is damaged"):
        load_arrays(tmp_path / "x.npz")


def test_every_flipped_byte_is_found_or_harmless(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, 500).astype(np.uint8)
    name = save_arrays({"a": values}, tmp_path)
    sound = (tmp_path / name).read_bytes()
    for at in range(0, len(sound), 7):
        (tmp_path / name).write_bytes(sound[:at] + bytes([sound[at] ^ 255]) + sound[at + 1 :])
        try:
            found = load_arrays(tmp_path / name)
        except SettingsError:
            continue
        for array in found.values():
            np.testing.assert_array_equal(array, values)


def test_labels_are_their_painted_blocks(monkeypatch):
    monkeypatch.setattr("napari_semclass.annotate.arrays._BLOCK", 16)
    labels = np.zeros((2, 40, 50), dtype=np.int32)
    labels[1, 39, 49] = labels[0, 5, 17] = 7
    blocks = list(painted_blocks(labels))
    assert [corner for corner, _ in blocks] == [(0, 0, 16), (1, 32, 48)]
    again = np.zeros_like(labels)
    for corner, block in blocks:
        put_block(again, corner, block)
    np.testing.assert_array_equal(again, labels)
    with pytest.raises(ValueError, match="outside"):
        put_block(again, (0, 39, 49), np.ones((2, 2), dtype=np.int32))


def test_predictions_come_back_to_the_bit_and_mixed_up_ones_do_not():
    grid = tile_grid((100, 90), 32, 20, [(0, 70), (80, 100)])
    probabilities = np.random.default_rng(0).random((len(grid), 2)).astype(np.float32)
    probabilities[0] = np.nan
    one = Prediction(probabilities, grid, (Category("a", "#000000"), Category("b", "#ffffff")), "s", None, None)
    arrays = prediction_arrays((None, one))
    none, found = predictions_from(arrays)
    assert none is None
    np.testing.assert_array_equal(found.probabilities, probabilities)
    assert (found.grid, found.categories, found.made) == (grid, one.categories, None)
    with pytest.raises(ValueError, match="differ in number"):
        predictions_from({**arrays, "plane1": probabilities[1:]})
    with pytest.raises(ValueError, match="not sound"):
        predictions_from({**arrays, "said": arrays["said"][3:]})


def test_what_was_unknown_is_unknown_when_it_comes_back():
    grid = tile_grid((64, 64), 32)
    categories = Category("a", "#000000"), Category("b", "#ffffff")
    rejection = Rejection(0.6, 1.0, Category("unknown", "#8c8c8c"))
    shares = np.array([[0.9, 0.1], [0.55, 0.45], [0.2, 0.8], [0.3, 0.7]], dtype=np.float32)
    strange = np.array([0.2, 0.3, 1.7, 0.1], dtype=np.float32)
    one = Prediction(shares, grid, categories, strangeness=strange, rejection=rejection)
    (found,) = predictions_from(prediction_arrays((one,)))
    assert found.tile_categories().tolist() == one.tile_categories().tolist() == [0, 2, 2, 1]
    assert found.rejecting(None).tile_categories().tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="strangeness"):
        predictions_from({**prediction_arrays((one,)), "strangeness0": strange[1:]})
