"""Which parts of a tile speak for a category."""

import numpy as np
import pytest
import torch

from napari_semclass.classify import Settings, classify_micrograph
from napari_semclass.classify.why import class_activation
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import as_micrographs, grey_range
from napari_semclass.model.preprocess import network_input


def test_of_an_average_pooled_network_it_is_the_class_activation_map(three_bands, tiny_model):
    micrograph = as_micrographs(three_bands)[0]
    heat, _ = class_activation(tiny_model, micrograph, (0, 112, 32, 144), 2)
    steps = tiny_model.card.preprocessing
    tile = grey_range(micrograph, steps.low_percentile, steps.high_percentile).normalise(three_bands[:32, 112:144])
    with torch.inference_mode():
        maps = tiny_model.network.forward_features(network_input(torch.from_numpy(tile)[None], tiny_model.card))[0]
        weight = tiny_model.network.get_classifier().weight[2]
        expected = torch.relu((weight[:, None, None] * maps).sum(0)).numpy()
    assert heat.shape == (32, 32)
    if expected.shape == (1, 1):
        assert np.ptp(heat) == 0
    else:
        np.testing.assert_allclose(heat.max(), 1)
        assert np.unravel_index(heat.argmax(), heat.shape)[0] // (32 // expected.shape[0]) == expected.argmax() // len(
            expected[0]
        )


@pytest.mark.parametrize("tile", [32, 20, 48])
def test_the_probabilities_are_those_of_classifying(three_bands, tiny_model, tile):
    micrograph = as_micrographs(three_bands)[0]
    prediction = classify_micrograph(micrograph, tiny_model, Settings(tile=tile, device="cpu"))
    for index in (0, len(prediction.grid) - 1):
        _, found = class_activation(tiny_model, micrograph, prediction.grid.box(index), tile=tile)
        np.testing.assert_allclose(found, prediction.probabilities[index], atol=1e-4)


def test_a_category_that_is_not_there_is_refused(three_bands, tiny_model):
    with pytest.raises(SettingsError, match="no category number 7"):
        class_activation(tiny_model, as_micrographs(three_bands)[0], (0, 0, 32, 32), 7)
