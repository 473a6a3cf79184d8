"""A small data set whose categories can be learned in seconds, and plans for it."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from napari_semclass.learn.plan import Plan, Stage
from napari_semclass.learn.run import Run, Task

TEXTURES = {"fine": 3, "coarse": 12, "smooth": 48}  # px from one maximum to the next


def draw_texture(period: float, seed: int, side: int = 96) -> np.ndarray:
    """Waves in a direction of their own, with noise; uint8."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0, np.pi)
    y, x = np.mgrid[:side, :side]
    waves = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    return np.clip(128 + 80 * waves + random.normal(0, 15, waves.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def texture():
    """Draw one texture: period in px, seed, side in px."""
    return draw_texture


@pytest.fixture(scope="session")
def textures(tmp_path_factory) -> Path:
    """Three categories of five pictures of 96 x 96 px."""
    folder = tmp_path_factory.mktemp("textures")
    for number, (name, period) in enumerate(TEXTURES.items()):
        (folder / name).mkdir()
        for seed in range(5):
            iio.imwrite(folder / name / f"{seed}.png", draw_texture(period, 10 * number + seed))
    return folder


@pytest.fixture
def plan() -> Plan:
    """Two stages of a tiny network from random weights, the first one frozen at its beginning."""
    stages = (Stage(32, epochs=2, frozen_epochs=1, lr=3e-3, batch=8), Stage(48, epochs=2, lr=1e-3, batch=8))
    return Plan(
        backbone="test_resnet", pretrained="none", tile=48, stride=48, stages=stages, head="random", norm="learned",
        body_rate=0.5, ema=0.9,
    )  # fmt: skip


@pytest.fixture
def make_run(tmp_path, textures):
    """Make a run of a plan on the textures."""

    def make(plan: Plan, name: str = "a", data: Path | None = None) -> Run:
        run = Run(tmp_path / f"{name}.run")
        out = str(tmp_path / f"{name}.safetensors")
        run.create(plan, Task(str(data or textures), out, name, name, "cpu"))
        return run

    return make
