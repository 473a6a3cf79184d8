"""Views: what is learned from is what is classified, at the scales the plan names."""

import numpy as np
import pytest
import torch

from napari_semclass.classify import Settings, classify_micrograph
from napari_semclass.classify.whole import whole_crops
from napari_semclass.learn.head_plan import View
from napari_semclass.learn.views import features_of, tile_crops, turned, view_crops
from napari_semclass.micrograph import DataBar, GreyRange, Micrograph, grey_range
from napari_semclass.model import build_network

RAMP = np.add.outer(np.arange(60.0), 1000 * np.arange(100.0))
LEVELS = GreyRange(0, float(RAMP.max()))


def crops_of(view, size=30):
    return view_crops(Micrograph(RAMP, known_bars=()), LEVELS, view, size, np.random.default_rng(0))


def test_the_whole_field_is_seen_as_classifying_sees_it():
    expected = whole_crops(Micrograph(RAMP, known_bars=()), LEVELS, 60)
    np.testing.assert_allclose(crops_of(View(field=1.0), 60), expected, atol=1e-6)


def test_parts_of_the_field_span_their_share_of_the_shorter_side():
    crops = crops_of(View(field=0.5, crops=7))
    assert crops.shape == (7, 30, 30)
    across = (crops[:, 0, -1] - crops[:, 0, 0]) * LEVELS.high / 1000  # columns between the first and the last pixel
    np.testing.assert_allclose(across, 29, atol=1e-2)
    assert len(set(crops[:, 0, 0].tolist())) > 3


def test_a_shrunken_view_has_lost_its_detail():
    detail = Micrograph(np.indices((64, 64)).sum(0) % 2 * 1.0, known_bars=())
    random = np.random.default_rng(0)
    sharp = view_crops(detail, GreyRange(0, 1), View(field=1.0), 64, random)
    blurred = view_crops(detail, GreyRange(0, 1), View(field=1.0, pixels=16), 64, random)
    assert sharp.std() > 0.4
    assert blurred.std() < 0.05


def test_data_bars_are_never_seen():
    barred = RAMP.copy()
    barred[40:] = 1e9
    micrograph = Micrograph(barred, known_bars=(DataBar(40, 60, 1.0),))
    levels = GreyRange(0, 1e8)
    for view in (View(field=1.0), View(field=0.5, crops=9)):
        assert view_crops(micrograph, levels, view, 20, np.random.default_rng(0)).max() < 0.01
    assert tile_crops(micrograph, levels, 20).max() < 0.01


def test_turning_keeps_the_pixels_and_moves_them():
    crops = torch.arange(9.0).reshape(1, 3, 3).repeat(40, 1, 1)
    views = turned(crops, np.random.default_rng(0))
    assert all(sorted(view.ravel().tolist()) == list(range(9)) for view in views)
    assert len({tuple(view.ravel().tolist()) for view in views}) == 8


@pytest.mark.parametrize("whole", [True, False])
def test_features_and_head_give_what_the_model_gives(tiny_model, three_bands, whole):
    micrograph = Micrograph(three_bands, known_bars=())
    card = tiny_model.card
    levels = grey_range(micrograph, card.preprocessing.low_percentile, card.preprocessing.high_percentile)
    body = build_network(card.backbone, 3)
    body.load_state_dict(tiny_model.network.state_dict())
    body.reset_classifier(0)
    if whole:
        crops = view_crops(micrograph, levels, View(field=1.0), card.input_size, np.random.default_rng(0))
    else:
        crops = tile_crops(micrograph, levels, card.tile)
    head = tiny_model.network.get_classifier()
    logits = torch.from_numpy(features_of(body, crops, card)) @ head.weight.T + head.bias
    probabilities = torch.softmax(logits, dim=1).numpy()
    settings = Settings(mode="whole" if whole else "tiles")
    expected = classify_micrograph(micrograph, tiny_model, settings).probabilities
    np.testing.assert_allclose(probabilities.mean(0, keepdims=True) if whole else probabilities, expected, atol=1e-4)
