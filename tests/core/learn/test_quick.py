"""Quick learning: a head from a few tiles, with honest figures."""

import numpy as np
import pytest

from napari_semclass.classify import Settings, classify_micrograph
from napari_semclass.classify.features import feature_steps
from napari_semclass.errors import SettingsError
from napari_semclass.learn.quick import fit_quick, predict
from napari_semclass.micrograph import as_micrographs
from napari_semclass.model import Category, load_model, save_model

PORES, GRAINS = Category("Pores", "#ff0000"), Category("Grains", "#0000ff")


def learned(features, labels, groups, base, *, testable=True, categories=(PORES, GRAINS)):
    return fit_quick(
        features,
        np.asarray(labels),
        np.asarray(groups),
        np.asarray(groups),
        categories,
        base,
        tile=32,
        name="mine",
        title="Mine",
        tested="tested on other images",
        testable=testable,
    )


@pytest.fixture
def tiles(three_bands, tiny_model):
    """Features of the tiles of three micrographs, labelled by where they are dark; and their micrographs."""
    features, labels, pictures = [], [], []
    for picture in range(3):
        micrograph = as_micrographs(np.roll(three_bands, 16 * picture, axis=0))[0]
        grid = Settings(tile=32).grid(micrograph, tiny_model.card)
        *_, last = feature_steps(micrograph, tiny_model, grid.boxes(), tile=32, device="cpu")
        features.append(last.features)
        labels += [int(x0 >= 64) for _, x0, _, _ in grid.boxes().tolist()]
        pictures += [picture] * len(grid)
    return np.concatenate(features), np.array(labels), np.array(pictures)


def test_a_learned_model_is_the_same_after_saving(tiles, tiny_model, three_bands, tmp_path):
    features, labels, groups = tiles
    result = learned(features, labels, groups, tiny_model)
    assert (predict(features, result.model).argmax(1) == labels).all()
    saved = save_model(result.model.network, result.model.card, tmp_path / "mine.safetensors", half=False)
    assert saved.sha256 == result.model.sha256
    again = classify_micrograph(
        as_micrographs(three_bands)[0], load_model(tmp_path / "mine.safetensors"), Settings(device="cpu")
    )
    np.testing.assert_allclose(again.probabilities, predict(features[: len(again.grid)], result.model), atol=1e-4)
    assert again.names == ("Pores", "Grains")


def test_the_figures_are_of_groups_that_were_not_learned(tiny_model):
    """Labels that follow the group and nothing else: what is learned of some groups is worth nothing on others."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(24), 8)
    centres = random.normal(size=(24, 512))
    width = tiny_model.network.get_classifier().in_features
    features = (centres[groups] + 0.05 * random.normal(size=(len(groups), 512)))[:, :width].astype(np.float32)
    features = np.pad(features, [(0, 0), (0, max(0, width - features.shape[1]))])
    found = [
        learned(features, random.permutation(np.arange(24) % 2)[groups], groups, tiny_model).metrics for _ in range(6)
    ]
    assert 0.3 < np.mean([metrics.scores.accuracy.value for metrics in found]) < 0.7


def test_where_nothing_can_be_tested_no_figures_are_shown(tiles, tiny_model):
    features, labels, groups = tiles
    result = learned(features, labels, groups, tiny_model, testable=False)
    assert result.metrics is None
    assert result.model.card.tests == ()
    assert "%" not in result.sentence


def test_marks_that_cannot_be_divided_are_said_to_be_untested(tiles, tiny_model):
    features, labels, _ = tiles
    result = learned(features, labels, labels, tiny_model)  # each category is one group
    assert result.metrics is None
    assert result.sentence.startswith("Not tested")


def test_the_card_says_how_it_was_tested(tiles, tiny_model):
    features, labels, groups = tiles
    card = learned(features, labels, groups, tiny_model).model.card
    (test,) = card.tests
    assert "tested on other images" in test.protocol
    assert (test.n, test.n_groups) == (len(labels), 3)
    assert card.provenance.startswith("Quick learning on the network of tiny")


def test_learning_on_what_was_learned_again_and_again_keeps_the_card_small(tiles, tiny_model):
    features, labels, groups = tiles
    model = tiny_model
    for _ in range(3):
        model = learned(features, labels, groups, model).model
    assert model.card.provenance.count("Quick learning") == 1


def test_one_category_is_refused(tiles, tiny_model):
    features, labels, groups = tiles
    with pytest.raises(SettingsError, match="two categories"):
        learned(features, np.zeros_like(labels), groups, tiny_model)
