"""Marks: what cannot be one is refused, and an ellipse is outlined where napari draws it."""

import numpy as np
import pytest

from napari_semclass.annotate import Marks, Region, ellipse
from napari_semclass.errors import SettingsError


def test_an_ellipse_touches_the_middles_of_its_rectangle_even_when_that_is_turned():
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    corners = np.array([[-10, -20], [-10, 20], [10, 20], [10, -20]]) @ turn + 50
    outline = ellipse(corners)
    for middle in (corners + np.roll(corners, -1, axis=0)) / 2:
        assert np.linalg.norm(outline - middle, axis=1).min() < 1e-9
    across = np.linalg.norm(outline - 50, axis=1)
    assert across.max() == pytest.approx(20)
    assert across.min() == pytest.approx(10)


@pytest.mark.parametrize("polygon", [np.zeros((2, 2)), np.zeros((3, 3)), np.array([[0, 0], [0, np.nan], [1, 1]])])
def test_a_region_needs_an_outline(polygon):
    with pytest.raises(SettingsError, match="three or more corners"):
        Region(1, polygon)


@pytest.mark.parametrize("painted", [np.zeros((4, 4)), np.zeros((2, 4, 4), dtype=np.uint8)])
def test_only_whole_numbers_on_one_plane_are_painted_marks(painted):
    with pytest.raises(SettingsError, match="whole numbers on one plane"):
        Marks(painted)
