"""What all tests share: where real test data lies, and a tiny model with weights that mean something."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

from napari_semclass.model import Card, Category, Model, Preprocessing, build_network, save_model

# `nohup` has its processes ignore the end of their terminal, and so would all that the tests start.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
# A busy machine is slow, not wrong.
hypothesis.settings.register_profile("semclass", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("semclass")

REPOSITORY = Path(__file__).parents[1]

# Seconds that a test waits for what must happen, whatever else the machine does; only a failure takes as long.
_PATIENCE_S = 240


@pytest.fixture(scope="session", autouse=True)
def _caches_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that a user's own work has left in the cache decides a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEMCLASS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SEMCLASS_CONFIG", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(autouse=True)
def _same_chance_in_any_order() -> None:
    """What draws at random without a seed of its own draws the same, whatever ran before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def patience() -> int:
    """Seconds to wait for what must happen."""
    return _PATIENCE_S


@pytest.fixture(scope="session")
def wait_until(patience: int) -> Callable[[Callable[[], object]], None]:
    """Wait until a condition holds, and fail if it never does."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < end, "what the test waits for does not happen"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real SEM images; tests that need it are skipped, with a reason, where it is missing."""
    folder = Path(os.environ.get("SEMCLASS_TEST_DATA", REPOSITORY / ".." / "shared" / "data"))
    if not (folder / "nffa" / "manifest.csv").is_file():
        pytest.skip(f"no real test data at {folder}; set SEMCLASS_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def tiny_card() -> Card:
    """Three categories, tiles of 32 px."""
    return Card(
        name="tiny",
        title="Tiny",
        description="A toy for tests.",
        categories=(Category("dark", "#d55e00"), Category("grey", "#009e73"), Category("bright", "#56b4e9")),
        backbone="test_resnet",
        unit="tile",
        tile=32,
        input_size=32,
        preprocessing=Preprocessing(mean=0.5, std=0.5),
    )


@pytest.fixture(scope="session")
def tiny_model(tiny_card: Card, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A real timm network whose head is fitted to tell dark, grey and bright tiles apart."""
    torch.manual_seed(0)
    network = build_network(tiny_card.backbone, len(tiny_card.categories))
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    levels = torch.cat([torch.rand(40) * 0.2, 0.4 + torch.rand(40) * 0.2, 0.8 + torch.rand(40) * 0.2])
    tiles = ((levels[:, None, None, None] + 0.02 * torch.randn(120, 1, 32, 32)) - 0.5) / 0.5
    wanted = torch.arange(3).repeat_interleave(40)
    features = network.forward_head(network.forward_features(tiles.expand(-1, 3, -1, -1)), pre_logits=True)
    features, mean, spread = (features - features.mean(0)) / (features.std(0) + 1e-6), features.mean(0), features.std(0)
    weight = torch.linalg.lstsq(torch.cat([features, torch.ones(120, 1)], 1), 12.0 * torch.eye(3)[wanted]).solution
    head = network.get_classifier()
    with torch.no_grad():
        head.weight.copy_((weight[:-1] / (spread[:, None] + 1e-6)).T)
        head.bias.copy_(weight[-1] - head.weight @ mean)
    return save_model(network, tiny_card, tmp_path_factory.mktemp("models") / "tiny.safetensors", half=False)


@pytest.fixture(scope="session")
def three_bands() -> np.ndarray:
    """96 x 160 px: left third dark, middle grey, right bright, with a little noise; uint8."""
    pixels = np.repeat(np.array([10, 125, 240]), [64, 32, 64])[None].repeat(96, 0)
    noise = np.random.default_rng(0).normal(0, 3, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def models(tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's own models, holding `tiny`."""
    folder = tmp_path / "models"
    folder.mkdir()
    save_model(tiny_model.network, tiny_model.card, folder / "tiny.safetensors", half=False)
    monkeypatch.setenv("SEMCLASS_MODELS", str(folder))
    return folder


@pytest.fixture(scope="session")
def wary_model(tiny_model: Model, three_bands: np.ndarray) -> Model:
    """Learned from the tiles of six micrographs like `three_bands`: it knows what is unlike them."""
    from napari_semclass.classify import Settings
    from napari_semclass.classify.features import feature_steps
    from napari_semclass.learn.quick import fit_quick
    from napari_semclass.micrograph import as_micrographs

    random = np.random.default_rng(1)
    features, labels, groups = [], [], []
    for picture in range(6):
        pixels = np.clip(three_bands + random.normal(0, 4, three_bands.shape), 0, 255).astype(np.uint8)
        micrograph = as_micrographs(pixels)[0]
        boxes = Settings(tile=32).grid(micrograph, tiny_model.card).boxes()
        *_, last = feature_steps(micrograph, tiny_model, boxes, tile=32, device="cpu")
        features.append(last.features)
        labels += [int(x0 >= 64) + int(x0 >= 96) for _, x0, _, _ in boxes.tolist()]
        groups += [picture] * len(boxes)
    return fit_quick(
        np.concatenate(features),
        np.array(labels),
        np.array(groups),
        np.array(groups),
        tiny_model.card.categories,
        tiny_model,
        tile=32,
        name="wary",
        title="Wary",
        tested="tested on other images",
    ).model
