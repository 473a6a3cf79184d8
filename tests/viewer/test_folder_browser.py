"""The SEM folder widget in a real window: classify, look, filter, correct, copy; and what is remembered."""

import json
import threading
from itertools import count

import imageio.v3 as iio
import numpy as np
import pytest
from qtpy.QtCore import QItemSelectionModel, Qt

from napari_semclass.annotate.findings import read_corrections
from napari_semclass.classify.forward import Forward
from napari_semclass.classify.settings import Settings
from napari_semclass.learn.dataset import read_dataset
from napari_semclass.viewer.findings_list import ALL, CORRECTED, FAILED
from napari_semclass.viewer.folder_browser import FolderBrowser
from napari_semclass.viewer.layers import results
from napari_semclass.viewer.remembered import config_folder, remember, remembered, remembered_settings


@pytest.fixture
def pictures(tmp_path):
    """Four dark pictures, four bright ones, and a text."""
    folder = tmp_path / "session 1"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(8):
        grey = np.clip((20 if number < 4 else 235) + random.normal(0, 6, (96, 96)), 0, 255)
        grey[:2] = np.linspace(0, 255, 96)  # so that the grey range is that of all
        iio.imwrite(folder / f"{number}.png", grey.astype(np.uint8))
    (folder / "text.png").write_text("no picture")
    return folder


@pytest.fixture
def browser(viewer, models, qtbot, patience, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCLASS_CONFIG", str(tmp_path / "config"))
    _, widget = viewer.window.add_plugin_dock_widget("napari-semclass", "SEM folder")
    assert isinstance(widget, FolderBrowser)
    qtbot.waitUntil(lambda: widget.models.findData("tiny") >= 0)
    widget.models.setCurrentIndex(widget.models.findData("tiny"))
    widget.models.activated.emit(widget.models.currentIndex())
    yield widget
    widget.board.let_go()
    assert widget.board.wait(patience)


@pytest.fixture
def classified(browser, pictures, qtbot):
    """The browser with the pictures classified as wholes."""
    assert not browser.classify.isEnabled()
    assert "folder of pictures" in browser.classify.toolTip()
    browser.choose(pictures)
    browser.settings.whole.setChecked(True)
    qtbot.mouseClick(browser.classify, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "failed" in browser.message.text())
    return browser


def choose(browser, kind):
    browser.kind.setCurrentIndex(browser.kind.findData(kind))
    browser.kind.activated.emit(browser.kind.currentIndex())


def select(browser, *rows):
    browser.list.clearSelection()
    for row in rows:
        index = browser.list.shown.index(row, 0)
        browser.list.selectionModel().select(index, QItemSelectionModel.SelectionFlag.Select)


def test_a_folder_is_classified_and_each_picture_shown(classified, pictures, qtbot):
    assert classified.message.text() == "9 pictures, 1 failed."
    assert (pictures.with_name("session 1 results") / "summary.csv").is_file()
    model = classified.findings
    assert model.rowCount() == 9
    index = model.index(0)
    assert index.data().splitlines()[1] == "0.png"
    assert "%" in index.data()
    icon = lambda: index.data(Qt.ItemDataRole.DecorationRole)  # noqa: E731 - asked for again and again
    qtbot.waitUntil(lambda: icon() is not None and not icon().isNull())
    failed = next(one for one in model.findings if one.error)
    assert failed.name.endswith("text.png")


def test_what_was_classified_is_there_again_and_not_done_again(classified, viewer, qtbot):
    again = FolderBrowser(viewer)
    qtbot.addWidget(again)
    qtbot.waitUntil(lambda: again.findings.rowCount() == 9)
    qtbot.waitUntil(lambda: again.models.currentData() == "tiny")
    assert again.settings.value().mode == "whole"
    before = {one.overlay: one.overlay.stat().st_mtime_ns for one in again.findings.findings if not one.error}
    qtbot.mouseClick(again.classify, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: again.message.text() == "9 pictures, 1 failed." and not again.stop.isVisible())
    assert {path: path.stat().st_mtime_ns for path in before} == before
    again.board.let_go()


def test_filters_show_a_kind_and_doubtful_answers(classified):
    labels = {one.label for one in classified.findings.findings if one.label}
    assert len(labels) == 2
    for label in labels:
        choose(classified, label)
        shown = classified.list.visible_findings()
        assert 0 < len(shown) < 9
        assert {one.label for one in shown} == {label}
    choose(classified, FAILED)
    assert [one.path.name for one in classified.list.visible_findings()] == ["text.png"]
    choose(classified, ALL)
    sure = sorted(one.confidence for one in classified.findings.findings if one.confidence is not None)
    classified.list.shown.choose(ALL, sure[3])
    doubtful = [one.confidence for one in classified.list.visible_findings() if not one.error]
    assert doubtful
    assert max(doubtful) == sure[3] < max(sure)
    classified.most.setValue(1)
    assert not [one for one in classified.list.visible_findings() if not one.error]


def test_a_correction_is_kept_at_once_and_copied_with_its_label(classified, pictures, tmp_path, qtbot):
    assert not classified.correct.isEnabled()
    select(classified, 0, 1)
    assert classified.correct.isEnabled()
    classified.category.setCurrentText("Pores")
    qtbot.mouseClick(classified.correct, Qt.MouseButton.LeftButton)
    out = pictures.with_name("session 1 results")
    assert list(read_corrections(out).values()) == ["Pores", "Pores"]
    choose(classified, CORRECTED)
    assert [one.label for one in classified.list.visible_findings()] == ["Pores", "Pores"]
    choose(classified, ALL)
    classified.export_to(tmp_path / "data")
    qtbot.waitUntil(lambda: "Copied 8 pictures" in classified.message.text())
    data = read_dataset(tmp_path / "data")
    assert sum(picture.category == "Pores" for picture in data.pictures) == 2
    select(classified, 0)
    classified.category.setCurrentText("")
    qtbot.mouseClick(classified.correct, Qt.MouseButton.LeftButton)
    assert len(read_corrections(out)) == 1


def test_a_picture_is_opened_with_its_overlay(classified, viewer, qtbot):
    index = classified.list.shown.index(5, 0)
    classified.list.activated.emit(index)
    qtbot.waitUntil(lambda: len(results(viewer)) == 1)
    assert viewer.layers[0].name == "5"
    assert results(viewer)[0].data.max() > 0


def test_a_stop_keeps_what_is_done(browser, pictures, qtbot, patience, monkeypatch):
    real, batches, stopped = Forward.answers, count(), threading.Event()

    def answers(self, tiles):
        if next(batches) >= 6:
            stopped.wait(patience)
        return real(self, tiles)

    monkeypatch.setattr(Forward, "answers", answers)
    for number in range(20):
        iio.imwrite(pictures / f"more {number}.png", np.tile(np.arange(96, dtype=np.uint8), (96, 1)))
    browser.choose(pictures)
    qtbot.mouseClick(browser.classify, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: browser.findings.rowCount() > 2)
    qtbot.mouseClick(browser.stop, Qt.MouseButton.LeftButton)
    stopped.set()
    qtbot.waitUntil(lambda: not browser.stop.isVisible())
    qtbot.waitUntil(lambda: "pictures" in browser.message.text())
    assert 2 < browser.findings.rowCount() < 29


def test_a_problem_is_one_sentence(browser, tmp_path, qtbot):
    (tmp_path / "empty").mkdir()
    browser.choose(tmp_path / "empty")
    qtbot.mouseClick(browser.classify, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "no images found" in browser.message.text())
    assert browser.classify.isEnabled()
    assert "color" in browser.message.styleSheet()


def test_the_dock_comes_back_with_its_settings(dock, viewer, qtbot):
    dock.classifying.settings.tile.setValue(48)
    dock.classifying.settings.dihedral.value = True
    dock.close()
    kept = remembered_settings()
    assert (kept.tile, kept.dihedral) == (48, True)
    assert remembered("model") == "tiny"


@pytest.mark.parametrize("content", ["{", "[]", '{"settings": {"tile": "x"}, "model": 3}', "\x00"])
def test_what_is_remembered_may_be_damaged(content, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCLASS_CONFIG", str(tmp_path))
    (tmp_path / "viewer.json").write_text(content)
    assert remembered_settings() is None
    assert remembered("model") == ""
    remember(Settings(tile=64, pixel_size=1e-9), model="mine")
    assert remembered_settings() == Settings(tile=64)
    assert remembered("model") == "mine"
    assert json.loads((config_folder() / "viewer.json").read_text())["model"] == "mine"
