"""The table of held-out tiles: what is written is read again, and what it says of mistakes."""

from pathlib import Path

import numpy as np
import pytest

from napari_semclass.errors import SettingsError
from napari_semclass.learn import held_out
from napari_semclass.learn.held_out import HeldOutTiles, read_held_out, write_held_out
from napari_semclass.micrograph import GreyRange

NAMES = ("pores, large", 'the "rest"', "Körner")


def tiles(labels=(0, 0, 1, 2), probabilities=None, folder=Path("/data")):
    """Tiles of two pictures; as given, the second and the last are taken for something else."""
    count = len(labels)
    shares = [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.6, 0.3], [0.9, 0.05, 0.05]]
    return HeldOutTiles(
        tuple(folder / f"{index // 2}.png" for index in range(count)),
        np.array([[0, 10 * index, 8, 10 * index + 8] for index in range(count)]),
        np.arange(count) // 2,
        np.arange(count) // 2 + 5,
        tuple(GreyRange(0.5, 3.25) if index else None for index in range(count)),
        np.array(labels),
        np.array(shares if probabilities is None else probabilities),
        NAMES,
    )


def test_what_is_written_is_read_again(tmp_path):
    written = tiles(folder=tmp_path)
    write_held_out(written, tmp_path / "a.csv")
    read = read_held_out(tmp_path / "a.csv")
    assert (read.paths, read.grey, read.categories) == (written.paths, written.grey, written.categories)
    for name in ("boxes", "pictures", "groups", "labels"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    np.testing.assert_allclose(read.probabilities, written.probabilities, rtol=1e-5)


def test_mistakes_come_with_the_most_confident_first():
    assert tiles().mistakes().tolist() == [3, 1]
    assert tiles().taken_for(0, 1).tolist() == [1]
    assert tiles().taken_for(0, 0).tolist() == [0]
    assert tiles().taken_for(2, 2).tolist() == []


def test_a_picture_gets_the_mean_of_its_tiles_and_the_box_around_them():
    whole = tiles(labels=(0, 0, 2, 2)).per_picture()
    assert len(whole) == 2
    np.testing.assert_allclose(whole.probabilities[0], [0.5, 0.4, 0.1])
    assert whole.boxes.tolist() == [[0, 0, 8, 18], [0, 20, 8, 38]]
    assert whole.answers.tolist() == [0, 0]


def test_the_table_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(held_out, "MOST", 3)
    write_held_out(tiles(), tmp_path / "a.csv")
    assert len(read_held_out(tmp_path / "a.csv")) == 3


@pytest.mark.parametrize("content", ["", "path,y0\n", "a,b\n1,2\n", None])
def test_anything_else_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match="held-out tiles"):
        read_held_out(path)
