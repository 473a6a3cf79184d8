"""Tiles in micrometres: the same real size on every micrograph, and a word where the model has not seen that scale."""

from dataclasses import replace

import numpy as np
import pytest

from napari_semclass import Settings, classify_micrograph
from napari_semclass.classify.scale import scale_note
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import Metadata, Micrograph, as_micrographs
from napari_semclass.model import Model


def micrograph(pixels, pixel_size):
    return as_micrographs(pixels, source="a.tif", pixel_size=pixel_size)[0]


def test_a_tile_has_the_same_real_size_whatever_the_pixel_size(tiny_card):
    settings = Settings(tile_um=2.0, stride_um=1.0)
    for pixel_size, side in ((10e-9, 200), (20e-9, 100), (7.3e-9, 274)):
        grid = settings.grid(micrograph(np.zeros((600, 800), np.uint8), pixel_size), tiny_card)
        assert (grid.tile, grid.stride) == (side, side // 2)


def test_two_magnifications_of_one_specimen_get_the_same_answers(tiny_model):
    settings = Settings(tile_um=3.2)
    bands = np.repeat(np.array([10, 125, 240], np.uint8), [64, 32, 64])[None].repeat(96, 0)
    coarse = classify_micrograph(micrograph(bands, 100e-9), tiny_model, settings)
    finer = np.repeat(np.repeat(bands, 2, axis=0), 2, axis=1)
    fine = classify_micrograph(micrograph(finer, 50e-9), tiny_model, settings)
    np.testing.assert_array_equal(fine.grid.boxes(), 2 * coarse.grid.boxes())
    np.testing.assert_allclose(fine.probabilities, coarse.probabilities, atol=1e-4)


def test_what_cannot_be_laid_is_one_sentence(tiny_card):
    plain = np.zeros((64, 64), np.uint8)
    for pixel_size, length, said in (
        (None, 2.0, "a.tif: its pixel size is not known, so 2 µm cannot be laid on it; give the pixel size"),
        (1e-6, 2.0, "a.tif: 2 µm are 2 px at 1 µm per pixel; between 8 and 16,384 px"),
        (1e-10, 2000.0, "are 20,000,000 px"),
    ):
        with pytest.raises(SettingsError, match=said):
            Settings(tile_um=length).grid(micrograph(plain, pixel_size), tiny_card)
    oblong = Micrograph(plain, "b.tif", metadata=Metadata(pixel_size=(1e-9, 2e-9)))
    with pytest.raises(SettingsError, match="not square"):
        Settings(tile_um=0.02, pixel_size=1e-9).grid(oblong, tiny_card)


@pytest.mark.parametrize(
    "given",
    [
        {"tile_um": 0.0},
        {"tile_um": float("nan")},
        {"pixel_size": -1e-9},
        {"tile": 32, "tile_um": 2.0},
        {"stride": 32, "tile_um": 2.0},
        {"tile_um": 1.0, "stride_um": 2.0},
    ],
)
def test_impossible_lengths_are_refused(given):
    with pytest.raises(SettingsError):
        Settings(**given)


def test_a_given_pixel_size_fills_in_but_does_not_contradict(tiny_card):
    settings = Settings(tile_um=0.32, pixel_size=10e-9)
    unknown = micrograph(np.zeros((64, 64), np.uint8), None)
    assert settings.grid(unknown, tiny_card).tile == 32
    assert settings.seen(unknown).pixel_size_source == "given"
    assert settings.seen(micrograph(np.zeros((64, 64), np.uint8), 5e-9)).pixel_size == 5e-9


def test_a_model_trained_in_micrometres_takes_them_where_it_can(tiny_card):
    card = replace(tiny_card, tile_um=0.5)
    pixels = np.zeros((256, 256), np.uint8)
    assert Settings().grid(micrograph(pixels, 5e-9), card).tile == 100
    assert Settings().grid(micrograph(pixels, None), card).tile == 32
    assert Settings(tile=40).grid(micrograph(pixels, 5e-9), card).tile == 40


def test_an_unseen_scale_is_said_with_what_would_fit(tiny_card):
    card = replace(tiny_card, pixel_size_range=(10e-9, 20e-9))
    for pixel_size in (None, 10e-9, 20e-9, 9e-9, 24e-9):
        assert not scale_note(pixel_size, 32, card)
    assert not scale_note(5e-9, 32, tiny_card)
    note = scale_note(2e-9, 32, card)
    assert "2 nm per pixel" in note
    assert "finer than the model learned from (10 nm to 20 nm)" in note
    assert "tiles of 160 px would fit" in note
    assert not scale_note(2e-9, 160, card)
    assert "coarser" in scale_note(50e-9, 32, card)


def test_the_note_comes_with_the_prediction(tiny_model, three_bands):
    card = replace(tiny_model.card, pixel_size_range=(10e-9, 10e-9))
    model = Model(tiny_model.network, card, tiny_model.sha256)
    found = classify_micrograph(micrograph(three_bands, 50e-9), model)
    assert "coarser than the model learned from (10 nm)" in found.made["note"]
