"""Background work of the widget: one job at a time in a thread; a new one replaces the one before."""

import atexit
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

# Seconds to wait at exit for a batch to end: a thread inside torch while Python shuts down would abort the process.
_LAST_BATCH_S = 30.0

Work = Callable[[threading.Event], Any]


class Job:
    """One piece of work. `result` is what it returned; `error` what it raised."""

    def __init__(self, work: Work, ended: "Callable[[Job], None]", after: "Job | None") -> None:
        self._work, self._ended, self._after = work, ended, after
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="semclass-job", daemon=True)
        self.result: Any = None
        self.error: Exception | None = None

    def start(self) -> None:
        """Begin, once the job before has ended."""
        _ALL.add(self)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end after its present batch; returns at once."""
        self._stop.set()

    def is_alive(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    def wait(self) -> Any:
        """Block until it has ended, and return or raise what it did; a keyboard interrupt stops it."""
        try:
            self._thread.join()
        except KeyboardInterrupt:
            self.stop()
            raise
        if self.error is not None:
            raise self.error
        return self.result

    def _run(self) -> None:
        if self._after is not None:
            self._after.stop()
            self._after._thread.join()
            self._after = None
        try:
            if not self._stop.is_set():
                self.result = self._work(self._stop)
        except Exception as error:  # whoever waits gets it, and `ended` tells it in one sentence
            self.error = error
        self._ended(self)


_ALL: WeakSet[Job] = WeakSet()


class Lane:
    """Runs jobs, the last one started only; `ended` is called in the thread of each one that ends."""

    def __init__(self, ended: Callable[[Job], None]) -> None:
        self._ended = ended
        self._job: Job | None = None

    def start(self, work: Work) -> Job:
        """Start work (given an event that asks it to stop) in place of what is going on."""
        before = self._job if self.is_busy() else None
        if before is not None:
            before.stop()
        self._job = Job(work, self._ended, before)
        self._job.start()
        return self._job

    def stop(self) -> None:
        """Ask the job to end; returns at once."""
        if self._job is not None:
            self._job.stop()

    def is_busy(self) -> bool:
        """Whether a job goes on."""
        return self._job is not None and self._job.is_alive()

    def is_current(self, job: Job) -> bool:
        """Whether no later job was started."""
        return job is self._job


@atexit.register
def _end_all() -> None:
    for job in list(_ALL):
        job.stop()
        if job.is_alive():
            job._thread.join(_LAST_BATCH_S)
