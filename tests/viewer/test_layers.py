"""Layers in and out, without a window."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_semclass.viewer.layers import pixel_size, target_of


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
