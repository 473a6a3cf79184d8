"""The plan file: what it may say, and how it answers what it may not."""

from pathlib import Path

import pytest

from napari_semclass.errors import SettingsError
from napari_semclass.learn.head_plan import View, read_head_plan

GOOD = """
backbone = "tf_efficientnet_lite0"
mean = 0.5
std = 0.5
input_size = 224
tile = 224
views = [{field = 1.0}, {field = 0.25, crops = 6}, {field = 1.0, pixels = 130}]
regularisation = 0.001
balance = 0.5
"""


@pytest.fixture
def plan_file(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "plan.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_plan_is_read_as_written(plan_file):
    plan = read_head_plan(plan_file(GOOD))
    assert plan.backbone == "tf_efficientnet_lite0"
    assert plan.views == (View(1.0), View(0.25, crops=6), View(1.0, pixels=130))
    assert (plan.regularisation, plan.balance, plan.seed) == (0.001, 0.5, 0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("balance = 0.5", "balance = 0.5\nepochs = 3"), "epochs"),
        (("crops = 6", "crops = 6, blur = 2"), "blur"),
        (("tile = 224", ""), "tile"),
        (("balance = 0.5", "balance = 1.5"), "balance"),
        (("regularisation = 0.001", "regularisation = 0"), "regularisation"),
        (("regularisation = 0.001", "regularisation = nan"), "regularisation"),
        (("std = 0.5", "std = 0.0"), "std"),
        (("field = 0.25", "field = 2.0"), "views.1.field"),
        (("input_size = 224", 'input_size = "large"'), "input_size"),
        (("balance = 0.5", "balance = 0.5\ndrawn = {per_category = 0, weight = 1.0}"), "drawn.per_category"),
    ],
)
def test_what_is_unknown_missing_or_out_of_range_is_named(plan_file, change, named):
    path = plan_file(GOOD.replace(*change))
    with pytest.raises(SettingsError) as caught:
        read_head_plan(path)
    assert str(path) in str(caught.value)
    assert f"{named}'" in str(caught.value)


def test_a_plan_without_views_is_refused(plan_file):
    lines = [line for line in GOOD.splitlines() if not line.startswith("views")]
    with pytest.raises(SettingsError, match="views"):
        read_head_plan(plan_file("\n".join([*lines, "views = []"])))


@pytest.mark.parametrize("content", [b"backbone = ", b"\xff\xfe\x00"])
def test_a_file_that_is_not_toml_is_one_sentence(tmp_path, content):
    path = tmp_path / "plan.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="not valid TOML"):
        read_head_plan(path)


def test_a_missing_plan_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.toml.*cannot be read"):
        read_head_plan(tmp_path / "nowhere.toml")
