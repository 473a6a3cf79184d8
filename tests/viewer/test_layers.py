"""Layers in and out, without a window."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_semclass.classify import Settings
from napari_semclass.viewer.layer_facts import DATA_BAR_KEY, READER_KEY, pixel_size
from napari_semclass.viewer.layers import Targets, target_of


def test_pixel_size_comes_from_scale_and_unit():
    layer = Image(np.zeros((4, 4)), scale=(7.3, 7.3), units=("nm", "nm"))
    assert pixel_size(layer) == pytest.approx(7.3e-9)
    layer.units = ("um", "um")
    assert pixel_size(layer) == pytest.approx(7.3e-6)


@pytest.mark.parametrize("keywords", [{}, {"scale": (2, 3), "units": ("nm", "nm")}, {"scale": (5, 5)}])
def test_pixel_size_is_unknown_without_unit_or_with_oblong_pixels(keywords):
    assert pixel_size(Image(np.zeros((4, 4)), **keywords)) is None


def test_targets_know_planes_and_colour():
    stack = target_of(Image(np.zeros((2, 3, 20, 30)), name="s"))
    assert stack.leading == (2, 3)
    assert [m.name for m in stack.micrographs] == [f"s#{i}" for i in range(6)]
    colour = target_of(Image(np.zeros((20, 30, 3), np.uint8), rgb=True))
    assert colour.leading == ()
    assert colour.micrographs[0].shape == (20, 30)


def test_a_one_dimensional_stack_of_three_columns_is_no_colour():
    layer = ViewerModel().add_image(np.zeros((40, 50, 3)), rgb=False)
    assert len(target_of(layer).micrographs) == 40


def bars(target):
    return [[(bar.start, bar.stop) for bar in one.data_bars] for one in target.micrographs]


def test_the_users_rows_of_data_bars_go_before_the_readers():
    layer = Image(np.zeros((2, 40, 50)), metadata={READER_KEY: {"data_bar": [(30, 40)]}})
    assert bars(target_of(layer)) == [[(30, 40)]] * 2
    layer.metadata = {**layer.metadata, DATA_BAR_KEY: []}
    assert bars(target_of(layer)) == [[]] * 2


def test_targets_are_kept_until_the_data_bars_change():
    layer, targets = Image(np.zeros((40, 50)), metadata={READER_KEY: {"data_bar": [(30, 40)]}}), Targets()
    (first,) = targets.of([layer])
    assert targets.of([layer]) == [first]
    layer.metadata = {**layer.metadata, DATA_BAR_KEY: [(35, 40)]}
    (corrected,) = targets.of([layer])
    assert bars(corrected) == [[(35, 40)]]
    targets.settings = Settings(keep_data_bar=True)
    (kept,) = targets.of([layer])
    assert bars(kept) == [[]]


def test_a_layers_own_scale_says_where_the_pixel_size_is_from():
    (micrograph,) = target_of(Image(np.zeros((4, 4)), scale=(7.3, 7.3), units=("nm", "nm"))).micrographs
    assert micrograph.pixel_size == pytest.approx(7.3e-9)
    assert micrograph.pixel_size_source == "the layer's scale"
    (unknown,) = target_of(Image(np.zeros((4, 4)))).micrographs
    assert (unknown.pixel_size, unknown.pixel_size_source) == (None, "")
