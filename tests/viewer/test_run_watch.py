"""What the viewer makes of a run's events and of what a run leaves; no window is needed."""

import json
import threading
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest

from napari_semclass.learn.events import (
    BatchDone,
    EpochDone,
    EventLog,
    Failed,
    Finished,
    Looking,
    Planned,
    StageBegun,
    Stopped,
)
from napari_semclass.learn.held_out import HeldOutTiles, write_held_out
from napari_semclass.learn.model_names import free_name, unfit
from napari_semclass.learn.plan import Plan
from napari_semclass.learn.run import Run, Task
from napari_semclass.learn.run_watch import MOST_LINES, RunWatch
from napari_semclass.model import save_model
from napari_semclass.viewer.outcome_job import compare_job, outcome_job, thumbnails_job
from napari_semclass.viewer.train_jobs import watch_job

PLANNED = Planned("data", "out", "CPU", {"stages": [{"epochs": 2, "frozen_epochs": 1}, {"epochs": 3}]}, {})
PLANNED.plan["stages"][1]["frozen_epochs"] = 0


def epoch(number, loss=1.0):
    return EpochDone(0, 32, number, 6, False, loss, 0.5, 0.8, 0.7, 0.7, 0.7, 2.0, 50.0, 1e-3)


def batch(epoch, number, loss=1.0):
    return BatchDone(0, epoch, number, 10, loss, 120.0, 30.0)


def told(*events):
    watch = RunWatch()
    for event in events:
        watch.tell(event)
    return watch


def test_where_it_is_and_how_long_it_takes():
    watch = told(PLANNED)
    assert "Getting ready" in watch.where()
    watch = told(PLANNED, StageBegun(0, 2, 32, 2, 1, 8), batch(1, 10), epoch(1), batch(2, 5))
    assert watch.done == pytest.approx(1.5 / 6)
    assert watch.where() == "Stage 1 of 2 (32 px), epoch 2 of 6, batch 5 of 10"
    assert watch.speed() == "120 tiles/s on CPU · 30 s left"


def test_the_look_in_the_end_is_told_and_is_all_there_is_without_stages():
    fitting = told(replace(PLANNED, plan={"stages": []}), Looking(300, 1200, 45.0))
    assert fitting.done == 0.25
    assert fitting.where() == "Looking at all tiles for the last time, 300 of 1,200"
    assert fitting.speed() == "on CPU · 45 s left"
    tuned = told(PLANNED, StageBegun(0, 2, 32, 2, 1, 8), batch(6, 10), epoch(6), Looking(300, 1200, 45.0))
    assert tuned.done == 1
    assert "300 of 1,200" in tuned.where()


def test_a_run_that_was_resumed_counts_each_epoch_once():
    first = (PLANNED, StageBegun(0, 2, 32, 2, 1, 8), batch(1, 10), epoch(1, 3.0), batch(2, 5), batch(2, 8))
    watch = told(*first, Failed("Killed."))
    assert (watch.ended, watch.sentence) == ("failed", "Killed.")
    for event in (replace(PLANNED, resumed=True), StageBegun(0, 2, 32, 2, 1, 8), batch(2, 5, 0.5), epoch(2)):
        watch.tell(event)
    assert watch.ended == ""
    assert sorted(watch.epochs) == [1, 2]
    assert watch.points == [(1.0, 1.0), (1.5, 0.5)]


def test_a_log_without_end_stays_small():
    watch = told(*[epoch(n % 6 + 1) for n in range(MOST_LINES + 50)])
    assert len(watch.lines) == MOST_LINES
    assert watch.told == MOST_LINES + 50


def test_an_ended_run_is_told_and_not_waited_for(tmp_path):
    run = Run(tmp_path / "a.run")
    run.create(Plan(), Task("data", "out.safetensors", "a", "a"))
    log = EventLog(run.events_file)
    for event in (PLANNED, epoch(1), Stopped("Stopped.")):
        log.write(event)
    log.close()
    news = [event for events in watch_job(run, None, None, threading.Event()) for event in events]
    assert [event.kind for event in news] == ["plan", "epoch", "stopped"]


def test_names_that_are_free_and_can_be_files():
    assert free_name("", frozenset()) == "my-model"
    assert free_name("Steel", {"steel"}) == "Steel-2"
    assert free_name("Steel-2", {"steel", "steel-2"}) == "Steel-3"
    assert unfit("my steel (2)", frozenset()) == ""
    for name in ("", "a/b", ".hidden", "x" * 101, "starter", "a\nb"):
        assert unfit(name, frozenset())


@pytest.fixture
def finished(tmp_path, tiny_model, three_bands, models):
    """A finished run on one picture of three bands; its model, a copy of `tiny`, took every tenth tile for another."""
    iio.imwrite(tmp_path / "bands.png", three_bands)
    boxes = np.array([[y, x, y + 32, x + 32] for y in (0, 32, 64) for x in range(0, 160, 32)])
    labels = np.repeat([[0, 0, 1, 2, 2]], 3, 0).ravel()
    answers = np.where(np.arange(15) % 10 == 3, 0, labels)
    tiles = HeldOutTiles(
        (tmp_path / "bands.png",) * 15, boxes, np.arange(15), np.arange(15) // 5, (None,) * 15, labels,
        0.05 + 0.85 * np.eye(3)[answers], ("dark", "grey", "bright"),
    )  # fmt: skip
    run = Run(models / "new.run")
    run.create(Plan(), Task(str(tmp_path), str(models / "new.safetensors"), "new", "New"))
    save_model(tiny_model.network, replace(tiny_model.card, name="new", title="New"), models / "new.safetensors")
    write_held_out(tiles, run.held_out_file)
    shares = {"accuracy": 0.867, "accuracy_interval": [0.8, 0.9], "macro_f1": 0.86, "macro_f1_interval": [0.7, 0.9]}
    run.metrics_file.write_text(json.dumps({"unit": "tile", "n": 15, "n_groups": 3, **shares}))
    log = EventLog(run.events_file)
    log.write(Finished(str(models / "new.safetensors"), "", 3.0))
    log.close()
    (outcome,) = outcome_job(run, threading.Event())
    return outcome


def test_figures_come_with_interval_and_the_way_they_were_tested(finished):
    assert finished.figures() == (
        "86.7 % of 15 held-out tiles right (95 % interval 80 to 90 %), macro-F1 0.86 (0.70 to 0.90)."
    )
    assert finished.tested().startswith("Tested on groups (specimens, files) that were not learned from: 3 groups.")


def test_before_and_after_are_of_the_same_tiles(finished):
    (sentence,) = compare_job("tiny", finished, threading.Event())
    assert "the same 15 tiles: “Tiny” has 100.0 % right" in sentence
    assert "“New” 86.7 %" in sentence
    assert "13.3 points fewer (95 % interval" in sentence
    assert list(compare_job(str(finished.model), finished, threading.Event())) == []


def test_tiles_get_small_pictures_and_missing_files_none(finished, tmp_path):
    found = dict(thumbnails_job(finished.tiles, (0, 2, 4), threading.Event()))
    assert [found[index].mean().round(-2) for index in (0, 4)] == [0, 200]
    assert max(found[0].shape) <= 64
    (tmp_path / "bands.png").unlink()
    assert list(thumbnails_job(finished.tiles, (0,), threading.Event())) == []
