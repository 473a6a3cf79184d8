"""Splits: a group is never on both sides, and folds on disk fit their data or are refused."""

from pathlib import Path

import numpy as np
import pytest

from napari_semclass.errors import SettingsError
from napari_semclass.learn.dataset import Picture
from napari_semclass.learn.split import (
    leave_one_group_out,
    read_folds,
    splits_of_folds,
    stratified_group_folds,
    write_folds,
)

FOLDER = Path("data")


@pytest.fixture
def pictures() -> list[Picture]:
    """Three categories of ten groups each, with one to four pictures per group."""
    return [
        Picture(FOLDER / name / f"{group}_{shot}.png", name, f"{name}{group}")
        for name in ("Fibres", "Powder", "Tips")
        for group in range(10)
        for shot in range(1 + group % 4)
    ]


def groups_at(pictures, indices):
    return {pictures[int(index)].group for index in indices}


def test_groups_stay_whole_and_every_fold_sees_every_category(pictures):
    numbers = stratified_group_folds(pictures, 5, seed=0)
    assert set(numbers.tolist()) == {0, 1, 2, 3, 4}
    for training, held_out in splits_of_folds(numbers):
        assert not groups_at(pictures, training) & groups_at(pictures, held_out)
        assert len(training) + len(held_out) == len(pictures)
        assert {pictures[int(index)].category for index in held_out} == {"Fibres", "Powder", "Tips"}


def test_the_seed_decides_the_folds(pictures):
    first = stratified_group_folds(pictures, 5, seed=0)
    assert np.array_equal(first, stratified_group_folds(pictures, 5, seed=0))
    assert not np.array_equal(first, stratified_group_folds(pictures, 5, seed=1))


def test_leave_one_group_out_holds_each_group_out_once_and_whole(pictures):
    splits = list(leave_one_group_out(pictures))
    assert len(splits) == 30
    assert sorted(np.concatenate([held_out for _, held_out in splits]).tolist()) == list(range(len(pictures)))
    for training, held_out in splits:
        assert len(groups_at(pictures, held_out)) == 1
        assert not groups_at(pictures, training) & groups_at(pictures, held_out)


def test_folds_come_back_by_name_not_by_order(pictures, tmp_path):
    numbers = stratified_group_folds(pictures, 5, seed=0)
    path = tmp_path / "folds.csv"
    write_folds(pictures, FOLDER, numbers, path)
    assert np.array_equal(read_folds(pictures, FOLDER, path), numbers)
    assert np.array_equal(read_folds(pictures[::-1], FOLDER, path), numbers[::-1])


def test_the_file_names_pictures_by_their_place_in_the_data(pictures, tmp_path):
    path = tmp_path / "folds.csv"
    write_folds(pictures[:1], FOLDER, np.array([3]), path)
    assert path.read_text(encoding="utf-8") == "path,fold\nFibres/0_0.png,3\n"


def test_folds_of_other_data_are_refused(pictures, tmp_path):
    path = tmp_path / "folds.csv"
    write_folds(pictures[1:], FOLDER, np.zeros(len(pictures) - 1, dtype=np.int64), path)
    with pytest.raises(SettingsError, match=r"Fibres/0_0\.png.*other data"):
        read_folds(pictures, FOLDER, path)


def test_a_fold_that_is_no_number_is_refused(pictures, tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text("path,fold\nFibres/0_0.png,first\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"folds\.csv"):
        read_folds(pictures[:1], FOLDER, path)


def test_missing_folds_are_named(pictures, tmp_path):
    path = tmp_path / "folds.csv"
    with pytest.raises(SettingsError) as caught:
        read_folds(pictures, FOLDER, path)
    assert str(caught.value) == f"{path}: the folds cannot be read (No such file or directory)."


def test_a_table_of_something_else_is_refused(pictures, tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text("path,label\nFibres/0_0.png,1\n", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        read_folds(pictures, FOLDER, path)
    assert str(caught.value) == f"{path}: has no columns path and fold."


def test_folds_that_a_spreadsheet_saved_are_read(tmp_path):
    """With its mark at the start of the file, and letters beyond ASCII."""
    picture = Picture(FOLDER / "Fäden" / "1.png", "Fäden", "1")
    path = tmp_path / "folds.csv"
    path.write_text("path,fold\nFäden/1.png,4\n", encoding="utf-8-sig")
    assert read_folds([picture], FOLDER, path).tolist() == [4]


def test_as_many_folds_as_pictures_are_written_or_none_are_claimed(pictures, tmp_path):
    with pytest.raises(ValueError, match="zip"):
        write_folds(pictures, FOLDER, np.zeros(len(pictures) - 1, dtype=np.int64), tmp_path / "folds.csv")
