"""The dock's background jobs by kind: one of each at a time, none of them heard once it is replaced or let go."""

from collections.abc import Callable
from typing import Any

from qtpy.compat import isalive
from qtpy.QtCore import QObject

from napari_semclass.viewer.jobs import Job, Work


class JobBoard(QObject):
    """Starts jobs and passes on their news, in the GUI thread.

    Parameters
    ----------
    say : callable
        Told the sentence of a job that failed and whose starter does not want to know.
    """

    def __init__(self, say: Callable[[str], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._say = say
        self._jobs: dict[str, Job] = {}
        self._gone = False

    def start(
        self,
        kind: str,
        work: Work,
        on_news: Callable[[Any], None],
        on_end: Callable[[str | None], None] | None = None,
    ) -> None:
        """Start a job; an earlier one of the same kind is stopped and no longer listened to.

        `on_news` gets what the work yields; `on_end` None after a good end, or the sentence about what went wrong.
        """
        job = Job(work, self, after=self.drop(kind))

        def heard(slot: Callable[..., None]) -> Callable[..., None]:
            """News that Qt had queued before the job was replaced, or the dock closed, must not arrive."""

            def if_wanted(*news: Any) -> None:
                if isalive(self) and not self._gone and self._jobs.get(kind) is job:
                    slot(*news)

            return if_wanted

        job.progressed.connect(heard(on_news))
        if on_end is None:
            job.failed.connect(heard(self._say))
        else:
            job.finished.connect(heard(lambda: on_end(None)))
            job.failed.connect(heard(on_end))
        self._jobs[kind] = job
        job.start()

    def stop(self, kind: str) -> None:
        """Ask a job to end after its present step; its last news and its end still arrive."""
        if kind in self._jobs:
            self._jobs[kind].stop()

    def drop(self, kind: str) -> Job | None:
        """Stop a job and hear no more of it; gives the job."""
        job = self._jobs.pop(kind, None)
        if job is not None:
            job.stop()
            job.blockSignals(True)
        return job

    def let_go(self) -> None:
        """Stop all of them and hear no more; for good."""
        self._gone = True
        for job in self._jobs.values():
            job.stop()
            job.blockSignals(True)

    def wait(self, seconds: float) -> bool:
        """Block until every job has ended, each at most so long; True when they have."""
        return all([job.wait(seconds) for job in self._jobs.values()])
