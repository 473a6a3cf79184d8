"""Marks as a run's data: the plan is made to suit them, and every file is known by its layer again."""

import imageio.v3 as iio
import numpy as np
import pytest

from napari_semclass.annotate.categories import Categories
from napari_semclass.annotate.collect import Source, collect_tiles
from napari_semclass.annotate.run_data import MarksNote, TrainingData, discard_data, read_note
from napari_semclass.annotate.tiles import MarkedTiles
from napari_semclass.learn.dataset import read_dataset
from napari_semclass.learn.plan import Plan
from napari_semclass.micrograph import as_micrographs

CATEGORIES = Categories().add("Pores").add("Fibres")
LEFT, RIGHT = [[0, 0, 32, 32], [32, 0, 64, 32]], [[0, 160, 32, 192], [32, 160, 64, 192]]


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 255, (64, 192), dtype=np.uint8)


def marked(boxes, numbers):
    return MarkedTiles(np.array(boxes), np.array(numbers), np.arange(len(boxes)), 0, 0)


@pytest.fixture
def marks(tmp_path):
    """Two categories in two micrographs; the first one is a file, the second one plane 1 of a stack in memory."""
    iio.imwrite(tmp_path / "one.png", pixels(0))
    (one,), two = as_micrographs(pixels(0), source="one"), as_micrographs(np.stack([pixels(1), pixels(2)]))[1]
    sources = (Source("a", "one", one, tmp_path / "one.png"), Source("b", "two", two, None, 1))
    tiles = marked(LEFT + RIGHT, [1, 1, 2, 2])
    return collect_tiles([(source, tiles) for source in sources], CATEGORIES, 32)


def test_the_plan_takes_the_tiles_as_they_are_marked(marks):
    plan = TrainingData(marks, None).suited(Plan(unit="image", tile=224, stride=112))
    assert (plan.unit, plan.tile, plan.stride) == ("tile", 32, 32)
    assert plan.held.share == 0.2


def test_where_nothing_can_be_tested_nothing_is_held_out(marks, tmp_path):
    one_place = collect_tiles([(marks.sources[0], marked(LEFT, [1, 2]))], CATEGORIES, 32)
    assert one_place.grouping.level == "none"
    assert TrainingData(one_place, None).suited(Plan()).held.share == 0
    folder = read_dataset(TrainingData(marks, None).write(tmp_path / "a.run"))
    assert TrainingData(one_place, folder).suited(Plan()).held.share == 0.2  # the folder's groups may do
    assert TrainingData(None, folder).suited(Plan(unit="image")) == Plan(unit="image")


def test_files_are_known_by_their_layers_again(marks, tmp_path):
    run = tmp_path / "a.run"
    dataset = read_dataset(TrainingData(marks, None).write(run))
    assert len(dataset.pictures) == 8
    note = read_note(run)
    places = [note.places[str(picture.path)] for picture in dataset.pictures]
    assert places == [("a", 0)] * 4 + [("b", 1)] * 4
    assert note.tested == marks.grouping.sentence


def test_a_folder_is_learned_from_where_it_lies(marks, tmp_path):
    folder = TrainingData(marks, None).write(tmp_path / "a.run")
    dataset = read_dataset(folder)
    assert TrainingData(None, dataset).write(tmp_path / "b.run") == folder
    assert not (tmp_path / "b.run").exists()
    assert read_note(tmp_path / "b.run") == MarksNote()


def test_what_a_crash_left_is_written_over(marks, tmp_path):
    run = tmp_path / "a.run"
    data = TrainingData(marks, None)
    data.write(run)
    assert len(read_dataset(data.write(run)).pictures) == 8
    discard_data(run)
    assert not (run / "data").exists()
