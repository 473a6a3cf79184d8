"""What the trainer leaves for the viewer beside its figures: every held-out tile with its answer."""

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_semclass.learn.held_out import read_held_out
from napari_semclass.learn.plan import Held
from semclass_training.train import train

pytestmark = pytest.mark.slow


def test_the_table_agrees_with_the_figures(plan, make_run, textures):
    run = make_run(replace(plan, stages=plan.stages[:1]))
    assert train(run)
    metrics = json.loads(run.metrics_file.read_text())
    tiles = read_held_out(run.held_out_file)
    confusion = np.zeros((3, 3), dtype=int)
    np.add.at(confusion, (tiles.labels, tiles.answers), 1)
    assert confusion.tolist() == metrics["confusion_matrix"]
    assert list(tiles.categories) == metrics["categories"]
    np.testing.assert_allclose(tiles.probabilities.sum(axis=1), 1, atol=1e-4)
    for path, label in zip(tiles.paths, tiles.labels, strict=True):
        assert path.is_file()
        assert path.parent.name == tiles.categories[label]
    assert len(np.unique(tiles.groups)) == metrics["n_groups"]


def test_without_held_out_tiles_there_is_no_table(plan, make_run):
    run = make_run(replace(plan, stages=plan.stages[:1], held=Held(share=0.0)))
    assert train(run)
    assert not run.held_out_file.exists()
    assert not run.metrics_file.exists()
