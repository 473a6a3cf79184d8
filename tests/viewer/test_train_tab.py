"""The Train tab as a user meets it: a real window, real clicks, and the real trainer in a process of its own."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QScrollArea, QSpinBox
from safetensors.numpy import load_file

from napari_semclass.annotate.categories import Categories
from napari_semclass.annotate.collect import Source, collect_tiles
from napari_semclass.annotate.tiles import MarkedTiles
from napari_semclass.learn.plan import Plan, Stage, read_plan
from napari_semclass.learn.run import Run
from napari_semclass.micrograph import as_micrographs
from napari_semclass.model.file import read_card
from napari_semclass.model.store import model_folder
from napari_semclass.retrain import cut_short
from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.plan_panel import PlanPanel
from napari_semclass.viewer.plan_table import EPOCHS, FROZEN, MINUTES, RATE
from napari_semclass.viewer.train_state import TrainPhase
from napari_semclass.viewer.train_tab import TrainTab

TILE = 32
CATEGORIES = Categories().add("Pores").add("Fibres")
SHORT = Plan(
    backbone="test_resnet", pretrained="none", tile=TILE, stride=TILE, head="random", norm="learned", body_rate=0.5,
    stages=(Stage(32, epochs=2, lr=3e-3, batch=8),),
)  # fmt: skip
LONG = Plan(
    backbone="test_resnet", pretrained="none", tile=TILE, stride=TILE, head="random", norm="learned", body_rate=0.5,
    stages=(Stage(32, epochs=2, lr=3e-3, batch=4), Stage(32, epochs=500, batch=4)),
)  # fmt: skip


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def waves(period, seed):
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96]
    angle = random.uniform(0, np.pi)
    grey = 128 + 80 * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    return np.clip(grey + random.normal(0, 15, grey.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def viewer(make_napari_viewer):
    """A viewer in a window that is shown."""
    return make_napari_viewer(show=True)


@pytest.fixture
def folder(tmp_path):
    """A folder with four pictures of each of two categories."""
    for name, period in (("Pores", 4), ("Fibres", 24)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for seed in range(4):
            iio.imwrite(tmp_path / "pictures" / name / f"{seed}.png", waves(period, seed))
    return tmp_path / "pictures"


@pytest.fixture
def marks(viewer):
    """Six open micrographs, their left half marked as one category, their right half as the other."""
    grid = np.array([[y, x, y + TILE, x + TILE] for y in range(0, 96, TILE) for x in range(0, 192, TILE)])
    numbers = np.where(grid[:, 1] < 96, 1, 2)
    pairs = []
    for seed in range(6):
        pixels = np.hstack([waves(4, seed), waves(24, seed + 50)])
        layer = viewer.add_image(pixels, name=f"image {seed}")
        (micrograph,) = as_micrographs(pixels, source=layer.name)
        source = Source(str(layer.unique_id), layer.name, micrograph)
        pairs.append((source, MarkedTiles(grid, numbers, np.arange(len(grid)), 0, 0)))
    return collect_tiles(pairs, CATEGORIES, TILE)


class Marked:
    """What the Annotate tab would have; a test sets it."""

    labelled = None


@pytest.fixture
def said():
    """All sentences that the dock would have shown, each with whether it is bad news."""
    return []


@pytest.fixture
def make_tab(viewer, models, said, qtbot, patience):
    """Make a Train tab in the window, 320 px wide; processes that a test leaves are ended."""
    boards = []

    def make(marked=Marked, base=lambda: "tiny"):
        board = JobBoard(print)
        boards.append(board)
        say = lambda message, *, problem=False: said.append((message, problem))  # noqa: E731
        tab = TrainTab(viewer, board, say, lambda: marked.labelled, base)
        scroll = QScrollArea()
        scroll.setWidget(tab)
        scroll.setWidgetResizable(True)
        scroll.setFixedWidth(320)
        viewer.window.add_dock_widget(scroll, name=f"train {len(boards)}")
        qtbot.waitUntil(lambda: tab._shelf is not None)
        return tab

    yield make
    for path in models.glob("*.run"):
        cut_short(Run(path))
    for board in boards:
        board.let_go()
        assert board.wait(patience)


@pytest.fixture
def tab(make_tab, monkeypatch, marks):
    """A tab with marks and a plan that takes seconds."""
    monkeypatch.setattr(Marked, "labelled", marks)
    tab = make_tab()
    tab.plan.set_value(SHORT)
    return tab


def is_idle(tab):
    return tab.desk.state.phase is TrainPhase.IDLE


def test_with_nothing_marked_it_says_what_to_do(make_tab):
    tab = make_tab()
    run = tab.desk.panel
    assert not run.train.isEnabled()
    assert "Annotate tab" in run.train.toolTip()
    assert "Annotate tab" in tab.plan.estimate.toolTip()
    assert tab.data.marks_words.text() == "None yet."
    assert not tab.data.marks.isChecked()
    for button in (run.stop, run.finish):
        assert not button.isEnabled()
        assert "Nothing is being trained" in button.toolTip()
    assert run.earlier.isHidden()
    assert tab.running() is None


def test_nothing_is_cut_off_in_a_narrow_dock(tab):
    tab.desk.panel.show_watch(tab.desk._watch)
    assert tab.minimumSizeHint().width() <= 297


def test_marks_of_one_category_are_not_enough(make_tab, marks, monkeypatch):
    tab = make_tab()
    (source, *_), pores = marks.sources, marks.boxes[:3]
    one = MarkedTiles(pores, np.ones(3, dtype=np.int64), np.arange(3), 0, 0)
    monkeypatch.setattr(Marked, "labelled", collect_tiles([(source, one)], CATEGORIES, TILE))
    tab.refresh_data()
    assert tab.data.marks_words.text() == "3 tiles, 1 category. Mark Fibres: it has no tiles yet."
    assert "Fibres" in tab.desk.panel.train.toolTip()
    monkeypatch.setattr(Marked, "labelled", marks)
    tab.refresh_data()
    assert "108 tiles, 2 categories. Tested on other images." in tab.data.marks_words.text()
    assert tab.desk.panel.train.isEnabled()
    assert tab.plan.value().tile == TILE
    assert not tab.plan.tile.isEnabled()


def test_a_folder_is_audited_and_can_be_learned_from(make_tab, folder, qtbot):
    tab = make_tab()
    tab.look_at_folder(str(folder))
    qtbot.waitUntil(tab.data.folder.isEnabled)
    assert "8 pictures" in tab.data.folder_words.text()
    assert tab.desk.panel.train.isEnabled()
    click(qtbot, tab.data.folder)
    assert not tab.desk.panel.train.isEnabled()
    tab.look_at_folder(str(folder / "nowhere"))
    qtbot.waitUntil(lambda: "no such folder" in tab.data.folder_words.text())
    assert not tab.data.folder.isEnabled()


def test_categories_that_only_marks_or_only_the_folder_have_are_named(tab, folder, qtbot):
    tab.data.folder_chosen.emit(str(folder))
    qtbot.waitUntil(tab.data.folder.isChecked)
    assert tab.data.together.text() == ""
    (folder / "Fibres").rename(folder / "Wires")
    tab.data.folder_chosen.emit(str(folder))
    qtbot.waitUntil(lambda: "Wires" in tab.data.together.text())
    words = "Both are learned together, 3 categories: Fibres only marked; Wires only in the folder."
    assert tab.data.together.text() == words
    tab.data.marks.setChecked(False)
    assert not tab.data.together.isVisible()


def test_stages_are_edited_in_place(tab, said, qtbot):
    table = tab.plan.table
    table.setCurrentCell(0, EPOCHS)
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_F2)
    editor = table.findChild(QSpinBox)
    QTest.keyClicks(editor, "7")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: tab.plan.value().stages[0].epochs == 7)
    click(qtbot, tab.plan.add)
    assert len(tab.plan.value().stages) == 2
    table.item(1, RATE).setData(Qt.ItemDataRole.EditRole, 5e-4)
    assert tab.plan.value().stages[1].lr == 5e-4
    QTest.keyClick(table, Qt.Key.Key_Delete)
    QTest.keyClick(table, Qt.Key.Key_Delete)
    assert tab.plan.value().stages == ()
    assert not tab.plan.no_stages.isHidden()
    assert not tab.plan.remove.isEnabled()


def test_a_stage_without_epochs_is_refused(tab, said):
    table = tab.plan.table
    table.item(0, EPOCHS).setData(Qt.ItemDataRole.EditRole, 0)
    assert said[-1] == ("Stage 1 cannot be changed so: a stage needs at least one epoch.", True)
    assert table.item(0, EPOCHS).data(Qt.ItemDataRole.EditRole) == 2
    table.item(0, FROZEN).setData(Qt.ItemDataRole.EditRole, 1)
    assert tab.plan.value().stages[0].frozen_epochs == 1


def test_recipes_and_settings_end_in_the_plan(tab, said, tmp_path):
    panel = tab.plan
    panel.recipe.setCurrentIndex(panel.recipe.findData("quick"))
    panel.recipe.activated.emit(panel.recipe.currentIndex())
    assert panel.value().stages == ()
    panel.choose_file(str(tmp_path / "none.toml"))
    assert "cannot be read" in said[-1][0]
    panel.set_value(SHORT)
    assert panel.value() == SHORT
    panel.zoom.setChecked(False)
    panel.held.setValue(30)
    panel.seed.setValue(4)
    panel.limit.setValue(12)
    plan = panel.value()
    assert (plan.augmentation.scale, plan.held.share, plan.seed, plan.minutes) == (0.0, 0.3, 4, 12.0)


def test_tiles_are_of_a_size_in_pixels_or_micrometres_or_those_of_the_marks(qtbot):
    panel = PlanPanel()
    qtbot.addWidget(panel)
    panel.set_value(SHORT)
    panel.tile.setValue(160)
    panel.length.setValue(2.5)
    panel.set_tile(None)  # another folder is looked at: what was typed stays
    assert (panel.value().tile, panel.value().tile_um) == (160, 2.5)
    panel.set_tile(96)  # marks are learned, whose tiles are what they are
    assert (panel.value().tile, panel.value().tile_um) == (96, None)
    panel.set_value(replace(SHORT, tile_um=0.12345))
    assert panel.value().tile_um == 0.12345


def test_surroundings_are_chosen_where_pictures_are_learned_and_not_where_marks_are(qtbot):
    panel = PlanPanel()
    qtbot.addWidget(panel)
    panel.set_value(read_plan("progressive"))
    assert (panel.context.value(), panel.value().context) == (3, 3.0)
    panel.context.setValue(5)
    assert panel.value().context == 5.0
    panel.context.setValue(0)
    assert panel.context.text() == "none"
    assert panel.value().context == 0.0
    panel.set_value(replace(SHORT, context=2.5))
    assert panel.value().context == 2.5
    panel.set_tile(96)
    assert not panel.context.isEnabled()
    assert "alone" in panel.context.toolTip()


def test_a_name_that_will_not_do_is_said(tab):
    assert tab.plan.name.text() == "my-model"
    for name, sentence in (("", "name"), ("a/b", "cannot"), ("Starter", "shipped"), ("tiny", "already")):
        tab.plan.name.setText(name)
        assert not tab.desk.panel.train.isEnabled()
        assert sentence in tab.desk.panel.train.toolTip()
        assert sentence in tab.desk.panel.missing.text()
        tab.plan.name.setText("another")
        assert tab.desk.panel.missing.isHidden()


@pytest.mark.slow
def test_a_training_from_marks_to_a_model_in_use(tab, viewer, said, qtbot):
    used, asked = [], []
    tab.model_ready.connect(used.append)
    tab.tile_requested.connect(lambda *what: asked.append(what))
    click(qtbot, tab.desk.panel.train)
    assert not tab.desk.panel.train.isEnabled()
    qtbot.waitUntil(lambda: tab.running() is not None)
    qtbot.waitUntil(lambda: tab.desk._outcome is not None)
    outcome = tab.desk.outcome
    assert tab.plan.table.item(0, MINUTES).text() != "–"
    assert "held-out tiles right" in outcome.figures.text()
    assert "Tested on other images" in outcome.tested.text()
    qtbot.waitUntil(lambda: "No before and after: “Tiny” does not know" in outcome.before.text())
    counts = np.array(tab.desk._outcome.metrics["confusion_matrix"])
    assert counts.sum() == 18
    row, column = (int(n) for n in np.unravel_index(counts.argmax(), counts.shape))
    where = outcome.matrix.visualItemRect(outcome.matrix.item(row, column)).center()
    qtbot.mouseClick(outcome.matrix.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert outcome.tiles.count() == counts.max()
    assert f"{counts.max()} tiles" in outcome.tiles_title.text()
    qtbot.waitUntil(lambda: tab.desk.panel.curves.pixmap().width() > 200)
    qtbot.mouseClick(outcome.tiles.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(30, 30))
    image, box, plane = asked[-1]
    assert image in {str(layer.unique_id) for layer in viewer.layers}
    assert (box[2] - box[0], plane) == (TILE, 0)
    click(qtbot, outcome.use)
    (path,) = used
    colors = {category.name: category.color for category in read_card(path).categories}
    assert colors == {item.name: item.color for item in CATEGORIES.items}
    assert tab.plan.name.text() == "my-model-2"
    as_command, as_python = tab.desk.panel.copy.menu().actions()
    as_command.trigger()
    assert "semclass train" in QGuiApplication.clipboard().text()
    as_python.trigger()
    exec(QGuiApplication.clipboard().text(), {})  # noqa: S102 - what a user would paste
    mine, again = (load_file(model_folder() / f"{name}.safetensors") for name in ("my-model", "my-model-again"))
    for name in mine:
        np.testing.assert_array_equal(mine[name], again[name])
    assert not any(problem for _, problem in said)


@pytest.mark.slow
def test_a_run_outlives_its_tab_dies_is_resumed_and_is_good_enough(tab, make_tab, said, qtbot):
    tab.plan.set_value(LONG)
    tab.train()
    qtbot.waitUntil(lambda: len(tab.desk._watch.epochs) > 2)
    run = tab.running()
    tab.let_go()
    tab._board.let_go()
    other = make_tab()
    qtbot.waitUntil(lambda: len(other.desk._watch.epochs) > 2)
    assert other.running().folder == run.folder
    os.kill(run.status().pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: is_idle(other))
    assert said[-1][1]
    assert "resume it" in said[-1][0]
    panel = other.desk.panel
    qtbot.waitUntil(lambda: panel.earlier.currentText() == "my-model, broke off")
    assert panel.take_up.text() == "Resume"
    click(qtbot, panel.take_up)
    known = max(other.desk._watch.epochs, default=0)
    qtbot.waitUntil(lambda: max(other.desk._watch.epochs, default=0) > known + 2)
    click(qtbot, panel.finish)
    qtbot.waitUntil(lambda: other.desk._outcome is not None)
    assert "held-out tiles right" in other.desk.outcome.figures.text()


@pytest.mark.slow
def test_stop_keeps_what_is_learned_and_discard_removes_it(tab, models, said, qtbot):
    tab.plan.set_value(LONG)
    tab.train()
    qtbot.waitUntil(lambda: len(tab.desk._watch.epochs) > 1)
    click(qtbot, tab.desk.panel.stop)
    assert not tab.desk.panel.stop.isEnabled()
    qtbot.waitUntil(lambda: is_idle(tab))
    assert said[-1] == ("my-model: stopped. Resume it to go on.", False)
    qtbot.waitUntil(lambda: tab.desk.panel.earlier.currentText() == "my-model, stopped")
    assert tab.plan.name.text() == "my-model-2"
    tab.discard(tab.desk.panel.earlier.currentData())
    qtbot.waitUntil(lambda: tab.desk.panel.earlier.count() == 0)
    assert not list(models.glob("*.run"))


@pytest.mark.slow
def test_a_stop_before_anything_is_learned_ends_it_at_once(tab, said, qtbot):
    tab.plan.set_value(LONG)
    tab.train()
    qtbot.waitUntil(lambda: tab.running() is not None)
    click(qtbot, tab.desk.panel.stop)
    qtbot.waitUntil(lambda: is_idle(tab))
    assert "stopped" in said[-1][0]
    assert not tab.desk._watch.epochs


@pytest.mark.slow
def test_minutes_are_predicted_before_anything_is_trained(tab, models, qtbot):
    click(qtbot, tab.plan.estimate)
    assert not tab.plan.estimate.isEnabled()
    qtbot.waitUntil(lambda: tab.plan.table.item(0, MINUTES).text() != "–")
    assert "min in all" in tab.plan.minutes.text()
    qtbot.waitUntil(tab.plan.estimate.isEnabled)
    tab.plan.table.item(0, EPOCHS).setData(Qt.ItemDataRole.EditRole, 9)
    assert tab.plan.table.item(0, MINUTES).text() == "–"
    assert tab.plan.minutes.text() == "Data or plan are others now: estimate again."
    assert not list(models.glob("*.run"))


@pytest.mark.slow
def test_what_the_trainer_refuses_is_one_sentence(tab, said, qtbot):
    tab.plan.set_value(Plan(backbone="no_such_network", pretrained="none", tile=TILE, stride=TILE))
    tab.train()
    qtbot.waitUntil(lambda: any(problem for _, problem in said))
    assert "no_such_network" in said[-1][0]
    qtbot.waitUntil(lambda: is_idle(tab))
    assert tab.running() is None


def test_the_curves_follow_the_theme(tab, viewer):
    before = tab.desk.panel.curves._colors
    viewer.theme = "light"
    assert tab.desk.panel.curves._colors != before


def test_the_tab_itself_does_not_wait_for_torch():
    code = "import sys; import napari_semclass.viewer.train_tab; print('torch' in sys.modules, 'fastai' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]
