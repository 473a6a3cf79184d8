"""Background jobs: one of a kind at a time, and a growing overlay that leaves the GUI thread free."""

import threading
import time

import pytest

from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.tempo import Tempo


def test_a_job_begins_when_the_one_it_replaces_has_ended(qtbot):
    board, events, first_is_in = JobBoard(print), [], threading.Event()

    def first(stop):
        first_is_in.set()
        stop.wait(10)
        time.sleep(0.2)  # its present batch
        events.append("first ended")
        yield

    def second(stop):
        events.append("second began")
        yield

    ended = []
    board.start("learn", first, print)
    assert first_is_in.wait(10)
    board.start("learn", second, print, ended.append)
    qtbot.waitUntil(lambda: bool(ended), timeout=10_000)
    assert events == ["first ended", "second began"]
    assert ended == [None]


def test_a_job_that_is_replaced_before_it_began_does_nothing(qtbot):
    board, begun, release = JobBoard(print), [], threading.Event()

    def work(name):
        def run(stop):
            begun.append(name)
            release.wait(10)
            yield

        return run

    ended = []
    board.start("learn", work("first"), print)
    qtbot.waitUntil(lambda: bool(begun), timeout=10_000)
    board.start("learn", work("second"), print)
    board.start("learn", work("third"), print, ended.append)
    release.set()
    qtbot.waitUntil(lambda: bool(ended), timeout=10_000)
    assert begun == ["first", "third"]


@pytest.mark.parametrize(("held", "least"), [(0.0, 0.3), (0.2, 3.0)])
def test_what_is_slow_to_draw_is_drawn_seldom(qtbot, held, least):
    tempo = Tempo()
    tempo.drawing()
    time.sleep(held + 0.05)  # as if napari painted
    qtbot.wait(100)
    assert least <= tempo.pause
    assert held > 0 or tempo.pause < 3.0
