"""Background jobs: one of a kind at a time, and a growing overlay that leaves the GUI thread free."""

import threading
import time
from types import SimpleNamespace

import pytest

from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.tempo import Tempo


def test_a_job_begins_when_the_one_it_replaces_has_ended(qtbot, patience):
    board, events, first_is_in = JobBoard(print), [], threading.Event()

    def first(stop):
        first_is_in.set()
        stop.wait(patience)
        time.sleep(0.2)  # its present batch
        events.append("first ended")
        yield

    def second(stop):
        events.append("second began")
        yield

    ended = []
    board.start("learn", first, print)
    assert first_is_in.wait(patience)
    board.start("learn", second, print, ended.append)
    qtbot.waitUntil(lambda: bool(ended))
    assert events == ["first ended", "second began"]
    assert ended == [None]


def test_a_job_that_is_replaced_before_it_began_does_nothing(qtbot, patience):
    board, begun, release = JobBoard(print), [], threading.Event()

    def work(name):
        def run(stop):
            begun.append(name)
            release.wait(patience)
            yield

        return run

    ended = []
    board.start("learn", work("first"), print)
    qtbot.waitUntil(lambda: bool(begun))
    board.start("learn", work("second"), print)
    board.start("learn", work("third"), print, ended.append)
    release.set()
    qtbot.waitUntil(lambda: bool(ended))
    assert begun == ["first", "third"]


@pytest.mark.parametrize(("held", "pause"), [(0.0, 0.3), (0.2, 5.0)])
def test_what_is_slow_to_draw_is_drawn_seldom(qtbot, monkeypatch, held, pause):
    clock = [10.0, 10.05 + held]  # when the drawing begins, and when what was due 50 ms later gets its turn
    monkeypatch.setattr("napari_semclass.viewer.tempo.time", SimpleNamespace(perf_counter=lambda: clock.pop(0)))
    tempo = Tempo()
    tempo.drawing()
    qtbot.waitUntil(lambda: not clock)
    assert tempo.pause == pytest.approx(pause)
