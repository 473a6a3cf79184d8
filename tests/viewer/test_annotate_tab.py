"""Marking, learning and looking, as a user does it: keys on the canvas, an overlay that follows, nothing lost."""

import contextlib
from itertools import count

import imageio.v3 as iio
import numpy as np
import pytest
from napari.layers import Shapes
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit
from safetensors.numpy import load_file

from napari_semclass.annotate.autosave import leftovers
from napari_semclass.annotate.categories import Categories
from napari_semclass.annotate.project import ImageEntry, MarkLayer, Project, write_project
from napari_semclass.cli import main
from napari_semclass.viewer import project_desk
from napari_semclass.viewer.layers import results
from napari_semclass.viewer.mark_layers import mark_layers

DARK, GREY, BRIGHT = 5, 80, 150


@pytest.fixture
def annotating(viewer, annotate, three_bands):
    """The Annotate tab in front, with one micrograph and two categories, not live."""
    viewer.add_image(three_bands, name="bands")
    return annotate()


@pytest.fixture
def press(viewer, qtbot):
    """Press a key with the cursor over a place of the canvas, given in the first image's pixels."""

    def press(key, y=None, x=None):
        if y is not None:
            viewer.cursor.position = viewer.layers[0].data_to_world((y, x))
        canvas = viewer.window._qt_viewer.canvas.native
        canvas.setFocus()
        QTest.keyClick(canvas, key)

    return press


@pytest.fixture
def counted(annotating, qtbot):
    """Wait until a number of marked tiles is counted."""

    def wait(tiles):
        qtbot.waitUntil(lambda: annotating.teacher.labelled is not None and len(annotating.teacher.labelled) == tiles)

    return wait


def number_at(viewer, y, x):
    """Name of the predicted category at a pixel of the quick result."""
    (labels,) = results(viewer)
    value = int(np.asarray(labels.data)[y, x])
    return labels.features.set_index("index").loc[value, "category"]


def test_a_key_marks_the_tile_under_the_cursor(annotating, viewer, press, counted):
    press(Qt.Key.Key_1, 40, DARK)
    press(Qt.Key.Key_2, 40, BRIGHT)
    counted(2)
    assert annotating.teacher.labelled.boxes.tolist() == [[32, 0, 64, 32], [32, 128, 64, 160]]
    assert [item.name for item in annotating.teacher.labelled.used] == ["Pores", "Grains"]
    assert "2 tiles marked" in annotating.panel.counts.text()


def test_another_key_corrects_and_zero_takes_away(annotating, press, counted):
    press(Qt.Key.Key_1, 40, DARK)
    counted(1)
    press(Qt.Key.Key_2, 40, DARK)
    press(Qt.Key.Key_1, 40, BRIGHT)
    counted(2)
    assert annotating.teacher.labelled.counts() == {1: 1, 2: 1}
    press(Qt.Key.Key_0, 40, BRIGHT)
    counted(1)


def test_undo_takes_a_mark_back(annotating, viewer, press, counted, qtbot):
    press(Qt.Key.Key_1, 40, DARK)
    counted(1)
    canvas = viewer.window._qt_viewer.canvas.native
    QTest.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    counted(0)


def test_a_name_can_be_typed_while_marks_are_counted(annotating, qtbot):
    table = annotating.panel.categories
    annotating.add_category()
    editor = next(one for one in table.findChildren(QLineEdit) if one.isVisible())
    QTest.keyClicks(editor, "Inclu")
    with qtbot.waitSignal(annotating.teacher.counted):
        annotating.book.changed.emit()
    QTest.keyClicks(editor, "sions")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: annotating.book.categories.by_name("Inclusions") is not None)


def test_after_naming_a_category_its_key_marks_where_the_pointer_goes(annotating, viewer, counted, qtbot):
    table, canvas = annotating.panel.categories, viewer.window._qt_viewer.canvas.native
    annotating.add_category()
    editor = next(one for one in table.findChildren(QLineEdit) if one.isVisible())
    QTest.keyClicks(editor, "Cracks")
    QTest.mouseMove(canvas, canvas.rect().center())
    assert canvas.window().focusWidget() is editor  # a name is not cut short because the pointer strayed
    QTest.keyClick(editor, Qt.Key.Key_Return)
    keys = [category.key for category in annotating.book.categories.items]
    steps = count(1)

    def pointed():
        QTest.mouseMove(canvas, canvas.rect().center() + QPoint(next(steps) % 20, 3))
        return canvas.window().focusWidget() is canvas

    qtbot.waitUntil(pointed)
    QTest.keyClick(canvas.window().focusWidget(), Qt.Key.Key_3)
    counted(1)
    assert [category.key for category in annotating.book.categories.items] == keys


def test_a_micrograph_that_was_not_chosen_is_marked_and_not_the_one_beneath_it(
    annotating, dock, viewer, press, counted, three_bands, qtbot
):
    above = viewer.add_image(three_bands[:, ::-1].copy(), name="above")
    dock.inputs.choose_micrograph(viewer.layers["bands"])
    counted(0)
    press(Qt.Key.Key_1, 40, DARK)
    assert "above is the micrograph now" in dock.state.message
    qtbot.waitUntil(lambda: str(above.unique_id) in annotating.teacher.grids)
    press(Qt.Key.Key_1, 40, DARK)
    counted(1)
    assert [layer.name for layer in mark_layers(viewer)] == ["above · tiles"]


def test_a_key_without_a_category_says_so(annotating, dock, press):
    press(Qt.Key.Key_9, 40, DARK)
    assert "No category has the key 9" in dock.state.message
    while annotating.book.categories.by_key(9) is None:
        assert "No category has the key 9" in dock.state.message
        annotating.add_category()
    assert dock.state.message == ""


def test_keys_are_given_back_with_the_tab(annotating, dock, viewer, press, counted):
    dock.tabs.setCurrentIndex(0)
    press(Qt.Key.Key_1, 40, DARK)
    assert mark_layers(viewer) == []
    dock.tabs.setCurrentIndex(1)
    press(Qt.Key.Key_1, 40, DARK)
    counted(1)


def test_learning_shows_the_users_own_categories(annotating, viewer, press, counted, qtbot):
    for x in (DARK, 40):
        press(Qt.Key.Key_1, 40, x)
    for x in (BRIGHT, 120):
        press(Qt.Key.Key_2, 80, x)
    counted(4)
    annotating.learn()
    qtbot.waitUntil(lambda: bool(results(viewer)))
    assert number_at(viewer, 10, DARK) == "Pores"
    assert number_at(viewer, 10, BRIGHT) == "Grains"
    qtbot.waitUntil(lambda: "Learned in" in annotating.panel.learned.text())


def test_live_learning_follows_each_mark(annotating, viewer, press, counted, qtbot):
    annotating.panel.live.setChecked(True)
    press(Qt.Key.Key_1, 40, DARK)
    press(Qt.Key.Key_2, 40, BRIGHT)
    qtbot.waitUntil(lambda: bool(results(viewer)))
    press(Qt.Key.Key_2, 40, GREY)
    counted(3)
    qtbot.waitUntil(lambda: number_at(viewer, 40, GREY) == "Grains")


def test_the_next_tile_is_asked_about_and_answered_by_one_key(annotating, viewer, press, counted, qtbot, monkeypatch):
    # The tiles of this picture are so alike that hardly any would be worth a mark.
    monkeypatch.setattr("napari_semclass.annotate.suggest._SAME", 0.0)
    press(Qt.Key.Key_1, 40, DARK)
    press(Qt.Key.Key_2, 40, BRIGHT)
    counted(2)
    annotating.learn()
    qtbot.waitUntil(lambda: bool(annotating.suggesting._waiting))
    press(Qt.Key.Key_N)
    asked = annotating.suggesting.asked
    assert asked is not None
    assert any(layer.name == "next tile" for layer in viewer.layers)
    press(Qt.Key.Key_Escape)
    assert annotating.suggesting.asked is None
    assert not any(layer.name == "next tile" for layer in viewer.layers)
    assert "Is this" not in annotating._state.message
    annotating.suggesting.ask(asked)
    annotating.shown(False)  # another tab is looked at: the question and its frame go
    assert not any(layer.name == "next tile" for layer in viewer.layers)
    assert "Is this" not in annotating._state.message
    annotating.shown(True)
    annotating.suggesting.ask(asked)
    press(Qt.Key.Key_A)
    counted(3)
    assert annotating.suggesting.asked is not asked
    press(Qt.Key.Key_1)
    counted(4)


def test_why_is_shown_on_the_tile(annotating, dock, viewer, press, qtbot):
    viewer.cursor.position = (40, DARK)
    press(Qt.Key.Key_Y, 40, DARK)
    qtbot.waitUntil(lambda: any("why" in layer.name for layer in viewer.layers))
    layer = next(layer for layer in viewer.layers if "why" in layer.name)
    np.testing.assert_allclose(layer.data_to_world((0, 0)), (32, 0))
    assert layer.data.shape == (32, 32)


def assert_the_command_learns_the_same(annotating, tmp_path):
    """`semclass learn` gives the model that the dock has, number for number."""
    by_command = tmp_path / "by-command.safetensors"
    assert main(["learn", str(tmp_path / "steel.semclass"), "--out", str(by_command)]) == 0
    annotating.exchange.copy("python")
    with contextlib.chdir(tmp_path):
        exec(QGuiApplication.clipboard().text(), {})  # noqa: S102 - what a user would paste
    mine = load_file(annotating.desk.quick_file())
    for theirs in (load_file(by_command), load_file(tmp_path / "my-marks.safetensors")):
        assert mine.keys() == theirs.keys()
        for name in mine:
            np.testing.assert_array_equal(mine[name], theirs[name])


def test_marks_are_kept_and_a_project_brings_everything_back(
    annotating, dock, viewer, press, counted, qtbot, tmp_path, make_napari_viewer
):
    from napari_semclass.viewer.dock import SemClassifier

    press(Qt.Key.Key_1, 40, DARK)
    press(Qt.Key.Key_2, 40, BRIGHT)
    counted(2)
    annotating.learn()
    qtbot.waitUntil(lambda: "Learned in" in annotating.panel.learned.text())
    annotating.desk.save_as(tmp_path / "steel")
    qtbot.waitUntil(lambda: annotating.panel.project_state.text() == "steel.semclass")
    assert_the_command_learns_the_same(annotating, tmp_path)
    other = make_napari_viewer(show=True)
    again = SemClassifier(other)
    qtbot.addWidget(again)
    qtbot.waitUntil(lambda: again.inputs.model() is not None)
    again.annotating.desk.open(tmp_path / "steel.semclass")
    qtbot.waitUntil(lambda: bool(results(other)))
    assert [item.name for item in again.annotating.book.categories.items] == ["Pores", "Grains"]
    (tiles,) = mark_layers(other)
    assert isinstance(tiles, Shapes)
    assert tiles.nshapes == 2
    np.testing.assert_array_equal(other.layers["bands"].data, viewer.layers["bands"].data)
    assert number_at(other, 10, BRIGHT) == number_at(viewer, 10, BRIGHT)
    again.close()


def test_without_a_project_marks_are_kept_by_themselves(annotating, press, counted, qtbot, monkeypatch):
    press(Qt.Key.Key_1, 40, DARK)
    counted(1)
    qtbot.waitUntil(lambda: "kept by itself" in annotating.panel.project_state.text())
    assert (annotating.desk.folder / "project.json").exists()
    annotating.exchange.copy("command")
    assert QGuiApplication.clipboard().text().startswith(f"semclass learn {annotating.desk.folder} --model tiny")
    assert leftovers() == []  # this session still runs; it is offered after it has ended


def test_who_marks_without_a_pause_is_saved_all_the_same(annotating, viewer, qtbot, monkeypatch):
    monkeypatch.setattr(project_desk, "_LONGEST_MS", 1_500)
    turns = count()
    again = QTimer()
    again.timeout.connect(lambda: annotating.book.mark_tile(viewer.layers[0], 0, (0, 0, 32, 32), 1 + next(turns) % 2))
    again.start(100)
    qtbot.waitUntil(lambda: (annotating.desk.folder / "project.json").exists())
    again.stop()


def test_a_category_with_marks_is_not_removed(annotating, dock, press, counted):
    press(Qt.Key.Key_1, 40, DARK)
    counted(1)
    annotating.remove_category(1)
    assert "has marks" in dock.state.message
    assert len(annotating.book.categories.items) == 2


def test_two_categories_of_one_name_are_refused(annotating, dock):
    annotating.panel.categories.topLevelItem(1).setText(1, "Pores")
    assert "two categories named Pores" in dock.state.message
    assert annotating.panel.categories.topLevelItem(1).text(1) == "Grains"


def test_a_session_that_was_never_saved_is_offered_and_comes_back(dock, viewer, qtbot, tmp_path, three_bands):
    categories = Categories().add("Pores").add("Grains")
    image = ImageEntry("one", "bands", None, three_bands.shape, "uint8")
    points = MarkLayer("one", "points", "spots", np.array([[40.0, 5.0], [40.0, 150.0]]), numbers=(1, 2))
    left = tmp_path / "autosave" / "20260102-030405-4194305-1.semclass"
    write_project(Project(categories=categories, images=(image,), layers=(points,)), left, {"one": three_bands})
    desk = dock.annotating.desk
    (found,) = desk.leftovers()
    assert found.marks == 2
    desk.open(found.folder, named=False)
    qtbot.waitUntil(lambda: "spots" in viewer.layers)
    np.testing.assert_array_equal(viewer.layers["bands"].data, three_bands)
    teacher = dock.annotating.teacher
    qtbot.waitUntil(lambda: teacher.labelled is not None and len(teacher.labelled) == 2)
    assert teacher.labelled.counts() == {1: 1, 2: 1}


def test_closing_a_picture_keeps_its_marks_in_the_project(annotating, viewer, press, counted, qtbot, tmp_path):
    press(Qt.Key.Key_1, 40, DARK)
    press(Qt.Key.Key_2, 40, BRIGHT)
    counted(2)
    annotating.desk.save_as(tmp_path / "steel")
    state = annotating.panel.project_state
    qtbot.waitUntil(lambda: state.text() == "steel.semclass")
    viewer.layers.clear()
    annotating.desk.save()
    qtbot.waitUntil(lambda: "marks of 1 closed image" in state.text())
    annotating.desk.open(tmp_path / "steel.semclass")
    counted(2)


def test_imported_examples_are_counted_learned_saved_and_forgotten(annotating, dock, press, counted, qtbot, tmp_path):
    random = np.random.default_rng(0)
    for name, level in (("pores", 20), ("Whiskers", 230)):
        (tmp_path / "examples" / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.clip(level + random.normal(0, 9, (32, 32)), 0, 255).astype(np.uint8)
            iio.imwrite(tmp_path / "examples" / name / f"{number}.png", pixels)
    press(Qt.Key.Key_1, 40, DARK)
    press(Qt.Key.Key_2, 40, BRIGHT)
    counted(2)
    annotating.exchange.import_examples(tmp_path / "examples")
    counted(8)
    rows = [annotating.panel.categories.topLevelItem(index) for index in range(3)]
    assert [(row.text(1), row.text(2)) for row in rows] == [("Pores", "1 + 3"), ("Grains", "1"), ("Whiskers", "0 + 3")]
    assert "2 tiles marked, 6 imported" in annotating.panel.counts.text()
    annotating.learn()
    qtbot.waitUntil(lambda: "Learned in" in annotating.panel.learned.text())
    assert annotating.teacher.names == ("Pores", "Grains", "Whiskers")
    assert dock.training.data.has_folder()
    annotating.desk.save_as(tmp_path / "steel")
    qtbot.waitUntil(lambda: annotating.panel.project_state.text() == "steel.semclass")
    assert_the_command_learns_the_same(annotating, tmp_path)
    annotating.exchange.forget_examples()
    counted(2)
    annotating.desk.open(tmp_path / "steel.semclass")
    counted(8)
