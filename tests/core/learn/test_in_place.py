"""Tiles looked at where they lie get the answers that classifying gives, whatever file and plane they are of."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from scipy.special import softmax

from napari_semclass import Settings, classify_micrograph
from napari_semclass.classify.forward import Forward
from napari_semclass.learn.dataset import read_dataset
from napari_semclass.learn.in_place import answers_to, features_in_place
from napari_semclass.learn.tiles import cut_samples, cutting_of
from napari_semclass.micrograph import open_micrographs

TILE = 32


@pytest.fixture
def model(tiny_model):
    """The tiny network, answering from an area three tiles wide."""
    return replace(tiny_model, card=replace(tiny_model.card, windows=True, context=3.0))


@pytest.fixture
def data(tmp_path):
    """A category of a stack of two planes, another of a single picture, with noise of grey levels that differ."""
    random = np.random.default_rng(0)
    for name, levels in (("dark", (40, 90)), ("bright", (200,))):
        (tmp_path / name).mkdir()
        planes = [np.clip(random.normal(level, 30, (130, 170)), 0, 255).astype(np.uint8) for level in levels]
        tifffile.imwrite(tmp_path / name / "a.tif", np.stack(planes), photometric="minisblack")
    return read_dataset(tmp_path)


def test_answers_are_those_of_classifying_plane_by_plane(model, data):
    cutting = cutting_of(model.card)
    samples = cut_samples(data.pictures, range(len(data.pictures)), cutting, [0, 1], data.categories)
    told = []
    logits, _ = answers_to(
        Forward.on(model, "cpu"), data.pictures, samples, cutting, np.zeros(len(samples), dtype=bool), told.append
    )
    assert told[-1] == len(samples)
    assert sorted(set(samples.planes.tolist())) == [0, 1]
    found = softmax(logits / model.card.temperature, axis=1)
    for index, plane in {*zip(samples.pictures.tolist(), samples.planes.tolist(), strict=True)}:
        micrograph = open_micrographs(data.pictures[index].path)[plane]
        prediction = classify_micrograph(micrograph, model, Settings(device="cpu", precision="fp32"))
        own = np.flatnonzero((samples.pictures == index) & (samples.planes == plane))
        wanted = {tuple(b): p for b, p in zip(prediction.grid.boxes().tolist(), prediction.probabilities, strict=True)}
        for row in own:
            np.testing.assert_allclose(found[row], wanted[tuple(samples.boxes[row].tolist())], atol=1e-4)


def test_each_file_is_opened_once_however_many_planes_it_has(model, data, monkeypatch):
    opened = []
    real = open_micrographs

    def counting(path):
        opened.append(path)
        return real(path)

    cutting = cutting_of(model.card)
    samples = cut_samples(data.pictures, range(len(data.pictures)), cutting, [0, 1], data.categories)
    monkeypatch.setattr("napari_semclass.learn.in_place.open_micrographs", counting)
    features_in_place(model, data.pictures, samples, cutting, context=3.0, device="cpu")
    assert len(opened) == len(set(opened)) == 2
