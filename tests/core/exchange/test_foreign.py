"""Other programs' weights: what comes in answers as it did there; what does not fit or could run code does not."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_semclass.cli import main
from napari_semclass.errors import ModelError, OutputError, SettingsError
from napari_semclass.exchange import import_weights
from napari_semclass.exchange.agreement import generated_tiles
from napari_semclass.model import build_network, load_model_file
from napari_semclass.model.backbone import own_size

SMALL = "test_resnet"
NAMES = ("fibre", "pore", "tip")


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import pathlib

        return pathlib.Path.touch, (pathlib.Path(self.path),)


@pytest.fixture
def network():
    torch.manual_seed(3)
    return build_network(SMALL, 3)


@pytest.fixture
def weights(network, tmp_path):
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def answers(network, mean, std):
    tiles = torch.from_numpy(generated_tiles(64))
    mean, std = (torch.tensor(values)[:, None, None] for values in (mean, std))
    with torch.inference_mode():
        return torch.softmax(network((tiles.expand(-1, 3, -1, -1) - mean) / std), 1), tiles[:, 0]


def test_a_torchvision_resnet_gives_the_same_probabilities(tmp_path):
    from torchvision.models import resnet50

    torch.manual_seed(5)
    original = resnet50(num_classes=3).eval()
    save_file(original.state_dict(), tmp_path / "tv.safetensors")
    done = import_weights(
        tmp_path / "tv.safetensors",
        tmp_path / "m.safetensors",
        backbone="resnet50",
        categories=NAMES,
        input_size=64,
        mean=[0.45],
        std=[0.23],
    )
    tiles = torch.from_numpy(generated_tiles(64))
    with torch.inference_mode():
        expected = original(((tiles - 0.45) / 0.23).expand(-1, 3, -1, -1))
        # Not probabilities: random weights are so sure of themselves that these would all be 0 or 1.
        torch.testing.assert_close(done.model.logits(tiles[:, 0]), expected, rtol=1e-4, atol=1e-4)
    assert float(expected.std(0).max()) > 1
    assert done.grey_difference is None
    assert done.model.card.names == NAMES


def test_what_one_mean_for_three_channels_changes_is_measured(network, weights, tmp_path):
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    done = import_weights(
        weights, tmp_path / "m.safetensors", backbone=SMALL, categories=NAMES, input_size=64, mean=mean, std=std
    )
    assert (done.model.card.preprocessing.mean, done.model.card.preprocessing.std) == (0.449, 0.226)
    expected, tiles = answers(network, mean, std)
    with torch.inference_mode():
        change = float((done.model.probabilities(tiles) - expected).abs().max())
    assert done.grey_difference == pytest.approx(change, abs=1e-6)


def test_a_first_layer_for_one_channel_gives_the_same_sum(tmp_path):
    import timm

    torch.manual_seed(4)
    original = timm.create_model(SMALL, num_classes=3, in_chans=1).eval()
    torch.save(original.state_dict(), tmp_path / "grey.pth")
    done = import_weights(
        tmp_path / "grey.pth",
        tmp_path / "m.safetensors",
        backbone=SMALL,
        categories=NAMES,
        input_size=64,
        mean=[0.5],
        std=[0.5],
    )
    tiles = torch.from_numpy(generated_tiles(64))
    with torch.inference_mode():
        expected = torch.softmax(original((tiles - 0.5) / 0.5), 1)
        assert float((done.model.probabilities(tiles[:, 0]) - expected).abs().max()) < 1e-5


@pytest.mark.parametrize(("backbone", "size"), [("test_maxvit", 96), ("test_vit", 64), ("test_coatnet", 64)])
def test_a_network_is_imported_at_another_size_than_its_own(backbone, size, tmp_path):
    torch.manual_seed(4)
    original = build_network(backbone, 3, size=size)
    torch.save(original.state_dict(), tmp_path / "w.pth")
    done = import_weights(
        tmp_path / "w.pth", tmp_path / "m.safetensors", backbone=backbone, categories=NAMES, input_size=size
    )
    pictures = torch.rand(2, 3, size, size)
    with torch.inference_mode():
        torch.testing.assert_close(done.model.network(pictures), original(pictures))


@pytest.mark.parametrize(
    ("backbone", "size", "words"),
    [
        ("vit_tiny_patch16_224", 72, "of 72 px; the nearest that it can: 64 px"),
        ("vit_small_patch14_dinov2", 64, "of 64 px; the nearest that it can: 70 px"),
        ("inception_v3", 64, "of 64 px; the nearest"),
        ("no_such_network", None, "'no_such_network' is not one that timm"),
    ],
)
def test_a_size_or_a_name_that_cannot_be_is_one_sentence(backbone, size, words, weights, tmp_path):
    with pytest.raises((SettingsError, ModelError), match=words):
        import_weights(weights, tmp_path / "m.safetensors", backbone=backbone, categories=NAMES, input_size=size)


def test_tensors_that_do_not_fit_are_listed_in_one_sentence(network, tmp_path):
    state = network.state_dict()
    state["conv1.0.weight"] = torch.zeros(1, 3, 3, 3)
    state["extra.weight"] = state.pop("layer1.0.conv1.weight")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ModelError) as caught:
        import_weights(tmp_path / "w.pth", tmp_path / "m.safetensors", backbone=SMALL, categories=NAMES)
    said = str(caught.value)
    assert "missing: layer1.0.conv1.weight;" in said
    assert "left over: extra.weight;" in said
    assert "of another shape: conv1.0.weight (1, 3, 3, 3) instead of " in said
    assert not (tmp_path / "m.safetensors").exists()


def test_too_few_categories_are_said_as_that(weights, tmp_path):
    with pytest.raises(ModelError, match="has 3 outputs, but 2 categories were named"):
        import_weights(weights, tmp_path / "m.safetensors", backbone=SMALL, categories=NAMES[:2])


@pytest.mark.parametrize(
    "wrong",
    [
        {"categories": ["a", "a", "b"]},
        {"categories": ["a", "", "b"]},
        {"mean": [0.5, 0.5]},
        {"std": [0.0]},
        {"input_size": 4},
        {"tile": 1_000_000},
    ],
)
def test_impossible_settings_are_one_sentence(weights, tmp_path, wrong):
    settings = {"backbone": SMALL, "categories": NAMES} | wrong
    with pytest.raises(SettingsError):
        import_weights(weights, tmp_path / "m.safetensors", **settings)
    assert not (tmp_path / "m.safetensors").exists()


def test_a_booby_trapped_file_does_not_run(tmp_path):
    for write in (lambda path, it: torch.save(it, path), lambda path, it: path.write_bytes(pickle.dumps(it))):
        path = tmp_path / "export.pkl"
        write(path, {"model": Trap(str(tmp_path / "sprung"))})
        with pytest.raises(ModelError):
            import_weights(path, tmp_path / "m.safetensors", backbone=SMALL, categories=NAMES)
    assert not (tmp_path / "sprung").exists()


def test_the_command_imports_and_says_what_it_did(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEMCLASS_MODELS", str(tmp_path / "models"))
    (tmp_path / "names.txt").write_text("fibre\npore\n\ntip\n", encoding="utf-8")
    arguments = ["import", str(weights), "--backbone", SMALL, "--tile", "128", "--input-size", "64", "--out", "mine"]
    arguments += ["--mean", "0.485", "0.456", "0.406", "--std", "0.229", "0.224", "0.225"]
    assert main([*arguments, "--categories", str(tmp_path / "names.txt")]) == 0
    assert "probabilities change by at most" in capsys.readouterr().out
    card = load_model_file(tmp_path / "models" / "mine.safetensors").card
    assert (card.names, card.tile, card.input_size) == (NAMES, 128, 64)
    assert main([*arguments, "--categories", "fibre,pore,tip"]) == 2
    assert "already" in capsys.readouterr().err
    assert main([*arguments, "--categories", "fibre, pore, tip", "--overwrite"]) == 0
    assert main([*arguments, "--categories", "nowhere.txt", "--overwrite"]) == 2


def test_a_fastai_export_is_refused_with_the_way_out(tmp_path):
    torch.save({"model": np.random.default_rng(0)}, tmp_path / "export.pkl")
    with pytest.raises(ModelError, match=r"semclass_training\.convert"):
        import_weights(tmp_path / "export.pkl", tmp_path / "m.safetensors", backbone=SMALL, categories=NAMES)


def test_an_existing_model_is_not_replaced(weights, tmp_path):
    (tmp_path / "m.safetensors").write_text("earlier")
    with pytest.raises(OutputError, match="already"):
        import_weights(weights, tmp_path / "m.safetensors", backbone=SMALL, categories=NAMES)


def test_weights_of_one_size_make_a_model_for_another(tmp_path):
    """Tables of positions are brought to the size for which the model is built when it is read."""
    network = build_network("test_vit2", 2)
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    own = own_size("test_vit2")
    for size in (own, own * 2):
        out = tmp_path / f"{size}.safetensors"
        import_weights(tmp_path / "w.safetensors", out, backbone="test_vit2", categories=["a", "b"], input_size=size)
        tiles = torch.rand(2, size, size)
        assert load_model_file(out).probabilities(tiles).shape == (2, 2)
    with pytest.raises(SettingsError, match="cannot compute pictures of 63 px"):
        import_weights(
            tmp_path / "w.safetensors",
            tmp_path / "x.safetensors",
            backbone="test_vit2",
            categories=["a", "b"],
            input_size=63,
        )
