"""Rectangles over data bars: what the user makes of them is left out of the tiles."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel

from napari_semclass.viewer import project_layers
from napari_semclass.viewer.bar_layers import BarLayers, restore_rows
from napari_semclass.viewer.layer_facts import DATA_BAR_KEY
from napari_semclass.viewer.layers import target_of

TAG = "[System]\r\nSystemType=Apreo\r\n[Scan]\r\nPixelWidth=3e-9\r\nPixelHeight=3e-9\r\n[Image]\r\nResolutionY=128\r\n"


@pytest.fixture
def opened(dock, viewer, tmp_path, qtbot):
    """An SEM TIFF of 160 x 160 px whose instrument says that rows 128 to 160 are a bar, opened by our reader."""
    picture = np.random.default_rng(0).integers(0, 255, (160, 160), dtype=np.uint8)
    path = tmp_path / "grain.tif"
    tifffile.imwrite(path, picture, extratags=[(34682, 2, len(TAG), TAG, True)], metadata=None)
    image, bar = viewer.open(str(path), plugin="napari-semclass")
    qtbot.waitUntil(lambda: shown(dock) == "20 tiles")
    return image, bar


def shown(dock):
    return dock.classifying.run.estimate.text().split(",")[0]


def rows(image):
    return [(bar.start, bar.stop) for bar in target_of(image).micrographs[0].data_bars]


def rectangle(top, bottom):
    return np.array([(top, 0), (top, 159), (bottom, 159), (bottom, 0)]) + np.array([[-0.5, 0]] * 4)


def test_a_moved_bar_is_where_no_tiles_are(dock, opened, qtbot):
    image, bar = opened
    assert rows(image) == [(128, 160)]
    bar.data = [rectangle(64, 160)]
    qtbot.waitUntil(lambda: shown(dock) == "10 tiles")
    assert rows(image) == [(64, 160)]
    bar.data = [rectangle(128, 160)]
    qtbot.waitUntil(lambda: shown(dock) == "20 tiles")
    assert DATA_BAR_KEY not in image.metadata


def test_a_bar_can_be_added_and_all_taken_away(dock, opened, qtbot):
    image, bar = opened
    bar.add(rectangle(0, 32), shape_type="rectangle")
    qtbot.waitUntil(lambda: shown(dock) == "15 tiles")
    assert rows(image) == [(0, 32), (128, 160)]
    bar.selected_data = {0, 1}
    bar.remove_selected()
    qtbot.waitUntil(lambda: shown(dock) == "25 tiles")
    assert rows(image) == []


def test_without_its_layer_the_bar_is_the_readers_again(dock, viewer, opened, qtbot):
    image, bar = opened
    bar.data = [rectangle(64, 160)]
    qtbot.waitUntil(lambda: shown(dock) == "10 tiles")
    viewer.layers.remove(bar)
    qtbot.waitUntil(lambda: shown(dock) == "20 tiles")
    assert rows(image) == [(128, 160)]


def test_the_bar_of_another_image_stays(dock, viewer, opened, tmp_path):
    image, bar = opened
    other, _ = viewer.open(str(tmp_path / "grain.tif"), plugin="napari-semclass")
    bar.data = [rectangle(64, 160)]
    assert (rows(image), rows(other)) == ([(64, 160)], [(128, 160)])


def test_bars_corrected_before_the_dock_is_opened_count(make_napari_viewer, tmp_path, monkeypatch):
    from napari_semclass.viewer.input_panel import InputPanel

    viewer = make_napari_viewer()
    path = tmp_path / "a.tif"
    picture = np.zeros((160, 160), np.uint8)
    tifffile.imwrite(path, picture, extratags=[(34682, 2, len(TAG), TAG, True)], metadata=None)
    image, bar = viewer.open(str(path), plugin="napari-semclass")
    bar.data = [rectangle(100, 160)]
    panel = InputPanel(viewer)
    assert rows(image) == [(100, 160)]
    panel.disconnect_viewer()
    bar.data = [rectangle(50, 160)]
    assert rows(image) == [(100, 160)]


def test_the_dock_says_where_the_pixel_size_is_from(dock, opened):
    assert dock.inputs.about_micrographs.text() == "160 × 160 px, 3 nm/px (FEI Scan.PixelWidth)"


def test_the_bar_can_be_classified_too(dock, opened, qtbot):
    settings = dock.classifying.settings
    settings.keep_data_bar.value = True
    qtbot.waitUntil(lambda: shown(dock) == "25 tiles")
    assert settings.value().keep_data_bar
    (seen,) = dock.classifying.targets.of([opened[0]])
    assert seen.micrographs[0].data_bars == ()  # marks and the features learned from them see the same
    settings.set_value(settings.value().__class__(tile=32))
    assert not settings.value().keep_data_bar
    qtbot.waitUntil(lambda: shown(dock) == "20 tiles")


def test_a_corrected_bar_comes_back_with_the_project(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 255, (160, 160), dtype=np.uint8)
    # Reading files is napari's; without a window, its readers are not there.
    monkeypatch.setattr(project_layers, "_opened", lambda viewer, _: [viewer.add_image(pixels, name="grain")])
    before, after = ViewerModel(), ViewerModel()
    image = before.add_image(pixels, name="grain")
    restore_rows(before, image, [(128, 160)])
    followed = [BarLayers(one, lambda: None) for one in (before, after)]
    before.layers[1].data = [rectangle(64, 160)]
    entry = project_layers._entry(image, None)
    assert entry.data_bar == ((64, 160),)
    again = project_layers.open_image(after, entry, Path("grain.tif"))
    assert rows(again) == [(64, 160)]
    # The rectangle is there again, and can be corrected further.
    after.layers[1].data = [rectangle(96, 160)]
    assert rows(again) == [(96, 160)]
    for one in followed:
        one.let_go()
