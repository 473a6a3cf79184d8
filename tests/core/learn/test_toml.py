"""Plans and tasks as TOML: whatever text they hold is read as it was written, or refused in a sentence."""

import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_semclass.errors import SettingsError
from napari_semclass.learn.event_lines import event_lines
from napari_semclass.learn.events import EventLog, Planned, Warned, read_events
from napari_semclass.learn.plan import Held, Plan, Stage, read_plan, write_plan
from napari_semclass.learn.run import Pulse, Run, Task
from napari_semclass.learn.show import plan_html
from napari_semclass.learn.toml import toml_text

NASTY = [
    "😀",
    "𝛼-Fe₂O₃",
    'a "quoted" \\ name',
    "two\nlines\r\n",
    "\x00\x1b\x7f\u0085\u2028",
    "C:\\new\\x41",
    "'''",
    '"""',
    "",
]
often = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
tasks = st.builds(
    Task,
    data=st.text(),
    out=st.text(),
    name=st.text(),
    title=st.text(),
    colors=st.lists(st.tuples(st.text(), st.text()), max_size=3).map(tuple),
)
plans = st.builds(
    Plan,
    backbone=st.text(),
    pretrained=st.text(),
    stages=st.lists(st.builds(Stage, st.integers(32, 512), lr=st.floats(1e-6, 1.0)), max_size=3).map(tuple),
    held=st.builds(Held, share=st.floats(0, 0.9)),
    minutes=st.floats(0, 1e6),
    tile_um=st.none() | st.floats(0.01, 100),
)


def same_after_disk(plan: Plan, task: Task, folder) -> bool:
    run = Run(folder)
    run.plan_file.unlink(missing_ok=True)
    run.create(plan, task)
    return run.load() == (plan, task)


@often
@given(plan=plans, task=tasks)
def test_what_is_written_is_read_as_the_same(plan, task, tmp_path):
    assert same_after_disk(plan, task, tmp_path / "a.run")


@pytest.mark.parametrize("text", NASTY)
def test_names_that_need_care_are_read_as_they_were_written(text, tmp_path):
    task = Task(f"/data/{text}", f"/models/{text}.safetensors", "m", text, colors=((text, "#ffffff"),))
    assert same_after_disk(Plan(pretrained=text), task, tmp_path / "a.run")


def test_half_a_character_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(SettingsError, match="no text") as caught:
        write_plan(Plan(pretrained="a\ud83d"), tmp_path / "plan.toml")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_that_an_editor_marked_as_unicode_is_read(tmp_path):
    (tmp_path / "plan.toml").write_bytes(b"\xef\xbb\xbfseed = 3\r\n")
    assert read_plan(tmp_path / "plan.toml").seed == 3


def test_shown_plans_hold_all_names_and_are_toml():
    plan = Plan(pretrained="😀.safetensors", stages=(Stage(64),))
    assert tomllib.loads(toml_text({"a": {"b": None, "c": ["😀"]}})) == {"a": {"c": ["😀"]}}
    page = plan_html(plan)
    assert "😀.safetensors" in page
    assert "held.share" in page
    lines = event_lines(Planned("d", "o", "CPU", {"pretrained": "😀", "stages": [{"size": 64}]}, {}))
    assert any("😀" in line for line in lines)


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_events_are_read_whatever_file_they_name(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    log = EventLog(path)
    log.write(Warned(text))
    log.close()
    ((_, event),) = read_events(path)
    surrogates = any("\ud800" <= sign <= "\udfff" for sign in text)
    assert isinstance(event, Warned)
    assert surrogates or event.sentence == text


def test_a_run_that_failed_over_a_file_without_a_name_says_so(tmp_path):
    run = Run(tmp_path / "a.run")
    run.create(Plan(), Task("d", "o", "n", "t"))
    Pulse(run).say("failed", "caf\udce9.png: cannot be read.")
    assert run.status().sentence == "caf\\xe9.png: cannot be read."
