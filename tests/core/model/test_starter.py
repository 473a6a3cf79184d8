"""The model that ships: small, honest about itself, and right on pictures that nobody could mistake."""

import numpy as np
import pytest

from napari_semclass import Micrograph, Settings, classify_micrograph, load_model, open_micrographs
from napari_semclass.learn.dataset import read_manifest
from napari_semclass.model.store import _SHIPPED
from napari_semclass.samples import CATEGORIES, synthetic_micrograph


@pytest.fixture(scope="module")
def starter():
    return load_model("starter")


def test_it_is_small_and_knows_the_ten_categories(starter):
    assert (_SHIPPED / "starter.safetensors").stat().st_size < 10_000_000
    assert starter.card.names == CATEGORIES
    assert len({category.color for category in starter.card.categories}) == 10


def test_its_card_says_how_it_was_tested_and_that_it_is_a_starter(starter):
    assert {test.unit for test in starter.card.tests} == {"image", "tile"}
    for test in starter.card.tests:
        low, high = test.accuracy_interval
        assert 0 < low < test.accuracy < high < 1
        assert "eave one group out" in test.protocol
        assert test.n >= test.n_images >= test.n_groups > 100
    assert "retrained" in starter.card.description
    assert "CC BY 4.0" in starter.card.licence
    assert "Aversa" in starter.card.credit


def test_a_users_file_cannot_stand_in_for_it(starter, tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCLASS_MODELS", str(tmp_path))
    (tmp_path / "starter.safetensors").write_bytes(b"something else")
    assert load_model("starter").sha256 == starter.sha256


def test_it_knows_synthetic_micrographs(starter):
    right = [
        classify_micrograph(
            Micrograph(synthetic_micrograph(category, (384, 512), seed), known_bars=()), starter, Settings(mode="whole")
        ).tile_categories()[0]
        == CATEGORIES.index(category)
        for category in CATEGORIES
        for seed in (0, 1)
    ]
    # Others by the same code are among what it was fitted on, so this tells that the file is whole, not how good it is.
    assert np.mean(right) > 0.8


def test_it_was_fitted_on_these_pictures(starter, real_data):
    pictures = read_manifest(real_data / "nffa")[::9]
    right = [
        classify_micrograph(open_micrographs(p.path)[0], starter, Settings(mode="whole")).tile_categories()[0]
        == CATEGORIES.index(p.category)
        for p in pictures
    ]
    # On pictures it has seen it must do better than the card says of those it has not: otherwise file, preprocessing
    # or the order of categories do not belong together.
    assert np.mean(right) > starter.card.tests[0].accuracy
