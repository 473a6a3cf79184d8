"""What a model file says of its training: checked before it is believed."""

from dataclasses import replace

import pytest
import torch

from napari_semclass.errors import ModelError
from napari_semclass.model import save_model


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"means": torch.zeros(2, 3)}, "do not fit"),
        ({"means": torch.zeros(0, 1)}, "do not fit"),
        ({"weights": torch.zeros(7)}, "do not fit"),
        ({"offset": torch.zeros(())}, "do not fit"),
        ({"spread": torch.tensor([float("nan")])}, "finite"),
        ({"weights": torch.zeros(3, dtype=torch.int64)}, "finite"),
    ],
)
def test_unsound_statistics_are_refused(wary_model, tmp_path, changed, complaint):
    familiar = replace(wary_model.familiar, **changed)
    with pytest.raises(ModelError, match=complaint):
        save_model(wary_model.network, wary_model.card, tmp_path / "m.safetensors", familiar=familiar)


def test_card_and_statistics_come_together(wary_model, tmp_path):
    with pytest.raises(ModelError, match=r"'card\.familiar\.means'"):
        save_model(wary_model.network, wary_model.card, tmp_path / "m.safetensors")
    silent = replace(wary_model.card, familiar_kept=None)
    with pytest.raises(ModelError, match=r"'card\.familiar\.means'"):
        save_model(wary_model.network, silent, tmp_path / "m.safetensors", familiar=wary_model.familiar)


def test_half_precision_hardly_changes_strangeness(wary_model, tmp_path):
    half = save_model(wary_model.network, wary_model.card, tmp_path / "m.safetensors", familiar=wary_model.familiar)
    tiles = torch.rand(8, 32, 32)
    for (_, one), (_, other) in [(wary_model.answers(tiles), half.answers(tiles))]:
        torch.testing.assert_close(one, other, atol=0.1, rtol=0.1)
