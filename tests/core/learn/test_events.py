"""Events of a run: what is written is read, whatever a crash or a later version left in the file."""

import json

from napari_semclass.learn.events import EventLog, Failed, Finished, Warned, read_events


def test_events_are_read_as_written_and_numbered(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    written = [Warned("a"), Finished("m", "00", 1.5, {"accuracy": 0.5}), Failed("b")]
    for event in written:
        log.write(event)
    assert [event for _, event in read_events(tmp_path / "events.jsonl")] == written
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == [0, 1, 2]
    assert {line["schema"] for line in lines} == {1}


def test_following_reads_only_what_is_new(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.write(Warned("a"))
    ((after, _),) = read_events(tmp_path / "events.jsonl")
    log.write(Warned("b"))
    assert [event for _, event in read_events(tmp_path / "events.jsonl", after)] == [Warned("b")]


def test_a_line_that_a_crash_cut_short_is_taken_off(tmp_path):
    path = tmp_path / "events.jsonl"
    EventLog(path).write(Warned("a"))
    with path.open("a") as file:
        file.write('{"kind": "warn')
    assert [event for _, event in read_events(path)] == [Warned("a")]
    EventLog(path).write(Warned("b"))
    assert [event for _, event in read_events(path)] == [Warned("a"), Warned("b")]
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [0, 1]


def test_kinds_of_a_later_version_are_passed_over(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"kind": "hologram", "schema": 9}\n{"kind": "warning", "sentence": "a", "new": 1}\n')
    assert [event for _, event in read_events(path)] == [Warned("a")]


def test_no_file_means_no_events(tmp_path):
    assert not list(read_events(tmp_path / "nothing"))
