"""The training plan: read and written as the same, changed by single values, refused where it makes no sense."""

import pytest

from napari_semclass.errors import SettingsError
from napari_semclass.learn.plan import Plan, Stage, changed, read_plan, recipes, write_plan

PLAN = Plan(stages=(Stage(64, epochs=2, frozen_epochs=1), Stage(224, lr=3e-4)), fields=(1.0, 0.5), minutes=2.5)


def test_a_plan_is_read_as_it_was_written(tmp_path):
    write_plan(PLAN, tmp_path / "plan.toml")
    assert read_plan(tmp_path / "plan.toml") == PLAN


@pytest.mark.parametrize("name", recipes())
def test_every_recipe_is_a_plan(name, tmp_path):
    plan = read_plan(name)
    write_plan(plan, tmp_path / "plan.toml")
    assert read_plan(tmp_path / "plan.toml") == plan


def test_the_seeds_recipe_has_its_schedule_and_the_unfreezing_it_lacked():
    stages = read_plan("augmented-scientist").stages
    assert [stage.size for stage in stages] == [64, 64, 128, 128, 224, 224]
    assert [stage.frozen_epochs + stage.epochs for stage in stages] == [10, 5] * 3
    assert [stage.lr for stage in stages] == [5e-3, 1e-3, 1e-3, 1e-3, 5e-4, 1e-3]
    assert [bool(stage.epochs) for stage in stages] == [False, True] * 3


def test_single_values_can_be_changed():
    plan = changed(PLAN, ["stages.1.epochs=7", "backbone=resnet50", "augmentation.scale = 0.0", "fields=[1.0]"])
    assert plan.stages[1].epochs == 7
    assert (plan.backbone, plan.augmentation.scale, plan.fields) == ("resnet50", 0.0, (1.0,))
    assert plan.stages[0] == PLAN.stages[0]


@pytest.mark.parametrize("wrong", ["stages.2.epochs=1", "no_such=1", "seed", "seed.x=1", "stages.a.epochs=1"])
def test_a_change_of_what_is_not_there_is_refused(wrong):
    with pytest.raises(SettingsError, match="changes nothing"):
        changed(PLAN, [wrong])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("seed=1.5", "seed"),
        ("stages.0.lr=-1.0", "stages.0.lr"),
        ("stride=500", "stride 500 px"),
        ("held.folds=1", "folds"),
        ("ema=1.0", "ema"),
        ("balance=often", "balance"),
        ("augmentation.rotation=400", "augmentation.rotation"),
        ("stages.0.size=4", "stages.0.size"),
    ],
)
def test_values_out_of_range_are_named(wrong, named):
    with pytest.raises(SettingsError, match=named):
        changed(PLAN, [wrong])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("colour = 1", "colour"),
        ("[[stages]]\nsize = 64\nepochs = 0", "at least one epoch"),
        ("[[stages]]\nsize = 64\nspeed = 3", "speed"),
        ("stages = 3 =", "not valid TOML"),
    ],
)
def test_a_plan_file_with_a_mistake_is_one_sentence(tmp_path, text, named):
    (tmp_path / "plan.toml").write_text(text)
    with pytest.raises(SettingsError, match=named) as caught:
        read_plan(tmp_path / "plan.toml")
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_is_answered_with_those_that_are_there():
    with pytest.raises(SettingsError, match="progressive"):
        read_plan("fast")
