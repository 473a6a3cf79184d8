"""Folders of labelled pictures are learned from like marks, and are never on both sides of a test."""

import shutil

import imageio.v3 as iio
import numpy as np
import pytest

from napari_semclass.annotate import (
    Categories,
    Marks,
    Point,
    Project,
    Source,
    collect_tiles,
    export_tiles,
    mark_tiles,
    write_project,
)
from napari_semclass.annotate.imported import ExampleReader, read_examples
from napari_semclass.annotate.learning import learn_labelled
from napari_semclass.classify import Settings
from napari_semclass.cli import main
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import as_micrographs

DARK_AND_BRIGHT = Categories().add("Dark").add("Bright")


@pytest.fixture
def folder(tmp_path):
    """Six pictures of 32 px below each of `dark` and `bright`."""
    random = np.random.default_rng(0)
    for level, name in ((40, "dark"), (200, "bright")):
        (tmp_path / "examples" / name).mkdir(parents=True)
        for number in range(6):
            half = np.where(np.arange(32) < 16, level, level - 30)[None].repeat(32, 0)
            pixels = np.clip(half + random.normal(0, 12, (32, 32)), 0, 255).astype(np.uint8)
            iio.imwrite(tmp_path / "examples" / name / f"{number}.png", pixels)
    return tmp_path / "examples"


def learned(labelled, model):
    steps = learn_labelled(labelled, model, name="mine", title="Mine")
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_examples_alone_make_a_model_that_is_tested_by_their_files(folder, tiny_model):
    labelled = collect_tiles([], DARK_AND_BRIGHT, 32, read_examples([str(folder)], tiny_model.card, 32))
    assert labelled.counts() == labelled.counts_imported() == {1: 6, 2: 6}
    assert labelled.grouping.level == "image"
    assert len(set(labelled.grouping.groups.tolist())) == 12
    result = learned(labelled, tiny_model)
    assert result.model.card.names == ("Dark", "Bright")
    assert "imported" in result.sentence


def test_examples_of_no_category_of_the_session_are_left_out(folder, tiny_card):
    examples = read_examples([str(folder)], tiny_card, 32)
    labelled = collect_tiles([], Categories().add("Bright").add("Grey"), 32, examples)
    assert labelled.counts() == {1: 6, 2: 0}
    assert [item.name for item in labelled.used] == ["Bright"]


def marked(pixels, name, card, *, regions, specimen=""):
    micrograph = as_micrographs(pixels, source=name)[0]
    tiles = mark_tiles(Marks(points=tuple(Point(*one) for one in regions)), Settings(tile=32).grid(micrograph, card))
    return Source(name, name, micrograph, specimen=specimen), tiles


PLACES = [(1, 5, 5), (2, 5, 150), (1, 90, 5), (2, 90, 150)]


def test_exported_marks_come_back_with_their_categories_and_features(three_bands, tiny_model, tmp_path):
    pairs = [marked(three_bands, name, tiny_model.card, regions=PLACES) for name in ("a", "b")]
    own = collect_tiles(pairs, DARK_AND_BRIGHT, 32)
    export_tiles(own, tmp_path / "out")
    examples = read_examples([str(tmp_path / "out")], tiny_model.card, 32)
    again = collect_tiles([], DARK_AND_BRIGHT, 32, examples)
    assert again.counts() == {1: 2, 2: 2}  # the other two of each are copies to the pixel
    model = learned(again, tiny_model).model
    expected = learned(own, tiny_model).model
    assert model.card.names == expected.card.names


def test_examples_cut_from_an_image_with_marks_stay_on_its_side_of_a_test(three_bands, tiny_card, tmp_path):
    random = np.random.default_rng(1)
    pictures = [random.integers(0, 255, three_bands.shape, dtype=np.uint8) for _ in range(2)]
    pairs = [marked(pixels, name, tiny_card, regions=PLACES) for name, pixels in zip("ab", pictures, strict=True)]
    export_tiles(collect_tiles(pairs, DARK_AND_BRIGHT, 32), tmp_path / "out")
    examples = read_examples([str(tmp_path / "out")], tiny_card, 32)
    labelled = collect_tiles(pairs, DARK_AND_BRIGHT, 32, examples)
    assert labelled.counts_imported() == {1: 4, 2: 4}
    assert labelled.grouping.level == "image"
    groups = labelled.grouping.groups
    assert len(set(groups.tolist())) == 2
    alone = collect_tiles(pairs[:1], DARK_AND_BRIGHT, 32, read_examples([str(tmp_path / "out")], tiny_card, 32))
    first = alone.grouping.groups[alone.source_index == 0]
    assert len(set(first.tolist())) == 1  # nobody knows which of its regions the examples are


def test_the_reader_reads_once(folder, tiny_card):
    reader = ExampleReader()
    assert not reader.is_ready([str(folder)], tiny_card, 32)
    found = reader.read([str(folder)], tiny_card, 32)
    shutil.rmtree(folder)
    assert reader.read([str(folder)], tiny_card, 32) is found
    with pytest.raises(SettingsError, match="no such folder"):
        reader.read([str(folder)], tiny_card, 64)


def test_the_command_learns_a_projects_examples(folder, models, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEMCLASS_CACHE", str(tmp_path / "cache"))
    project = Project(DARK_AND_BRIGHT, model="tiny", settings=Settings(tile=32), imported=(str(folder),))
    write_project(project, tmp_path / "p.semclass")
    assert main(["learn", str(tmp_path / "p.semclass"), "--out", str(tmp_path / "mine.safetensors")]) == 0
    said = capsys.readouterr()
    assert "of 12 marked tiles right" in said.out
    assert "Dark: 6 tiles" in said.err
