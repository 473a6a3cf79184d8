"""Augmentation: plausible, repeatable, in range, the same look at every size, and one picture that shows it."""

from dataclasses import asdict, fields

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from napari_semclass.learn.augmentation import Augmentation
from napari_semclass.samples import CATEGORIES, synthetic_micrograph
from semclass_training.augment import Augment
from semclass_training.previews import write_previews

OFF = {field.name: 0.0 for field in fields(Augmentation)} | {"dihedral": False}
EFFECTS = [name for name in OFF if name != "share"]
STRONG = {
    "dihedral": True,
    "rotation": 20.0,
    "scale": 0.3,
    "translation": 0.1,
    "brightness": 0.2,
    "contrast": 0.5,
    "gamma": 0.5,
    "poisson": 0.01,
    "gaussian": 0.1,
    "scan_lines": 1.0,
    "charging": 1.0,
    "defocus": 2.0,
    "astigmatism": 2.0,
}


def only(**effects):
    return Augment(Augmentation(**OFF | {"share": 1.0} | effects))


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def tiles():
    pictures = [synthetic_micrograph(category, (224, 224), seed=1) for category in CATEGORIES[:8]]
    return torch.from_numpy(np.stack(pictures)).float() / 255


def shrunk(tiles, side):
    resized = torch.nn.functional.interpolate(tiles[:, None], size=(side, side), mode="bilinear", antialias=True)
    return resized[:, 0].clamp(0, 1)


@pytest.mark.parametrize("side", [64, 224])
def test_the_defaults_keep_shape_range_type_and_what_is_in_the_picture(tiles, side):
    tiles = shrunk(tiles, side)
    before = tiles.clone()
    varied = Augment(Augmentation())(tiles, chance())
    assert torch.equal(tiles, before)
    assert (varied.shape, varied.dtype) == (tiles.shape, tiles.dtype)
    assert varied.min() >= 0
    assert varied.max() <= 1
    assert (varied.mean(dim=(1, 2)) - tiles.mean(dim=(1, 2))).abs().max() < 0.15
    assert (varied.std(dim=(1, 2)) > 0.5 * tiles.std(dim=(1, 2))).all()


def test_half_precision_comes_back_as_half_precision(tiles):
    assert Augment(Augmentation())(tiles.half(), chance()).dtype == torch.float16


def test_everything_off_changes_nothing(tiles):
    assert torch.equal(only()(tiles, chance()), tiles)


@pytest.mark.parametrize("name", EFFECTS)
def test_each_effect_works_alone_and_differs_between_tiles(tiles, name):
    same = tiles[:1].expand(8, -1, -1)
    varied = only(**{name: STRONG[name]})(same, chance())
    assert (varied != same).flatten(1).any(dim=1).sum() >= 5
    assert len(torch.unique(varied.flatten(1), dim=0)) >= 4


def test_the_same_seed_gives_the_same_tiles_and_another_seed_others(tiles):
    augment = Augment(Augmentation())
    first = augment(tiles, chance(3))
    assert torch.equal(first, augment(tiles, chance(3)))
    assert not torch.equal(first, augment(tiles, chance(4)))
    generator = chance(3)
    assert torch.equal(augment(tiles, generator), first)
    assert not torch.equal(augment(tiles, generator), first)


def test_turning_one_effect_off_leaves_the_draws_of_the_others(tiles):
    with_noise = only(brightness=0.2, gaussian=0.001)(tiles, chance())
    without = only(brightness=0.2)(tiles, chance())
    assert (with_noise - without).abs().mean() < 0.002


def test_dihedral_poses_are_exact_and_all_eight_come_up(tiles):
    tile = tiles[0]
    poses = [torch.rot90(flipped, turns) for flipped in (tile, tile.flip(1)) for turns in range(4)]
    varied = only(dihedral=True)(tile.expand(200, -1, -1), chance())
    counts = [sum(torch.equal(one, pose) for one in varied) for pose in poses]
    assert sum(counts) == 200
    assert min(counts) > 10


def test_share_says_how_many_tiles_an_effect_befalls(tiles):
    many = shrunk(tiles, 64)[:1].expand(400, -1, -1)
    settings = Augmentation(**OFF | {"gaussian": 0.1, "share": 0.25})
    touched = (Augment(settings)(many, chance()) != many).flatten(1).any(dim=1).float().mean()
    assert 0.18 < touched < 0.32


def test_what_comes_in_from_outside_is_mirrored():
    bright = torch.full((16, 64, 64), 0.8)
    moved = only(rotation=45.0, scale=0.5, translation=0.3)(bright, chance())
    assert (moved - 0.8).abs().max() < 1e-3


def test_zoom_keeps_to_its_limit():
    disc = np.hypot(*np.mgrid[-112:112, -112:112]) < 50
    areas = only(scale=0.2)(torch.from_numpy(disc).float().expand(64, -1, -1), chance()).mean(dim=(1, 2))
    factors = (areas / disc.mean()).sqrt()
    assert factors.min() > 1 / 1.22
    assert factors.max() < 1.22
    assert factors.max() - factors.min() > 0.2


def test_rotation_keeps_to_its_limit_and_pixels_stay_square():
    ellipse = np.hypot(np.mgrid[-112:112, -112:112][0] * 2, np.mgrid[-112:112, -112:112][1]) < 90
    turned = only(rotation=15.0)(torch.from_numpy(ellipse).float().expand(32, -1, -1), chance()).numpy()
    rows, columns = np.mgrid[-111.5:112, -111.5:112]
    angles = [
        np.degrees(0.5 * np.arctan2(2 * (one * rows * columns).sum(), (one * (columns**2 - rows**2)).sum()))
        for one in turned
    ]
    assert 10 < np.abs(angles).max() < 15.5
    assert np.allclose(turned.mean(axis=(1, 2)), ellipse.mean(), rtol=0.02)


def test_shot_noise_grows_with_the_root_of_the_level_and_has_the_stated_strength():
    levels = torch.tensor([0.1, 0.4]).repeat_interleave(200)[:, None, None].expand(-1, 224, 224)
    noise = (only(poisson=0.004)(levels, chance()) - levels).std(dim=(1, 2))
    assert noise[200:].mean() / noise[:200].mean() == pytest.approx(2, rel=0.15)
    assert noise.max() == pytest.approx((0.004 * 0.4) ** 0.5, rel=0.1)


def test_noise_shrinks_with_the_tile_as_resizing_would_make_it():
    grey = torch.full((200, 64, 64), 0.5)
    noise = (only(gaussian=0.05)(grey, chance()) - grey).std(dim=(1, 2))
    assert noise.max() == pytest.approx(0.05 * 64 / 224, rel=0.1)


def test_defocus_has_the_same_look_at_every_size(tiles):
    sharp = tiles[2].expand(16, -1, -1)
    blurred_then_shrunk = shrunk(only(defocus=4.0)(sharp, chance()), 64)
    shrunk_then_blurred = only(defocus=4.0)(shrunk(sharp, 64), chance())
    unblurred = (shrunk(sharp, 64) - blurred_then_shrunk).abs().mean()
    assert (blurred_then_shrunk - shrunk_then_blurred).abs().mean() < 0.4 * unblurred


def test_astigmatism_blurs_along_one_direction_only():
    point = torch.zeros(32, 65, 65)
    point[:, 32, 32] = 1
    spots = only(astigmatism=8.0)(point, chance()).numpy()
    offsets = np.indices((65, 65)).reshape(2, -1) - 32
    moments = [np.linalg.eigvalsh((offsets * spot.ravel()) @ offsets.T / spot.sum()) for spot in spots]
    widest = max(moments, key=lambda pair: pair[1])
    assert widest[1] > 10 * max(widest[0], 0.1)
    assert np.allclose(spots.sum(axis=(1, 2)), 1, atol=1e-3)


def test_scan_lines_shift_lines_sideways_and_nothing_else():
    stripes = torch.zeros(8, 224, 224)
    stripes[:, :, 100:120] = 1
    shaken = only(scan_lines=1.0)(stripes, chance())
    assert torch.allclose(shaken.sum(dim=2), torch.tensor(20.0), atol=0.3)
    centres = (shaken * torch.arange(224)).sum(dim=2) / shaken.sum(dim=2)
    assert 0.5 < centres.std(dim=1).max() < 1.2
    lines = torch.zeros(8, 224, 224)
    lines[:, 100:120] = 1
    assert torch.allclose(only(scan_lines=1.0)(lines, chance()), lines, atol=1e-4)


def test_charging_streaks_start_at_bright_spots_and_fade_to_the_right():
    grey = torch.full((64, 224, 224), 0.3)
    grey[:, 100:116, 60:76] = 0.9
    change = (only(charging=1.0)(grey, chance()) - grey).numpy()
    assert np.abs(change[:, :, :40]).max() < 0.02
    assert np.abs(change[:, 100:116, 90:110]).mean() > 3 * np.abs(change[:, 100:116, 200:]).mean()
    assert np.abs(change[:, :80]).max() < 0.02
    assert (change > 0.05).any(axis=(1, 2)).sum() > 10
    assert (change < -0.05).any(axis=(1, 2)).sum() > 10


def test_resampling_leaves_most_of_the_noise():
    noisy = 0.5 + 0.1 * torch.randn(8, 224, 224, generator=chance())
    turned = only(rotation=10.0)(noisy.clamp(0, 1), chance())
    assert turned.std() > 0.75 * noisy.std()


@pytest.mark.parametrize(
    "wrong", [{"rotation": -1.0}, {"share": 1.5}, {"poisson": float("nan")}, {"dihedral": "yes"}, {"colour": 0.1}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        Augmentation(**wrong)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_varies_its_own_tiles_from_a_generator_on_the_processor(tiles):
    varied = Augment(Augmentation())(tiles.cuda(), chance())
    assert varied.is_cuda
    assert torch.equal(varied, Augment(Augmentation())(tiles.cuda(), chance()))


@pytest.mark.parametrize("side", [64, 224])
def test_previews_have_a_row_for_each_effect_that_is_on_and_one_for_all(tiles, tmp_path, side):
    path = tmp_path / "new" / "previews.png"
    settings = Augmentation(rotation=0.0, charging=0.0)
    write_previews(shrunk(tiles, side), settings, path)
    on = [name for name, value in asdict(settings).items() if value and name != "share"]
    with Image.open(path) as sheet:
        cell = sheet.height // (len(on) + 1)
        assert side <= cell < 2 * side + 10
        pixels = np.asarray(sheet)
    for row in range(len(on) + 1):
        assert (pixels[row * cell : (row + 1) * cell, :130] == 0).any(), "a row has no label"
    first = path.read_bytes()
    write_previews(shrunk(tiles, side), settings, path)
    assert path.read_bytes() == first
