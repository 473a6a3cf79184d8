"""Projects: everything is found again, whatever happens while it is saved, and nothing readable or not is run over."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile

from napari_semclass.annotate import (
    Categories,
    ImageEntry,
    MarkLayer,
    Project,
    ResultEntry,
    arrays,
    locate_images,
    read_project,
    write_project,
)
from napari_semclass.annotate import project as module
from napari_semclass.classify import Prediction, Settings, tile_grid
from napari_semclass.errors import OutputError, SettingsError
from napari_semclass.micrograph import open_micrographs
from napari_semclass.model import Category


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "mine.semclass"


@pytest.fixture(autouse=True)
def another_process(monkeypatch):
    """Each test begins without memory of what was saved before."""
    monkeypatch.setattr(module, "_written", {})


def painted(shape=(300, 400), seed=0):
    labels = np.zeros(shape, dtype=np.uint8)
    random = np.random.default_rng(seed)
    for _ in range(5):
        *plane, y, x = (random.integers(0, n) for n in shape)
        labels[(*plane, slice(y, y + 30), slice(x, x + 40))] = random.integers(1, 4)
    return labels


def prediction(seed=0):
    grid = tile_grid((300, 400), 64, 32, [(0, 200), (220, 300)])
    probabilities = np.random.default_rng(seed).dirichlet([1, 1], len(grid)).astype(np.float32)
    probabilities[3] = np.nan
    categories = (Category("Pores", "#112233"), Category("Fibres", "#445566"))
    return Prediction(probabilities, grid, categories, "cell.tif", 2e-9, {"model": {"name": "m"}, "grey": [0.5, 1]})


def full(tmp_path):
    """A project with something in every field."""
    tifffile.imwrite(tmp_path / "cell.tif", np.arange(120_000, dtype=np.uint16).reshape(300, 400))
    placement = {"scale": np.array([2.0, 2.0]), "units": ["nm", "nm"], "translate": [1, 2]}
    return Project(
        Categories().add("Pores").add("Fibres \u03b1").with_key(1, 7),
        (
            ImageEntry("a", "cell", str(tmp_path / "cell.tif"), (300, 400), "uint16", False, "wool", placement),
            ImageEntry("b", "stack", None, (3, 60, 80), "float32"),
        ),
        (
            MarkLayer("a", "labels", "painted", painted(), extra={"mapping": {"7": 2}}),
            MarkLayer("b", "labels", "deep", painted((3, 60, 80)).astype(np.int32)),
            MarkLayer(
                "a",
                "shapes",
                "boxes",
                (np.array([[0, 0], [0, 9.5], [9, 9], [9, 0]]), np.array([[1, 1], [5, 1], [3, 7.25]])),
                (1, 2),
                ("rectangle", "polygon"),
            ),
            MarkLayer("b", "points", "dots", np.array([[0, 1.5, 2], [2, 3, 4]]), (2, 0)),
            MarkLayer("b", "shapes", "none yet", ()),
            MarkLayer("b", "points", "no points yet", np.zeros((0, 3))),
        ),
        "starter",
        Settings(tile=64, stride=32),
        (
            ResultEntry("a", "starter", "0" * 64, (prediction(),)),
            ResultEntry("b", "mine", "", (None, prediction(1), None)),
        ),
        "quick",
        "seed = 1\n",
        ("/data/more",),
    )


PIXELS = {"b": np.linspace(-1, 1, 3 * 60 * 80, dtype=np.float32).reshape(3, 60, 80)}


def assert_same_marks(one, other):
    assert one.categories == other.categories
    assert len(one.layers) == len(other.layers)
    for a, b in zip(one.layers, other.layers, strict=True):
        assert (a.image, a.kind, a.name, a.numbers, a.shape_types, a.extra) == (
            (b.image, b.kind, b.name, b.numbers, b.shape_types, b.extra)
        )
        if a.kind == "shapes":
            assert len(a.data) == len(b.data)
            for first, second in zip(a.data, b.data, strict=True):
                np.testing.assert_array_equal(first, second)
        else:
            np.testing.assert_array_equal(a.data, b.data)
            assert a.kind == "points" or a.data.dtype == b.data.dtype


def state(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_found_again(tmp_path, folder):
    project = full(tmp_path)
    written = write_project(project, folder, PIXELS)
    found = read_project(folder)
    assert_same_marks(project, found)
    assert [replace(one, placement={}) for one in found.images] == [
        replace(one, placement={}) for one in written.images
    ]
    first, second = found.images
    assert (first.path, first.specimen, first.placement["scale"]) == (str(tmp_path / "cell.tif"), "wool", [2.0, 2.0])
    np.testing.assert_array_equal(np.stack([m.read(0, 60, 0, 80) for m in open_micrographs(second.path)]), PIXELS["b"])
    assert Path(second.path).parent == folder / "images"
    for name in ("model", "settings", "plan_name", "plan", "imported"):
        assert getattr(found, name) == getattr(project, name)
    for mine, theirs in zip(project.results, found.results, strict=True):
        assert (mine.image, mine.model, mine.sha256) == (theirs.image, theirs.model, theirs.sha256)
        for a, b in zip(mine.predictions, theirs.predictions, strict=True):
            if a is None:
                assert b is None
                continue
            np.testing.assert_array_equal(a.probabilities, b.probabilities)
            assert (a.grid, a.categories, a.source, a.pixel_size, a.made) == (
                (b.grid, b.categories, b.source, b.pixel_size, b.made)
            )
    assert found.problems == ()
    assert found.stamp == written.stamp


def test_a_stroke_rewrites_only_what_it_touched(folder, monkeypatch):
    monkeypatch.setattr("napari_semclass.annotate.arrays._BLOCK", 100)
    labels = np.zeros((300, 400), dtype=np.uint8)
    labels[10:20, 10:20] = labels[150:160, 350:360] = 1
    project = write_project(Project(layers=(MarkLayer("a", "labels", "p", labels),)), folder)
    before = {path: path.stat().st_mtime_ns for path in (folder / "marks").iterdir()}
    assert len(before) == 2
    labels[155:170, 355:380] = 2
    write_project(project, folder)
    after = {path: path.stat().st_mtime_ns for path in (folder / "marks").iterdir()}
    assert len(after) == 2
    assert len(before.items() & after.items()) == 1
    np.testing.assert_array_equal(read_project(folder).layers[0].data, labels)


def test_what_is_painted_while_it_is_saved_is_saved_next_time(folder, monkeypatch):
    labels = painted()
    original = arrays._write_npz

    def slow(file, held):
        labels[:] = 3
        original(file, held)

    monkeypatch.setattr(arrays, "_write_npz", slow)
    project = write_project(Project(layers=(MarkLayer("a", "labels", "p", labels),)), folder)
    np.testing.assert_array_equal(read_project(folder).layers[0].data, painted())
    monkeypatch.undo()
    write_project(project, folder)
    assert (read_project(folder).layers[0].data == 3).all()


@pytest.mark.parametrize("fails_at", range(12))
def test_a_save_that_breaks_off_leaves_the_state_before_it(tmp_path, folder, monkeypatch, fails_at):
    project = write_project(full(tmp_path), folder, PIXELS)
    before = read_project(folder)
    changed = replace(
        project,
        categories=project.categories.add("New"),
        layers=(replace(project.layers[0], data=painted(seed=5)), *project.layers[2:]),
    )
    original, calls = os.fsync, iter(range(100))

    def broken(number):
        if next(calls) == fails_at:
            raise OSError(28, "No space left on device")
        original(number)

    monkeypatch.setattr(os, "fsync", broken)
    try:
        write_project(changed, folder)
        expected = changed
    except OutputError as error:
        assert "No space left" in str(error)  # noqa: PT017 - it may come or not, by the number of files
        expected = before
    monkeypatch.undo()
    found = read_project(folder)
    assert_same_marks(expected, found)
    assert found.problems == ()
    assert not list(folder.rglob("*.part"))


def test_a_process_killed_while_saving_leaves_a_whole_project(tmp_path):
    code = f"""
import numpy as np
from napari_semclass.annotate import MarkLayer, Project, write_project
project = Project()
for n in range(10_000):
    labels = np.random.default_rng(n).integers(0, 3, (400, 400)).astype(np.uint16)
    labels[0, 0] = 1 + n
    points = np.full((1 + n, 2), float(n))
    layers = MarkLayer("a", "labels", "p", labels), MarkLayer("a", "points", "d", points, (1,) * len(points))
    from dataclasses import replace
    project = write_project(replace(project, layers=layers), {str(tmp_path / "k.semclass")!r})
    print(n, flush=True)
"""
    for _ in range(3):
        for path in sorted(tmp_path.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        while process.stdout.readline().strip() != "5":
            pass
        time.sleep(np.random.default_rng().uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        found = read_project(tmp_path / "k.semclass")
        assert found.problems == ()
        labels, points = found.layers
        assert labels.data[0, 0] == len(points.data) >= 6


def test_projects_move_with_what_lies_beside_them(tmp_path):
    (tmp_path / "here").mkdir()
    tifffile.imwrite(tmp_path / "here" / "a.tif", np.zeros((9, 9), dtype=np.uint8))
    tifffile.imwrite(tmp_path / "far.tif", np.ones((9, 9), dtype=np.uint8))
    entries = [
        ImageEntry(n, n, str(p), (9, 9), "uint8")
        for n, p in (("a", tmp_path / "here" / "a.tif"), ("b", tmp_path / "far.tif"))
    ]
    write_project(Project(images=tuple(entries)), tmp_path / "here" / "p.semclass")
    (tmp_path / "here").rename(tmp_path / "there")
    found = read_project(tmp_path / "there" / "p.semclass")
    assert [entry.path for entry in found.images] == [str(tmp_path / "there" / "a.tif"), str(tmp_path / "far.tif")]


def test_pixels_kept_in_another_project_are_copied(tmp_path, folder):
    session = tmp_path / "session.semclass"
    saved = write_project(full(tmp_path), session, PIXELS)
    kept = write_project(replace(saved, stamp=""), folder)
    assert Path(kept.images[1].path).parent == folder / "images"
    assert Path(kept.images[1].path).read_bytes() == Path(saved.images[1].path).read_bytes()
    assert kept.images[0].path == saved.images[0].path


def test_colour_images_lazy_ones_and_pyramids_are_kept_to_the_pixel(folder):
    colour = np.random.default_rng(0).integers(0, 255, (40, 600, 3)).astype(np.uint8)
    lazy = da.from_array(np.random.default_rng(1).integers(0, 60_000, (700, 530)).astype(np.uint16), chunks=100)
    images = (
        ImageEntry("c", "c", None, colour.shape, "uint8", rgb=True),
        ImageEntry("l", "l", None, lazy.shape, "uint16"),
        ImageEntry("gone", "gone", None, (5, 5), "uint8"),
    )
    found = write_project(Project(images=images), folder, {"c": colour, "l": [lazy, lazy[::2, ::2]]})
    one, two = (open_micrographs(entry.path)[0] for entry in found.images[:2])
    np.testing.assert_array_equal(one.pixels, colour)
    assert one.rgb
    np.testing.assert_array_equal(two.pixels, lazy.compute())
    assert found.images[2].path is None


def test_marks_are_saved_even_when_pixels_cannot_be(tmp_path, folder):
    def broken(block):
        raise OSError("the disk went away")

    pixels = da.zeros((60, 80), chunks=60, dtype=np.uint8).map_blocks(
        broken, dtype=np.uint8, meta=np.empty((0, 0), np.uint8)
    )
    project = Project(
        images=(ImageEntry("a", "a", None, (60, 80), "uint8"),), layers=(MarkLayer("a", "labels", "p", painted()),)
    )
    with pytest.raises(ValueError, match="pixels cannot be read"):
        write_project(project, folder, {"a": pixels})
    assert_same_marks(read_project(folder), project)


def test_another_windows_marks_are_not_run_over(folder, monkeypatch):
    first = write_project(Project(categories=Categories().add("Pores")), folder)
    monkeypatch.setattr(module, "_written", {})
    second = read_project(folder)
    write_project(replace(second, categories=second.categories.add("Fibres")), folder)
    monkeypatch.setattr(module, "_written", {})
    for project in (first, Project()):
        with pytest.raises(OutputError, match="save under another name"):
            write_project(project, folder)
    assert len(read_project(folder).categories.items) == 2
    write_project(first, folder, overwrite=True)
    assert len(read_project(folder).categories.items) == 1


def test_saves_of_one_window_follow_each_other_even_when_one_overtakes_its_answer(folder):
    project = Project(categories=Categories().add("Pores"))
    write_project(project, folder)  # its answer is still on the way when the last save comes
    write_project(replace(project, categories=project.categories.add("Fibres")), folder)
    assert len(read_project(folder).categories.items) == 2


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: b"", "damaged"),
        (lambda text: text[: len(text) // 2], "damaged"),
        (lambda text: b"[]", "of format None, this program knows format 1"),
        (lambda text: text.replace(b'"format": 1', b'"format": 2'), "of format 2, this program knows format 1"),
        (lambda text: text.replace(b'"kind": "labels"', b'"kind": "meshes"'), "layers.0.kind"),
        (lambda text: text.replace(b'"plan_name"', b'"plan_title"'), "plan_title|plan_name"),
        (lambda text: text.replace(b'"#e69f00"', b'"orange"'), "#rrggbb"),
        (lambda text: text.replace(b'.npz"', b'.npy"'), "files|file"),
        (lambda text: b"\xff" + text, "damaged"),
        (lambda text: b"[" * 100_000, "damaged"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence_and_never_replaced(tmp_path, folder, damage, said, monkeypatch):
    project = write_project(full(tmp_path), folder, PIXELS)
    path = folder / "project.json"
    path.write_bytes(damage(path.read_bytes()))
    before = state(folder)
    with pytest.raises(SettingsError, match=said) as caught:
        read_project(folder)
    assert "\n" not in str(caught.value)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="not replaced"):
            write_project(project, folder, PIXELS, overwrite=overwrite)
    assert state(folder) == before


@pytest.mark.parametrize("damage", ["missing", "cut short", "other", "pickled"])
def test_a_damaged_layer_leaves_the_others_readable_and_stays_as_it_is(tmp_path, folder, damage):
    project = write_project(full(tmp_path), folder, PIXELS)
    stored = json.loads((folder / "project.json").read_text(encoding="utf-8"))
    path = folder / "marks" / stored["layers"][2]["files"][0]
    if damage == "missing":
        path.unlink()
    elif damage == "cut short":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "other":
        np.savez(path, corners=np.zeros((3, 2)), lengths=np.array([9, 9]))
    else:
        np.savez(path, corners=np.array([{}], dtype=object), lengths=np.array([1]))
    before = state(folder)
    found = read_project(folder)
    assert [layer.name for layer in found.layers] == ["painted", "deep", "dots", "none yet", "no points yet"]
    assert len(found.problems) == 1
    assert "boxes" in found.problems[0]
    with pytest.raises(OutputError, match="save under another name"):
        write_project(found, folder)
    assert state(folder) == before
    assert len(project.layers) == 6


def test_a_damaged_result_leaves_the_marks_readable(tmp_path, folder):
    write_project(full(tmp_path), folder, PIXELS)
    stored = json.loads((folder / "project.json").read_text(encoding="utf-8"))
    (folder / "results" / stored["results"][0]["file"]).write_bytes(b"")
    found = read_project(folder)
    assert (len(found.layers), len(found.results), len(found.problems)) == (6, 1, 1)


def test_what_could_not_be_read_again_is_not_saved(tmp_path, folder):
    project = write_project(full(tmp_path), folder, PIXELS)
    before = state(folder)
    unnamed = replace(project, layers=(replace(project.layers[0], name=None),))
    lost = replace(project, images=(replace(project.images[0], name=None),))
    for broken in (unnamed, lost):
        with pytest.raises(OutputError, match="what was saved before is still there"):
            write_project(broken, folder)
    assert state(folder) == before


def test_a_file_whose_name_is_not_unicode_is_found_by_its_content(tmp_path, folder):
    path = tmp_path / os.fsdecode(b"caf\xe9.tif")
    try:
        tifffile.imwrite(path, np.zeros((9, 9), dtype=np.uint8))
    except (OSError, UnicodeError):
        pytest.skip("this file system takes only Unicode names")
    write_project(Project(images=(ImageEntry("a", "a", str(path), (9, 9), "uint8"),)), folder)
    assert locate_images(read_project(folder), folder).paths == {"a": path}


def test_what_is_no_project_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="is no project"):
        read_project(tmp_path / "empty")
    with pytest.raises(SettingsError, match="no such project"):
        read_project(tmp_path / "nowhere")


def test_files_that_no_mark_needs_any_more_go_and_others_stay(tmp_path, folder):
    project = write_project(full(tmp_path), folder, PIXELS)
    (folder / "marks" / "notes.txt").write_text("mine")
    write_project(replace(project, layers=(), results=()), folder)
    assert [path.name for path in (folder / "marks").iterdir()] == ["notes.txt"]
    assert list((folder / "results").iterdir()) == []
    assert len(list((folder / "images").iterdir())) == 1
