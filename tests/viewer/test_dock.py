"""The dock as a user meets it: a real window, real clicks, and what is then on the screen."""

import csv
import threading
from itertools import count
from unittest.mock import Mock

import imageio.v3 as iio
import numpy as np
import pytest
from napari.layers import Labels, Points
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QScrollArea

from napari_semclass.classify.forward import Forward
from napari_semclass.model import save_model
from napari_semclass.viewer.layers import predictions_of, results
from napari_semclass.viewer.state import Phase


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def category_at(labels, y, x):
    return labels.features.set_index("index").loc[int(np.asarray(labels.data)[..., y, x].max()), "category"]


@pytest.fixture
def held(monkeypatch, patience):
    """A run that can be watched and stopped: its fifth batch waits until this is set, and those before take a while."""
    real, batches, go_on = Forward.answers, count(), threading.Event()

    def wait_and_run(self, tiles):
        go_on.wait(0.15 if next(batches) < 4 else patience)
        return real(self, tiles)

    monkeypatch.setattr(Forward, "answers", wait_and_run)
    yield go_on
    go_on.set()


def test_with_nothing_open_it_says_what_to_do(dock):
    assert not dock.classifying.run.classify.isEnabled()
    assert "Open a micrograph" in dock.classifying.run.estimate.text()
    assert "Open a micrograph" in dock.classifying.run.classify.toolTip()


def test_one_click_shows_what_is_where(dock, viewer, idle, qtbot, three_bands):
    viewer.add_image(three_bands, name="bands")
    qtbot.waitUntil(lambda: "15 tiles" in dock.classifying.run.estimate.text())
    click(qtbot, dock.classifying.run.classify)
    idle()
    (labels,) = results(viewer)
    assert [category_at(labels, 48, x) for x in (5, 80, 150)] == ["dark", "grey", "bright"]
    assert dock.state.message.startswith("Done: 15 tiles")
    rows = [dock.classifying.results.legend.topLevelItem(i) for i in range(3)]
    assert {r.text(0): (r.text(1), r.text(2)) for r in rows} == {
        "dark": ("6", "40.0 %"),
        "bright": ("6", "40.0 %"),
        "grey": ("3", "20.0 %"),
    }
    assert "bands" in dock.classifying.results.title.text()


def test_the_status_bar_names_the_category(dock, viewer, idle, qtbot, three_bands):
    viewer.add_image(three_bands, name="bands")
    click(qtbot, dock.classifying.run.classify)
    idle()
    (labels,) = results(viewer)
    status = labels.get_status((48.0, 150.0), world=True)
    assert "bright" in " ".join(str(part) for part in status.values())


def test_naparis_features_table_shows_the_categories_and_chooses_their_label(dock, viewer, idle, qtbot, three_bands):
    table = pytest.importorskip("napari_builtins._qt.features_table", reason="this napari has no features table")
    viewer.add_image(three_bands, name="bands")
    click(qtbot, dock.classifying.run.classify)
    idle()
    (labels,) = results(viewer)
    viewer.layers.selection = {labels}
    widget = table.FeaturesTable(viewer)
    qtbot.addWidget(widget)
    model = widget.table.model()
    titles = [model.headerData(n, Qt.Orientation.Horizontal) for n in range(model.columnCount())]
    column = titles.index("category")
    shown = [model.index(row, column).data() for row in range(model.rowCount())]
    assert shown == list(labels.features["category"])
    assert {"dark", "grey", "bright"} < set(shown)
    row = shown.index("grey")
    widget.table.selectRow(row)
    assert labels.features["category"][labels.selected_label] == "grey"


@pytest.mark.parametrize("turn", [0, 30])
def test_the_overlay_lies_exactly_over_the_image(dock, viewer, idle, qtbot, three_bands, turn):
    image = viewer.add_image(three_bands, name="m", scale=(2, 3), translate=(100, -50), rotate=turn, shear=[0.1])
    image.affine = np.array([[1.1, 0.2, 5], [0, 0.9, -3], [0, 0, 1]])
    click(qtbot, dock.classifying.run.classify)
    idle()
    (labels,) = results(viewer)
    for point in ((0, 0), (95, 159), (40.5, 63.5)):
        np.testing.assert_allclose(labels.data_to_world(point), image.data_to_world(point))
    assert labels.data.shape == image.data.shape
    np.testing.assert_array_equal(labels.get_value(image.data_to_world((48, 63)), world=True), 1)
    np.testing.assert_array_equal(labels.get_value(image.data_to_world((48, 64)), world=True), 2)


def test_whole_picture_gives_one_answer(dock, viewer, idle, qtbot, three_bands):
    viewer.add_image(three_bands, name="bands")
    click(qtbot, dock.classifying.settings.whole)
    assert not dock.classifying.settings.tile.isEnabled()
    assert "no tiles" in dock.classifying.settings.tile.toolTip()
    click(qtbot, dock.classifying.run.classify)
    idle()
    assert "% sure" in dock.classifying.results.title.text()
    assert dock.classifying.results.legend.headerItem().text(2) == "Probability"
    assert dock.state.message.startswith("Done: 1 picture in")
    assert len(predictions_of(results(viewer)[0])[0].grid) == 1


def test_stacks_colour_and_pyramids(dock, viewer, idle, qtbot, three_bands):
    viewer.add_image(np.stack([three_bands, 255 - three_bands]), name="stack")
    viewer.add_image(three_bands[..., None].repeat(3, -1), name="colour", rgb=True)
    viewer.add_image([three_bands, three_bands[::2, ::2]], name="pyramid", multiscale=True)
    box = dock.inputs.micrographs
    box.setCurrentIndex(box.findText("all 3 images"))
    click(qtbot, dock.classifying.run.classify)
    idle()
    by_name = {layer.name: layer for layer in results(viewer)}
    assert set(by_name) == {"stack · tiny", "colour · tiny", "pyramid · tiny"}
    assert by_name["stack · tiny"].data[:, 48, 5].tolist() == [1, 3]
    for name in ("colour · tiny", "pyramid · tiny"):
        assert np.asarray(by_name[name].data)[48, [5, 80, 150]].tolist() == [1, 2, 3]
    assert dock.classifying.results.overview.topLevelItemCount() == 4


def test_stop_keeps_what_is_classified(dock, viewer, idle, qtbot, three_bands, held):
    viewer.add_image(np.tile(three_bands, (12, 1)), name="long")
    click(qtbot, dock.classifying.run.classify)
    qtbot.waitUntil(lambda: dock.state.done >= 16 and bool(results(viewer)))
    click(qtbot, dock.classifying.run.stop)
    assert dock.state.phase is Phase.STOPPING
    held.set()
    idle()
    assert "Stopped after" in dock.state.message
    (labels,) = results(viewer)
    assert 0 < (labels.data > 0).mean() < 1
    assert dock.classifying.run.classify.isEnabled()


def test_the_overlay_grows_while_it_runs(dock, viewer, idle, qtbot, three_bands, held):
    viewer.add_image(np.tile(three_bands, (8, 1)), name="long")
    click(qtbot, dock.classifying.run.classify)
    qtbot.waitUntil(lambda: bool(results(viewer)))
    early = float((results(viewer)[0].data > 0).mean())
    assert dock.classifying.run.progress.isVisible()
    assert "left" in dock.classifying.run.rate.text()
    held.set()
    idle()
    assert early < float((results(viewer)[0].data > 0).mean()) == 1


def test_a_blank_image_is_said_and_the_others_are_done(dock, viewer, idle, qtbot, three_bands):
    viewer.add_image(three_bands, name="good")
    viewer.add_image(np.zeros((50, 50)), name="blank")
    dock.inputs.micrographs.setCurrentIndex(dock.inputs.micrographs.findText("all 2 images"))
    click(qtbot, dock.classifying.run.classify)
    idle()
    assert [layer.name for layer in results(viewer)] == ["good · tiny"]
    assert "blank: every sampled pixel is 0" in dock.message.text()
    assert dock.state.problem


def test_whatever_fails_in_the_background_ends_in_a_sentence(dock, viewer, idle, qtbot, three_bands, monkeypatch):
    monkeypatch.setattr(Forward, "batch", 1, raising=False)
    viewer.add_image(three_bands, name="bands")
    for error in (RuntimeError("CUDA error: device lost"), MemoryError("no room"), KeyError("odd")):
        monkeypatch.setattr(Forward, "_answers", Mock(side_effect=error))
        dock.state.say("")
        click(qtbot, dock.classifying.run.classify)
        idle()
        assert dock.state.problem
        assert dock.message.isVisible()
        assert "Traceback" not in dock.message.text()
        assert dock.classifying.run.classify.isEnabled()


def test_the_legend_hides_and_recolours(dock, viewer, idle, qtbot, three_bands):
    viewer.add_image(three_bands, name="bands")
    click(qtbot, dock.classifying.run.classify)
    idle()
    (labels,) = results(viewer)
    legend = dock.classifying.results.legend
    row = legend.findItems("bright", Qt.MatchFlag.MatchExactly)[0]
    row.setCheckState(0, Qt.CheckState.Unchecked)
    assert labels.colormap.color_dict[3][3] == 0
    legend.color_changed.emit("dark", "#102030")
    np.testing.assert_allclose(labels.colormap.color_dict[1][:3], np.array([16, 32, 48]) / 255, atol=1e-3)
    assert labels.colormap.color_dict[3][3] == 0
    legend.findItems("bright", Qt.MatchFlag.MatchExactly)[0].setCheckState(0, Qt.CheckState.Checked)
    assert labels.colormap.color_dict[3][3] == 1


def test_activating_a_category_goes_to_its_surest_tile(dock, viewer, idle, qtbot, three_bands):
    viewer.add_image(three_bands, name="bands", scale=(2, 2))
    click(qtbot, dock.classifying.run.classify)
    idle()
    prediction = predictions_of(results(viewer)[0])[0]
    dock.classifying.results.legend.category_activated.emit("bright")
    confidence = np.where(prediction.tile_categories() == 2, prediction.tile_confidence(), -1)
    y0, x0, y1, x1 = prediction.grid.box(int(confidence.argmax()))
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera  # napari before 0.9
    np.testing.assert_allclose(camera.center[-2:], (y0 + y1, x0 + x1))


def test_results_are_saved_as_files(dock, viewer, idle, qtbot, three_bands, tmp_path):
    viewer.add_image(three_bands, name="a/b: bands")
    click(qtbot, dock.classifying.run.classify)
    idle()
    dock.classifying.export(str(tmp_path / "out"))
    qtbot.waitUntil(lambda: "Saved 1 result" in dock.state.message)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {name.split(".", 1)[1] for name in written} == {"overlay.png", "tiles.csv", "geojson", "json"}
    dock.classifying.export(str(tmp_path / "out"))
    qtbot.waitUntil(lambda: len(list((tmp_path / "out").iterdir())) == 8)  # nothing written over
    with next((tmp_path / "out").glob("*.tiles.csv")).open() as file:
        assert [row["category"] for row in csv.DictReader(file)][:5] == ["dark", "dark", "grey", "bright", "bright"]


def test_the_command_for_it_can_be_copied(dock, viewer, idle, qtbot, three_bands):
    viewer.add_image(three_bands, name="bands")
    dock.classifying.settings.stride.setValue(16)
    click(qtbot, dock.classifying.run.classify)
    idle()
    as_command, _ = dock.classifying.results.copy.menu().actions()
    as_command.trigger()
    assert QGuiApplication.clipboard().text().startswith("semclass classify")
    assert "--model tiny --tile 32 --stride 16" in QGuiApplication.clipboard().text()


def test_copied_python_gives_the_same_numbers(dock, viewer, idle, qtbot, three_bands, tmp_path):
    iio.imwrite(tmp_path / "bands.tif", three_bands)
    viewer.open(tmp_path / "bands.tif", plugin="napari")
    dock.classifying.settings.stride.setValue(16)
    click(qtbot, dock.classifying.run.classify)
    idle()
    _, as_python = dock.classifying.results.copy.menu().actions()
    as_python.trigger()
    names = {}
    exec(QGuiApplication.clipboard().text(), names)  # noqa: S102 - what a user would paste
    ((shown,),) = [predictions_of(layer) for layer in results(viewer)]
    (found,) = names["predictions"]
    np.testing.assert_allclose(found.probabilities, shown.probabilities, atol=1e-4)
    np.testing.assert_array_equal(found.grid.boxes(), shown.grid.boxes())


def test_tile_and_stride_stay_possible(dock):
    dock.classifying.settings.tile.setValue(100)
    assert dock.classifying.settings.stride.value() == 100
    dock.classifying.settings.stride.setValue(60)
    dock.classifying.settings.tile.setValue(40)
    assert dock.classifying.settings.stride.value() <= 40


def test_tiles_can_be_micrometres_where_the_pixel_size_is_known(dock, viewer, idle, three_bands):
    settings = dock.classifying.settings
    layer = viewer.add_image(three_bands, name="bands", scale=(0.1, 0.1))
    assert not settings.size.unit.isEnabled()
    assert "not known" in settings.size.unit.toolTip()
    layer.units = ("um", "um")
    assert settings.size.unit.isEnabled()
    settings.stride.setValue(16)
    settings.size.unit.setCurrentText("µm")
    settings.size.unit.activated.emit(1)
    assert (settings.tile.text(), settings.stride.text()) == ("3.2", "1.6")
    assert settings.value().tile_um == pytest.approx(3.2)
    dock.classifying.run.classify.click()
    idle()
    (found,) = predictions_of(results(viewer)[0])
    assert (found.grid.tile, found.grid.stride) == (32, 16)
    dock.classifying.results.copy.menu().actions()[0].trigger()
    assert "--tile-um 3.2 --stride-um 1.6" in QGuiApplication.clipboard().text()
    viewer.add_image(three_bands, name="no scale")
    dock.inputs.micrographs.setCurrentText("no scale")
    assert settings.size.unit.isEnabled()  # back to pixels is possible
    settings.size.unit.setCurrentText("px")
    settings.size.unit.activated.emit(0)
    assert settings.value().tile == 32


def test_a_model_file_can_be_added_and_a_bad_one_is_explained(dock, tiny_model, tmp_path):
    save_model(tiny_model.network, tiny_model.card, tmp_path / "mine.safetensors")
    dock.inputs.file_chosen.emit(str(tmp_path / "mine.safetensors"))
    assert dock.inputs.model() == str(tmp_path / "mine.safetensors")
    (tmp_path / "export.pkl").write_bytes(b"\x80\x04K\x01.")
    dock.inputs.file_chosen.emit(str(tmp_path / "export.pkl"))
    assert "is a pickle" in dock.message.text()
    assert dock.inputs.model() == str(tmp_path / "mine.safetensors")


def test_running_again_brings_the_same_overlay_up_to_date(dock, viewer, idle, qtbot, three_bands):
    viewer.add_image(three_bands, name="bands")
    for stride in (32, 16):
        dock.classifying.settings.stride.setValue(stride)
        click(qtbot, dock.classifying.run.classify)
        idle()
    assert len([layer for layer in viewer.layers if isinstance(layer, Labels)]) == 1


def test_what_another_model_said_is_hidden(dock, viewer, idle, qtbot, three_bands, tiny_model, tmp_path):
    def shown():
        return [layer.name for layer in results(viewer) if layer.visible]

    viewer.add_image(three_bands, name="bands")
    viewer.add_image(three_bands, name="others")
    dock.inputs.micrographs.setCurrentIndex(dock.inputs.micrographs.findText("bands"))
    click(qtbot, dock.classifying.run.classify)
    idle()
    save_model(tiny_model.network, tiny_model.card, tmp_path / "second.safetensors")
    assert dock._add_model_file(str(tmp_path / "second.safetensors"))
    click(qtbot, dock.classifying.run.classify)
    idle()
    assert shown() == ["bands · second"]
    # Both to compare, as the user wants it, until one of them is asked for again.
    for layer in results(viewer):
        layer.visible = True
    dock.inputs.models.setCurrentIndex(dock.inputs.models.findData("tiny"))
    dock.inputs.models.activated.emit(dock.inputs.models.currentIndex())
    click(qtbot, dock.classifying.run.classify)
    idle()
    assert shown() == ["bands · tiny"]


def test_a_window_wider_than_the_screen_is_brought_back_when_the_dock_opens(viewer, qtbot):
    window = viewer.window._qt_window
    room = window.screen().availableVirtualGeometry()
    window.resize(room.width() + 300, 600)
    viewer.window.add_plugin_dock_widget("napari-semclass", "SEM classifier")
    qtbot.waitUntil(lambda: window.width() <= room.width())
    assert window.height() == 600


def test_an_overlay_follows_an_image_that_was_moved(dock, viewer, idle, qtbot, three_bands):
    image = viewer.add_image(three_bands, name="bands")
    click(qtbot, dock.classifying.run.classify)
    idle()
    results(viewer)[0].name = "renamed by the user"
    image.scale, image.translate = (2, 2), (5, 5)
    click(qtbot, dock.classifying.run.classify)
    idle()
    (labels,) = results(viewer)
    np.testing.assert_allclose(labels.data_to_world((10, 20)), image.data_to_world((10, 20)))


def test_a_layer_of_the_users_with_the_same_name_is_left_alone(dock, viewer, idle, qtbot, three_bands, held):
    viewer.add_image(np.tile(three_bands, (6, 1)), name="long")
    own = viewer.add_labels(np.zeros((5, 5), int), name="long · tiny")
    click(qtbot, dock.classifying.run.classify)
    qtbot.waitUntil(lambda: bool(results(viewer)))
    held.set()
    idle()
    assert len(results(viewer)) == 1
    assert not own.data.any()


def test_cancelling_the_choice_of_a_model_file_keeps_the_model(dock, monkeypatch):
    monkeypatch.setattr("napari_semclass.viewer.input_panel.QFileDialog.getOpenFileName", lambda *_: ("", ""))
    box = dock.inputs.models
    box.setCurrentIndex(box.count() - 1)
    box.activated.emit(box.count() - 1)
    assert dock.inputs.model() == "tiny"


def test_confidence_and_probabilities_can_be_added_as_images(dock, viewer, idle, qtbot, three_bands):
    viewer.add_image(three_bands, name="bands")
    click(qtbot, dock.classifying.run.classify)
    idle()

    def add(entry):
        dock.classifying.results.map.menu().aboutToShow.emit()
        (action,) = [action for action in dock.classifying.results.map.menu().actions() if action.text() == entry]
        action.trigger()
        qtbot.waitUntil(lambda: dock.state.message.startswith("Added"))
        dock.state.say("")

    for _ in range(2):
        add("Confidence")
    add("Probability of bright")
    (confidence,) = [layer for layer in viewer.layers if layer.name.endswith("confidence")]
    assert 0 < confidence.data.min() <= confidence.data.max() <= 1
    (bright,) = [layer for layer in viewer.layers if layer.name.endswith("probability of bright")]
    assert bright.data[:, :64].max() < 0.5 < bright.data[:, 96:].min()
    assert dock.inputs.micrographs.count() == 1  # our own images are no micrographs to classify
    add("Tiles as points, with their figures")
    (tiles,) = [layer for layer in viewer.layers if isinstance(layer, Points)]
    (labels,) = results(viewer)
    table = tiles.features
    assert [category_at(labels, int(y), int(x)) for y, x in tiles.data] == list(table["category"])
    np.testing.assert_allclose(table["confidence"], table[["prob_dark", "prob_grey", "prob_bright"]].max(axis=1))


def test_news_of_a_replaced_job_does_not_arrive(dock, qtbot, patience):
    heard = []
    posted = threading.Event()

    def old(stop):
        yield "old"
        posted.set()

    def new(stop):
        yield "new"

    dock.board.start("trial", old, heard.append)
    assert posted.wait(patience)  # "old" now waits in Qt's queue
    dock.board.start("trial", new, heard.append)
    qtbot.waitUntil(lambda: "new" in heard)
    assert heard == ["new"]


def test_the_level_of_a_pyramid_is_said(dock, viewer, three_bands):
    viewer.add_image([three_bands, three_bands[::2, ::2]], multiscale=True, name="pyramid")
    assert "finest of 2 levels" in dock.inputs.about_micrographs.text()


def test_removing_layers_while_it_runs_does_no_harm(dock, viewer, idle, qtbot, three_bands, held):
    viewer.add_image(np.tile(three_bands, (6, 1)), name="long")
    click(qtbot, dock.classifying.run.classify)
    qtbot.waitUntil(lambda: bool(results(viewer)))
    viewer.layers.clear()
    held.set()
    idle()
    assert dock.state.message.startswith("Done")


def test_closing_the_dock_ends_its_work_and_lets_go_of_the_viewer(dock, viewer, qtbot, three_bands, held):
    viewer.add_image(np.tile(three_bands, (8, 1)), name="long")
    click(qtbot, dock.classifying.run.classify)
    qtbot.waitUntil(lambda: dock.state.done > 0)
    viewer.window.remove_dock_widget(dock)
    dock.close()
    held.set()
    qtbot.waitUntil(lambda: not [t for t in threading.enumerate() if t.name.startswith("semclass")])
    viewer.add_image(three_bands, name="later")
    viewer.layers.clear()


def test_it_fits_a_narrow_dock_in_both_themes(dock, viewer, idle, qtbot, three_bands):
    viewer.add_image(three_bands, name="a micrograph with a rather long name of its own, as microscopes like them.tif")
    click(qtbot, dock.classifying.run.classify)
    idle()
    for theme in ("dark", "light"):
        viewer.theme = theme
        scroll = dock.findChild(QScrollArea)
        beside = scroll.verticalScrollBar().sizeHint().width()
        assert scroll.widget().minimumSizeHint().width() + beside <= 320


def test_the_speed_is_measured_on_this_processor(measured_speed):
    device, tiles_per_second = measured_speed("starter")
    assert device
    assert tiles_per_second > 0
