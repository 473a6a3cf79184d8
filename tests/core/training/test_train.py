"""A training run from a folder of pictures to a model: what it learns, tells, survives and refuses."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from napari_semclass import Settings, classify_micrograph, load_model
from napari_semclass.errors import OutputError, SemclassError
from napari_semclass.learn.evaluate import evaluate_model
from napari_semclass.learn.events import (
    BatchDone,
    CheckpointWritten,
    Divided,
    EpochDone,
    Estimated,
    EventLog,
    Failed,
    Finished,
    Looking,
    Planned,
    StageBegun,
    Stopped,
    Warned,
    read_events,
)
from napari_semclass.learn.held_out import read_held_out
from napari_semclass.learn.plan import Held, Plan, Stage
from napari_semclass.micrograph import as_micrographs, open_micrographs
from napari_semclass.retrain import follow, start
from semclass_training.callbacks import Follow
from semclass_training.finish import temperature_of
from semclass_training.prepare import fitted_head
from semclass_training.train import train

pytestmark = pytest.mark.slow

# A training that is killed as soon as it has told of an epoch: from outside it might be over by then.
KILLED = """
import os, signal, sys
from napari_semclass.learn.events import EventLog
from napari_semclass.learn.run import Run
from semclass_training.train import train

folder, kind, epoch = sys.argv[1:]
write = EventLog.write

def write_and_die(self, event):
    write(self, event)
    if type(event).__name__ == kind and event.epoch >= int(epoch):
        os.kill(os.getpid(), signal.SIGKILL)

EventLog.write = write_and_die
train(Run(folder))
"""


def events(run):
    return [event for _, event in read_events(run.events_file)]


def epochs(run):
    """The epochs of a run; one that was done again counts once."""
    return {event.epoch: event for event in events(run) if isinstance(event, EpochDone)}


def of_kind(run, kind):
    return [event for event in events(run) if isinstance(event, kind)]


def end(run):
    """Follow a run to its last event."""
    last = None
    for found in follow(run):
        last = found[1] if found is not None else last
    return last


def test_a_run_learns_tells_and_leaves_a_model(plan, make_run, texture):
    run = make_run(replace(plan, stages=(*plan.stages, Stage(48, epochs=6, lr=3e-3, batch=8))))
    assert train(run)
    kinds = [type(event) for event in events(run)]
    assert kinds[0] is Planned
    assert kinds[-1] is Finished
    assert {Divided, Estimated, StageBegun, BatchDone} <= set(kinds)
    lines = [json.loads(line) for line in run.events_file.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert list(epochs(run)) == list(range(1, 12))
    assert [epochs(run)[n].frozen for n in (1, 2, 4)] == [True, False, False]
    (divided,) = of_kind(run, Divided)
    assert divided.categories == ("coarse", "fine", "smooth")
    assert min(divided.validation) > 0
    model = load_model(run.folder.with_suffix(".safetensors"))
    assert (model.card.tile, model.card.input_size, model.card.unit) == (48, 48, "tile")
    (test,) = model.card.tests
    assert test.n == sum(divided.validation)
    assert test.accuracy > 0.8
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics["accuracy"] == pytest.approx(test.accuracy, abs=1e-3)
    (micrograph,) = as_micrographs(texture(3, seed=99, side=144))
    answers = classify_micrograph(micrograph, model)
    assert answers.names[answers.area_fractions().argmax()] == "fine"


def test_the_same_plan_gives_the_same_losses(plan, make_run):
    first, second = make_run(plan, "first"), make_run(plan, "second")
    assert train(first)
    assert train(second)
    losses = [[event.train_loss for event in epochs(run).values()] for run in (first, second)]
    assert losses[0] == losses[1]
    assert of_kind(first, Finished)[0].metrics == of_kind(second, Finished)[0].metrics
    other = make_run(replace(plan, seed=1, stages=plan.stages[:1]), "other")
    assert train(other)
    assert epochs(other)[1].train_loss != losses[0][0]


def test_with_context_the_model_answers_tiles_where_they_lie(plan, make_run, textures, tmp_path):
    run = make_run(replace(plan, context=3.0))
    assert train(run)
    model = load_model(run.folder.with_suffix(".safetensors"))
    assert (model.card.windows, model.card.context, model.card.tile) == (True, 3.0, 48)
    # Figures of the run are of the model as it classifies: the answers that were kept are those of the engine.
    table = read_held_out(run.held_out_file)
    for path in set(table.paths):
        own = [index for index, one in enumerate(table.paths) if one == path]
        (micrograph,) = open_micrographs(path)
        prediction = classify_micrograph(micrograph, model, Settings(device="cpu", precision="fp32"))
        answers = {
            tuple(box): row for box, row in zip(prediction.grid.boxes().tolist(), prediction.probabilities, strict=True)
        }
        for index in own:  # the file holds weights in half precision
            np.testing.assert_allclose(answers[tuple(table.boxes[index])], table.probabilities[index], atol=1e-2)
    # So are those of an evaluation.
    found = evaluate_model(model, textures, tmp_path / "report", device="cpu")
    right = []
    for category in model.card.names:
        for path in (textures / category).glob("*.png"):
            (micrograph,) = open_micrographs(path)
            answers = classify_micrograph(micrograph, model, Settings(device="cpu", precision="fp32", reject="off"))
            right += (answers.tile_categories() == model.card.names.index(category)).tolist()
    assert found.metrics.scores.accuracy.value == pytest.approx(np.mean(right), abs=1 / len(right))


def test_a_model_with_context_that_holds_nothing_out_knows_what_it_learned(plan, make_run, textures):
    """Nothing is validated at the end, so that fastai leaves its network as it is while it learns."""
    run = make_run(replace(plan, context=3.0, norm="frozen", held=Held(share=0.0)))
    assert train(run)
    model = load_model(run.folder.with_suffix(".safetensors"))
    right = []
    for category in model.card.names:
        for path in (textures / category).glob("*.png"):
            (micrograph,) = open_micrographs(path)
            answers = classify_micrograph(micrograph, model, Settings(device="cpu", reject="off"))
            right += (answers.tile_categories() == model.card.names.index(category)).tolist()
    assert np.mean(right) > 0.9
    means = [value for name, value in model.network.state_dict().items() if name.endswith("running_mean")]
    assert means
    assert not any(value.any() for value in means)  # what is to stay frozen, stays when tiles are looked at in the end


def test_boxes_and_networks_that_share_no_map_are_answered_alone_and_the_run_says_so(
    plan, make_run, textures, tmp_path
):
    marked = tmp_path / "marked"
    marked.mkdir()
    rows = [
        f"{textures / name / f'{seed}.png'},{name},{name}{seed},0,0,48,96"
        for name in ("fine", "coarse", "smooth")
        for seed in range(5)
    ]
    (marked / "manifest.csv").write_text("path,class,group,y0,x0,y1,x1\n" + "\n".join(rows) + "\n")
    short = replace(plan, context=3.0, stages=(Stage(32, epochs=1, batch=8),))
    for run in (
        make_run(short, "marked", marked),
        make_run(replace(short, backbone="test_efficientnet"), "squeezed"),
    ):
        assert train(run)
        card = load_model(run.folder.with_suffix(".safetensors")).card
        assert (card.windows, card.context) == (False, 1.0)
        (divided,) = of_kind(run, Divided)
        assert any("answered alone" in note for note in divided.notes)


def weights(run):
    return {
        name: value.numpy()
        for name, value in load_model(run.folder.with_suffix(".safetensors")).network.state_dict().items()
    }


def assert_same_model(one, other):
    for name, value in weights(one).items():
        np.testing.assert_allclose(weights(other)[name], value, atol=1e-3, err_msg=name)


def test_a_run_killed_in_each_stage_ends_as_if_it_had_not_been(plan, make_run):
    longer = replace(plan, stages=tuple(replace(stage, epochs=4) for stage in plan.stages))
    whole = make_run(longer, "whole")
    assert train(whole)
    killed = make_run(longer, "killed")
    # In the first stage right after its last checkpoint, in the second before its first.
    for kind, epoch in ((CheckpointWritten, 5), (EpochDone, 6)):
        command = [sys.executable, "-c", KILLED, str(killed.folder), kind.__name__, str(epoch)]
        died = subprocess.run(command, check=False)
        assert died.returncode == -signal.SIGKILL
        assert not killed.is_alive()
        assert isinstance(end(killed), Failed)
    start(killed)
    assert isinstance(end(killed), Finished)
    assert list(epochs(killed)) == list(epochs(whole))
    assert_same_model(whole, killed)


def test_a_stop_ends_after_the_batch_and_resuming_goes_on_in_the_middle_of_the_epoch(plan, make_run, monkeypatch):
    whole = make_run(plan, "whole")
    assert train(whole)
    stopped = make_run(plan, "stopped")
    seen = 0
    real = Follow.after_batch

    def after_batch(self):
        nonlocal seen
        seen += self.training
        if seen == 15:
            stopped.ask("stop")
        real(self)

    monkeypatch.setattr(Follow, "after_batch", after_batch)
    assert not train(stopped)
    assert isinstance(events(stopped)[-1], Stopped)
    assert seen == 15
    assert not stopped.folder.with_suffix(".safetensors").exists()
    assert train(stopped)
    assert list(epochs(stopped)) == list(epochs(whole))
    assert_same_model(whole, stopped)


def test_the_look_in_the_end_is_foreseen_tells_how_far_it_is_and_can_be_stopped(make_run, monkeypatch):
    plan = Plan(backbone="test_resnet", pretrained="none", tile=48, stride=48, context=3.0)
    whole, stopped = make_run(plan, "whole"), make_run(plan, "stopped")
    assert train(whole)
    monkeypatch.setattr("semclass_training.train._TELLING_S", 0.0)
    write = EventLog.write

    def write_and_ask(self, event):
        write(self, event)
        if isinstance(event, Looking):
            stopped.ask("stop")

    with monkeypatch.context() as patch:
        patch.setattr(EventLog, "write", write_and_ask)
        assert not train(stopped)
    assert isinstance(events(stopped)[-1], Stopped)
    (minutes,) = of_kind(stopped, Estimated)[0].minutes
    assert minutes > 0
    (look,) = of_kind(stopped, Looking)
    assert 0 < look.done < look.total == 60
    assert not stopped.folder.with_suffix(".safetensors").exists()
    assert train(stopped)
    assert of_kind(stopped, Looking)[-1].done == 60
    assert_same_model(whole, stopped)


def test_good_enough_makes_a_model_of_what_is_learned(plan, make_run, monkeypatch):
    run = make_run(plan)
    monkeypatch.setattr("semclass_training.stages.Stages._epoch_done", lambda self, *_: run.ask("finish"))
    assert train(run)
    assert of_kind(run, Warned)
    assert of_kind(run, Finished)[0].metrics["accuracy"] > 0
    assert load_model(run.folder.with_suffix(".safetensors")).card.tests


def test_a_time_limit_ends_it_with_a_model(plan, make_run):
    run = make_run(replace(plan, minutes=1e-4))
    assert train(run)
    assert len(epochs(run)) < 5
    assert of_kind(run, Finished)


def test_lack_of_memory_halves_the_batch_and_loses_nothing(plan, make_run, monkeypatch):
    real = Follow.before_batch

    def before_batch(self):
        if self.training and len(self.xb[0]) > 4:
            raise RuntimeError("CUDA out of memory")
        real(self)

    monkeypatch.setattr(Follow, "before_batch", before_batch)
    run = make_run(plan)
    assert train(run)
    assert "4 tiles" in of_kind(run, Warned)[0].sentence
    assert list(epochs(run)) == [1, 2, 3, 4, 5]


def test_a_linear_head_alone_is_a_recipe(make_run, textures):
    run = make_run(Plan(backbone="test_resnet", pretrained="none", tile=48, stride=48))
    assert train(run)
    assert not of_kind(run, EpochDone)
    assert of_kind(run, Finished)[0].metrics["accuracy"] > 0.4


def test_nothing_held_out_means_nothing_claimed(plan, make_run):
    run = make_run(replace(plan, held=Held(share=0)))
    assert train(run)
    assert not load_model(run.folder.with_suffix(".safetensors")).card.tests
    assert all(event.accuracy is None for event in epochs(run).values())


@pytest.mark.parametrize("balance", ["none", "weights"])
def test_other_ways_to_learn_work_too(plan, make_run, balance):
    run = make_run(
        replace(plan, balance=balance, mixup=0.2, ema=0.0, label_smoothing=0.0, start_share=0.3, norm="frozen")
    )
    assert train(run)
    assert all(np.isfinite(event.train_loss) for event in epochs(run).values())


def test_fields_of_whole_pictures_are_learned_and_the_card_says_image(plan, make_run):
    run = make_run(replace(plan, unit="image", fields=(1.0, 0.5)))
    assert train(run)
    card = load_model(run.folder.with_suffix(".safetensors")).card
    assert card.unit == card.tests[0].unit == "image"
    assert card.tests[0].n == card.tests[0].n_images


def test_two_processes_learn_together(plan, make_run):
    run = make_run(plan)
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", "-m", "semclass_training", str(run.folder)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert list(epochs(run)) == [1, 2, 3, 4, 5]
    assert len([event for event in events(run) if isinstance(event, Finished)]) == 1


def test_a_process_that_dies_is_told_of_in_one_sentence(plan, make_run):
    run = make_run(replace(plan, stages=(Stage(48, epochs=500, batch=8),)))
    start(run)
    for found in follow(run):
        if found is not None and isinstance(found[1], BatchDone):
            break
    assert run.is_alive()
    os.kill(run.status().pid, signal.SIGKILL)
    last = end(run)
    assert isinstance(last, Failed)
    assert "resume" in last.sentence


def test_a_process_that_is_slow_to_begin_is_waited_for_while_it_lives(plan, make_run, monkeypatch):
    monkeypatch.setattr("napari_semclass.retrain._STARTING_S", 0.0)
    run = make_run(plan)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        news = follow(run, 0, process)
        assert next(news) is None
        process.communicate(b"\n")
        assert isinstance([found for found in news if found is not None][-1][1], Failed)


def test_a_run_is_stopped_from_outside(plan, make_run, wait_until):
    run = make_run(replace(plan, stages=(Stage(48, epochs=500, batch=8),)))
    start(run)
    for found in follow(run):
        if found is not None and isinstance(found[1], BatchDone):
            run.ask("stop")
            break
    assert isinstance(end(run), Stopped)
    wait_until(lambda: not run.is_alive())


def test_while_the_process_begins_others_know_of_it_and_a_stop_is_heard(plan, make_run, monkeypatch):
    """However long it takes to load: nobody begins a second one, and whoever follows it waits."""
    monkeypatch.setattr("napari_semclass.retrain._STARTING_S", 0.0)
    run = make_run(replace(plan, stages=(Stage(48, epochs=500, batch=8),)))
    run.ask("stop")  # of an earlier process, which was killed
    start(run)
    assert run.is_alive()
    with pytest.raises(OutputError, match="running already"):
        start(run)
    run.ask("stop")
    assert isinstance(end(run), Stopped)
    assert len(of_kind(run, BatchDone)) <= 1


def failure(run):
    with pytest.raises(SemclassError) as caught:
        train(run)
    sentence = str(caught.value)
    assert events(run)[-1].sentence == sentence
    assert run.status().state == "failed"
    assert "\n" not in sentence
    return sentence


def test_what_cannot_be_learned_from_is_refused_in_one_sentence(plan, make_run, tmp_path, texture):
    one = tmp_path / "one" / "only"
    one.mkdir(parents=True)
    iio.imwrite(one / "a.png", texture(3, 0))
    assert "one" in failure(make_run(plan, "single", tmp_path / "one"))
    (tmp_path / "nothing").mkdir()
    assert "nothing" in failure(make_run(plan, "none", tmp_path / "nothing"))


def test_a_full_disk_is_one_sentence_and_keeps_the_last_checkpoint(plan, make_run, monkeypatch):
    run = make_run(plan)
    real, calls = torch.save, []

    def save(content, file):
        calls.append(1)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(content, file)

    monkeypatch.setattr(torch, "save", save)
    assert "No space left" in failure(run)
    assert run.checkpoint.exists()
    assert train(run)


def loaded_after(statement):
    code = f"import sys; {statement}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_trainer_knows_no_viewer_and_what_starts_it_no_fastai():
    assert not loaded_after("import semclass_training.train") & {"napari", "qtpy", "PyQt6", "magicgui"}
    assert not loaded_after("import napari_semclass.retrain") & {"fastai", "semclass_training", "torch"}


def test_few_tiles_do_not_make_a_head_that_shouts(plan):
    """Of features that hardly vary among few tiles, chance alone would decide, with scores of hundreds."""
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 8)
    features = np.hstack([random.normal(labels[:, None], 0.1, (16, 300)), random.normal(0, 1e-4, (16, 200))])

    head = fitted_head(replace(plan, balance="none"), features.astype(np.float32), labels, labels, 2)
    unseen = np.hstack([random.normal(0, 0.1, (50, 300)), random.normal(0, 0.1, (50, 200))])
    assert np.abs(head.logits(unseen)).max() < 5


def test_a_model_is_made_surer_only_where_every_category_was_held_out_by_group():
    """Scores that are right and half as sure as they might be: the temperature that suits them is below 1."""
    labels = np.tile([0, 1], 30)
    logits = np.eye(2)[labels] * 2.0

    def samples(groups):
        return SimpleNamespace(labels=labels, groups=np.asarray(groups))

    learned = samples(np.where(labels == 0, 0, 1))
    assert temperature_of(logits, samples(np.where(labels == 0, 2, 3)), learned) < 0.5
    assert temperature_of(logits, samples(np.where(labels == 0, 2, 1)), learned) == 1.0
    assert temperature_of(-logits, samples(np.where(labels == 0, 2, 1)), learned) > 1.0
