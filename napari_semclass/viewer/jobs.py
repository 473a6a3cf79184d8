"""Background work: one generator at a time in a thread, followed by signals and stopped by an event."""

import atexit
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Signal

from napari_semclass.errors import sentence_of
from napari_semclass.memory import return_freed_memory
from napari_semclass.viewer.mesa import keep_triton_out

# Seconds to wait at exit for a batch to end: a thread inside torch while Python shuts down would abort the process.
_LAST_BATCH_S = 30.0

# Seconds a job may hold Python while the GUI thread waits for it. A stroke or a new layer hands Python back and forth
# some hundred times between napari and Qt, and with Python's usual 5 ms each time a busy job would make that seconds.
_TURN_S = 0.0005

# A job that takes longer may have needed much memory; what it freed is not kept for the next one.
_LONG_S = 1.0

_STOP_OF: "WeakKeyDictionary[threading.Thread, threading.Event]" = WeakKeyDictionary()

Work = Callable[[threading.Event], Generator[Any, None, None]]


class Job(QObject):
    """Runs a generator function in a thread.

    The function gets the stop event. What it yields arrives as `progressed`; then exactly one of `finished` or
    `failed` (one sentence) follows, in the GUI thread, whatever the function raised. `after` is a job that was asked to
    stop and that this one waits for, so that two never share the processor for one purpose.
    """

    progressed = Signal(object)
    finished = Signal()
    failed = Signal(str)

    def __init__(self, work: Work, parent: QObject | None = None, after: "Job | None" = None) -> None:
        super().__init__(parent)
        self._work = work
        self._after = after
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="semclass-job", daemon=True)

    def start(self) -> None:
        """Start; once only."""
        _STOP_OF[self._thread] = self._stop
        self._thread.start()

    def stop(self) -> None:
        """Ask the work to end after its present batch; returns at once."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Block until the thread has ended, at most so long; True when it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        keep_triton_out()
        sys.setswitchinterval(min(sys.getswitchinterval(), _TURN_S))
        if self._after is not None:
            self._after.wait(_LAST_BATCH_S)
            self._after = None  # or every job ever started would be kept
        if self._stop.is_set():
            self._emit("finished")
            return
        begun = time.monotonic()
        try:
            with closing(self._work(self._stop)) as steps:
                for step in steps:
                    self._emit("progressed", step)
        except Exception as error:  # a thread that ends silently would leave the dock waiting for ever
            self._emit("failed", sentence_of(error))
        else:
            self._emit("finished")
        if time.monotonic() - begun > _LONG_S:
            return_freed_memory()

    def _emit(self, signal: str, *arguments: Any) -> None:
        try:
            getattr(self, signal).emit(*arguments)
        except RuntimeError:  # Qt has deleted this object with its window: nobody is left to tell
            self._stop.set()


@atexit.register
def _end_all() -> None:
    for thread, stop in list(_STOP_OF.items()):
        stop.set()
        if thread.is_alive():
            thread.join(_LAST_BATCH_S)
