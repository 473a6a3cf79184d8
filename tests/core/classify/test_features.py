"""Kept features: the same answers as classifying, whatever became of the cache."""

import threading

import numpy as np
import pytest
from safetensors.numpy import save_file

from napari_semclass.classify import Settings, classify_micrograph
from napari_semclass.classify.feature_cache import FeatureCache
from napari_semclass.classify.features import feature_steps, micrograph_id
from napari_semclass.classify.forward import Forward
from napari_semclass.errors import ModelError
from napari_semclass.learn.quick import predict
from napari_semclass.micrograph import as_micrographs
from napari_semclass.model import Model, build_network


def features_of(micrograph, model, grid, cache=None):
    *_, last = feature_steps(micrograph, model, grid.boxes(), tile=grid.tile, device="cpu", cache=cache)
    return last.features


@pytest.fixture
def micrograph(three_bands):
    return as_micrographs(three_bands)[0]


@pytest.fixture
def looks(monkeypatch):
    """How many tiles the network has looked at."""
    seen = []
    real = Forward.__call__
    monkeypatch.setattr(Forward, "__call__", lambda self, tiles: (seen.append(len(tiles)), real(self, tiles))[1])
    return seen


@pytest.mark.parametrize(("tile", "stride"), [(32, 32), (32, 16), (40, 24), (64, 50)])
def test_kept_features_answer_as_classifying_does(micrograph, tiny_model, tile, stride):
    settings = Settings(tile=tile, stride=stride, device="cpu")
    expected = classify_micrograph(micrograph, tiny_model, settings)
    found = predict(features_of(micrograph, tiny_model, expected.grid), tiny_model)
    np.testing.assert_allclose(found, expected.probabilities, atol=1e-4)


def test_what_was_seen_is_not_looked_at_again(micrograph, tiny_model, tmp_path, looks):
    settings = Settings(tile=32, device="cpu")
    grid = settings.grid(micrograph, tiny_model.card)
    first = features_of(micrograph, tiny_model, grid, FeatureCache(tmp_path))
    assert sum(looks) == len(grid)
    again = features_of(micrograph, tiny_model, grid, FeatureCache(tmp_path))  # as another process would
    assert sum(looks) == len(grid)
    np.testing.assert_array_equal(first, again)
    shifted = Settings(tile=32, stride=16, device="cpu").grid(micrograph, tiny_model.card)
    features_of(micrograph, tiny_model, shifted, FeatureCache(tmp_path))
    assert sum(looks) == len(shifted)  # the tiles of the first grid are in the second one, too


def test_other_pixels_are_looked_at(three_bands, tiny_model, tmp_path, looks):
    cache = FeatureCache(tmp_path)
    grid = Settings(tile=32).grid(as_micrographs(three_bands)[0], tiny_model.card)
    features_of(as_micrographs(three_bands)[0], tiny_model, grid, cache)
    changed = three_bands.copy()
    changed[0, 0] ^= 1
    features_of(as_micrographs(changed)[0], tiny_model, grid, cache)
    assert sum(looks) == 2 * len(grid)
    assert micrograph_id(as_micrographs(changed)[0]) != micrograph_id(as_micrographs(three_bands)[0])


def test_stopping_keeps_what_was_computed(micrograph, tiny_model, tmp_path, looks, monkeypatch):
    monkeypatch.setattr("napari_semclass.classify.forward.default_batch", lambda device: 2)
    grid = Settings(tile=32, device="cpu").grid(micrograph, tiny_model.card)
    stop = threading.Event()
    for step in feature_steps(micrograph, tiny_model, grid.boxes(), tile=32, cache=FeatureCache(tmp_path), stop=stop):
        if step.done:
            stop.set()
    assert 0 < sum(looks) < len(grid)
    features_of(micrograph, tiny_model, grid, FeatureCache(tmp_path))
    assert sum(looks) == len(grid)


@pytest.mark.parametrize("damage", ["cut", "width", "nan", "text"])
def test_a_damaged_cache_only_costs_time(micrograph, tiny_model, tmp_path, damage):
    grid = Settings(tile=32, device="cpu").grid(micrograph, tiny_model.card)
    sound = features_of(micrograph, tiny_model, grid, FeatureCache(tmp_path))
    (file,) = tmp_path.iterdir()
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "text":
        file.write_text("not features")
    else:
        wrong = sound[:, :3] if damage == "width" else np.full_like(sound, np.nan)
        save_file({"boxes": grid.boxes(), "features": np.ascontiguousarray(wrong)}, file)
    np.testing.assert_array_equal(features_of(micrograph, tiny_model, grid, FeatureCache(tmp_path)), sound)


def test_a_cache_that_cannot_be_written_only_costs_time(micrograph, tiny_model, tmp_path):
    (tmp_path / "file").write_text("in the way")
    grid = Settings(tile=32, device="cpu").grid(micrograph, tiny_model.card)
    assert len(features_of(micrograph, tiny_model, grid, FeatureCache(tmp_path / "file" / "below"))) == len(grid)


def test_the_folder_stays_within_its_bound(tmp_path):
    cache = FeatureCache(tmp_path, most_bytes=40_000)
    for key in range(20):
        cache.add(f"key{key}", np.array([[0, 0, 1, 1]]), np.zeros((1, 1000), dtype=np.float32))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 40_000
    assert FeatureCache(tmp_path).read("key19")
    assert not FeatureCache(tmp_path).read("key0")


def test_many_small_additions_are_put_together_and_none_is_lost(tmp_path):
    cache = FeatureCache(tmp_path)
    for index in range(30):
        cache.add("key", np.array([[index, 0, index + 1, 1]]), np.full((1, 4), index, dtype=np.float32))
    assert len(list(tmp_path.iterdir())) < 10
    known = FeatureCache(tmp_path).read("key")
    assert [known[(index, 0, index + 1, 1)][0] for index in range(30)] == list(range(30))


def test_two_jobs_on_one_model_do_not_hear_each_other(micrograph, tiny_model):
    grid = Settings(tile=32, device="cpu").grid(micrograph, tiny_model.card)
    alone = features_of(micrograph, tiny_model, grid)
    stop = threading.Event()

    def classify():
        while not stop.is_set():
            classify_micrograph(micrograph, tiny_model, Settings(tile=32, device="cpu"))

    other = threading.Thread(target=classify)
    other.start()
    try:
        for _ in range(10):
            np.testing.assert_allclose(features_of(micrograph, tiny_model, grid), alone, atol=1e-5)
    finally:
        stop.set()
        other.join()


def test_a_network_without_a_linear_classifier_is_refused_in_one_sentence(micrograph, tiny_model):
    network = build_network("test_resnet", 3)
    network.reset_classifier(0)
    with pytest.raises(ModelError, match="cannot learn quickly"):
        features_of(
            micrograph, Model(network, tiny_model.card, ""), Settings(tile=32).grid(micrograph, tiny_model.card)
        )
