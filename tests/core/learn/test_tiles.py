"""Pictures cut into samples: where tiles lie, what they hold, and that several planes and boxes work."""

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_semclass.errors import MicrographError, SettingsError
from napari_semclass.learn.dataset import Picture
from napari_semclass.learn.tiles import Cutting, cut_samples
from napari_semclass.micrograph import GreyRange, open_micrographs
from napari_semclass.model import Preprocessing

STEPS = Preprocessing(mean=0.5, std=0.5, low_percentile=0.0, high_percentile=100.0)


def picture(folder, height, width, name="a", category="x", **more):
    ramp = np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8)
    iio.imwrite(folder / f"{name}.png", ramp)
    return Picture(folder / f"{name}.png", category, name, **more)


def cut(pictures, unit="tile", tile=40, stride=40, side=40, fields=(1.0,), **more):
    cutting = Cutting(unit, tile, stride, side, STEPS, fields)
    return cut_samples(pictures, range(len(pictures)), cutting, list(range(len(pictures))), ["x", "y"], **more)


def boxes(samples):
    return [tuple(box) for box in samples.boxes.tolist()]


def test_tiles_cover_a_picture_and_hold_its_grey_levels(tmp_path):
    one = picture(tmp_path, 80, 100)
    samples = cut([one])
    assert boxes(samples) == [(y, x, y + 40, x + 40) for y in (0, 40) for x in (0, 40, 60)]
    ramp = iio.imread(one.path)
    for (y0, x0, y1, x1), tile in zip(boxes(samples), samples.pixels, strict=True):
        np.testing.assert_allclose(tile, ramp[y0:y1, x0:x1], atol=1)


def test_an_axis_shorter_than_one_and_a_half_tiles_holds_one_tile_in_its_middle(tmp_path):
    assert boxes(cut([picture(tmp_path, 59, 59)])) == [(9, 9, 49, 49)]
    assert len(cut([picture(tmp_path, 60, 60, "b")])) == 4
    assert boxes(cut([picture(tmp_path, 30, 100, "c")])) == [(0, x, 30, x + 40) for x in (0, 40, 60)]


def test_a_tile_larger_than_its_picture_keeps_the_scale(tmp_path):
    samples = cut([picture(tmp_path, 20, 20)], side=40)
    ramp = iio.imread(tmp_path / "a.png")
    np.testing.assert_allclose(samples.pixels[0, 10:30, 10:30], ramp, atol=1)


def test_tiles_of_one_real_size_are_resampled_and_their_scale_is_known(tmp_path):
    fine = picture(tmp_path, 160, 160, pixel_size=10e-9)
    coarse = picture(tmp_path, 80, 80, "b", pixel_size=20e-9)
    cutting = Cutting("tile", 40, 40, 40, STEPS, tile_um=0.8)
    samples = cut_samples([fine, coarse], [0, 1], cutting, [0, 1], ["x"])
    sides = samples.boxes[:, 2] - samples.boxes[:, 0]
    assert sides[samples.pictures == 0].tolist() == [80] * 4
    assert sides[samples.pictures == 1].tolist() == [40] * 4
    assert samples.pixel_size_range() == pytest.approx((20e-9, 20e-9))
    np.testing.assert_allclose(samples.pixels[samples.pictures == 0], samples.pixels[samples.pictures == 1], atol=3)
    with pytest.raises(SettingsError, match="pixel size is not known"):
        cut_samples([picture(tmp_path, 80, 80, "c")], [0], cutting, [0], ["x"])
    assert cut([picture(tmp_path, 80, 80, "d")]).pixel_size_range() is None


def test_whole_pictures_keep_their_aspect_and_fields_are_shares_of_the_shorter_side(tmp_path):
    samples = cut([picture(tmp_path, 60, 90)], unit="image", fields=(1.0, 0.5), side=20)
    sides = [(y1 - y0, x1 - x0) for y0, x0, y1, x1 in boxes(samples)]
    assert sides.count((60, 60)) == 2
    assert sides.count((30, 30)) == 6
    assert samples.pixels.shape[1:] == (20, 20)


def test_boxes_have_the_grey_range_of_their_whole_picture_and_share_its_file(tmp_path, monkeypatch):
    ramp = iio.imread(picture(tmp_path, 100, 100).path)
    opened = []
    monkeypatch.setattr(
        "napari_semclass.learn.tiles.open_micrographs", lambda path: opened.append(path) or open_micrographs(path)
    )
    corners = [(0, 0), (40, 60), (60, 10)]
    samples = cut([Picture(tmp_path / "a.png", "x", "a", box=(y, x, y + 40, x + 40)) for y, x in corners])
    for (y, x), tile in zip(corners, samples.pixels, strict=True):
        np.testing.assert_allclose(tile, ramp[y : y + 40, x : x + 40], atol=1)
    assert len(opened) == 1


def test_a_picture_cut_out_of_another_keeps_the_grey_range_it_is_said_to_have(tmp_path):
    samples = cut([picture(tmp_path, 40, 40, grey=GreyRange(0, 510))])
    np.testing.assert_allclose(samples.pixels[0], iio.imread(tmp_path / "a.png") / 2, atol=1)


def test_only_the_box_of_a_picture_is_cut_and_one_outside_is_named(tmp_path):
    inside = picture(tmp_path, 100, 100, box=(20, 30, 60, 70))
    assert boxes(cut([inside])) == [(20, 30, 60, 70)]
    with pytest.raises(MicrographError, match="outside"):
        cut([picture(tmp_path, 100, 100, "b", box=(80, 80, 120, 120))])


def test_all_planes_of_a_stack_are_cut(tmp_path):
    random = np.random.default_rng(0)
    tifffile.imwrite(tmp_path / "s.tif", random.integers(0, 255, (3, 40, 40), dtype=np.uint8), photometric="minisblack")
    samples = cut([Picture(tmp_path / "s.tif", "x", "s")])
    assert len(samples) == 3
    assert set(samples.pictures) == {0}


def test_labels_groups_and_pictures_go_with_their_tiles(tmp_path):
    pictures = [picture(tmp_path, 40, 80, "a", "y"), picture(tmp_path, 40, 40, "b", "x")]
    samples = cut(pictures)
    assert samples.labels.tolist() == [1, 1, 0]
    assert samples.pictures.tolist() == samples.groups.tolist() == [0, 0, 1]
    with pytest.raises(SettingsError, match="lacks: z"):
        cut([picture(tmp_path, 40, 40, "c", "z")])


def test_what_does_not_fit_in_memory_is_kept_on_disk_and_is_the_same(tmp_path, monkeypatch):
    pictures = [picture(tmp_path, 80, 80, str(n)) for n in range(5)]
    expected = cut(pictures)
    monkeypatch.setattr("napari_semclass.learn.tiles._IN_MEMORY", 1e-9)
    (tmp_path / "run").mkdir()
    found = cut(pictures, folder=tmp_path / "run")
    assert isinstance(found.pixels.base, np.memmap) or isinstance(found.pixels, np.memmap)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
