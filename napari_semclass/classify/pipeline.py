"""Files through three threads: the next one is opened while this one is computed and the last one is written."""

import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from napari_semclass.classify.engine import classification_steps
from napari_semclass.classify.partial import Partial
from napari_semclass.classify.prediction import Prediction, Summary
from napari_semclass.classify.record import Entry, Row
from napari_semclass.classify.results import Results
from napari_semclass.classify.resume import stamp
from napari_semclass.classify.settings import Settings
from napari_semclass.errors import DeviceError, OutputError, SemclassError, brief
from napari_semclass.micrograph import GreyRange, Micrograph, grey_range, open_micrographs
from napari_semclass.model import Model
from napari_semclass.names import printable

# Planes that wait to be written; each holds its pixels in memory.
_WAITING = 2
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class BatchStep:
    """How far a batch is: `done` of `total` tiles of the micrograph at hand.

    `index` counts the files to do from 0; a file is finished a little after its last tile, when its results are
    written, and on a cluster in any order. `prediction` is that of the micrograph at hand, or of the file's last
    one once it is finished; None where there is none, as on a cluster. `how` are the device and precision of a
    finished file, where a worker says them.
    """

    entry: Entry
    index: int
    done: int = 0
    total: int = 0
    prediction: Prediction | None = None
    how: tuple[str, str, str] = ("", "", "")

    @property
    def finished(self) -> bool:
        """Whether the file is done or has failed."""
        return self.entry.status != "pending"


def file_steps(
    todo: Sequence[Entry], model: Model, settings: Settings, results: Results, stop: threading.Event
) -> Generator[BatchStep, None, None]:
    """Classify files one after the other and fill in their entries, yielding after every batch of tiles and every file.

    No file's failure ends it: the reason is in the file's rows. When it is stopped or closed early, the file at hand
    is left pending, and those that wait to be written are still written.

    Raises
    ------
    OutputError, DeviceError
        When results cannot be written, or the device fails.
    """
    waiting: deque[_File] = deque()
    clock = Clock()
    writer = ThreadPoolExecutor(1, "semclass-write")
    try:
        with closing(_ahead(_planes(todo, model, settings))) as planes:
            for plane in planes:
                if plane.first:
                    results.remove(plane.entry)
                    plane.entry.status, plane.entry.rows = "pending", []
                    waiting.append(_File(plane.entry, plane.index))
                file = waiting[-1]
                file.stamp = plane.stamp
                try:
                    micrograph, levels = plane.ready()
                    partial = Partial.of(results.out, plane.entry.stem + plane.name, micrograph.shape, plane.stamp)
                    file.partials += [partial] if partial is not None else []
                    steps = classification_steps(
                        micrograph, model, settings, stop, levels=levels, partial=partial, alike=len(todo)
                    )
                    for step in steps:
                        file.prediction = step.prediction
                        yield BatchStep(plane.entry, plane.index, step.done, step.total, step.prediction)
                        yield from _written(waiting, clock)
                    if stop.is_set():
                        break
                    file.parts.append(writer.submit(_write, results, step.prediction, plane, micrograph))
                except Exception as error:  # one plane's failure, whatever it is, must not stop the others
                    file.parts.append(_failed(plane, error))
                file.complete = plane.last
                yield from _written(waiting, clock, _WAITING)
        yield from _written(waiting, clock, 0)
    finally:
        writer.shutdown()
        for file in waiting:
            with suppress(OutputError, DeviceError):  # it stays pending; what happened first is on its way up
                file.settle(clock)


@dataclass
class _Plane:
    """One plane of a file, ready to be computed; or why it is not."""

    entry: Entry
    index: int
    pixels: tuple[Micrograph, GreyRange] | Exception
    name: str = ""
    first: bool = True
    last: bool = True
    stamp: tuple[int, int] = (0, 0)

    def ready(self) -> tuple[Micrograph, GreyRange]:
        """The pixels and their grey range; raises what prevents it."""
        if isinstance(self.pixels, Exception):
            raise self.pixels
        return self.pixels


@dataclass(frozen=True)
class _Part:
    """What came out of one plane."""

    row: Row
    tiles: int = 0


@dataclass
class Clock:
    """When the last file was finished."""

    last: float = field(default_factory=time.monotonic)

    def lap(self) -> float:
        """Seconds since the last call: of files that overlap, they add up to the time that all of them took."""
        now = time.monotonic()
        lap, self.last = now - self.last, now
        return round(lap, 3)


@dataclass
class _File:
    """A file of which planes are computed or wait to be written."""

    entry: Entry
    index: int
    parts: list[_Part | Future[_Part]] = field(default_factory=list)
    partials: list[Partial] = field(default_factory=list)
    complete: bool = False
    stamp: tuple[int, int] = (0, 0)
    prediction: Prediction | None = None

    @property
    def unwritten(self) -> int:
        return sum(isinstance(part, Future) and not part.done() for part in self.parts)

    def settle(self, clock: Clock) -> None:
        """Fill in the entry once everything is written; raises what concerns all files."""
        parts = [part.result() if isinstance(part, Future) else part for part in self.parts]
        if not self.complete:
            return
        entry = self.entry
        entry.size, entry.mtime_ns = self.stamp
        entry.rows, entry.tiles = [part.row for part in parts], sum(part.tiles for part in parts)
        entry.seconds = clock.lap()
        entry.status = "failed" if any(row.error for row in entry.rows) else "done"


def _written(waiting: deque[_File], clock: Clock, most: int | None = None) -> Iterator[BatchStep]:
    """Files that are finished, in order; waits until at most `most` planes are still to be written."""
    while waiting:
        unwritten = sum(file.unwritten for file in waiting)
        first = waiting[0]
        ready = first.complete and not first.unwritten
        if not ready and (most is None or unwritten <= most):
            return
        if not ready:
            next(part for part in first.parts if isinstance(part, Future) and not part.done()).exception()
            continue
        first.settle(clock)
        waiting.popleft()
        yield BatchStep(first.entry, first.index, prediction=first.prediction)
        for partial in first.partials:  # now that the file is noted as done
            partial.remove()


def _planes(todo: Sequence[Entry], model: Model, settings: Settings) -> Iterator[_Plane]:
    """Each plane with all that has to be known before its first tile, or the error that prevents it."""
    steps = model.card.preprocessing
    for index, entry in enumerate(todo):
        try:
            micrographs = open_micrographs(entry.path)
            known = stamp(Path(entry.path))
        except Exception as error:
            yield _Plane(entry, index, error)
            continue
        for number, micrograph in enumerate(micrographs):
            pixels: tuple[Micrograph, GreyRange] | Exception
            try:
                seen = settings.seen(micrograph).remembering()
                pixels = seen, grey_range(seen, steps.low_percentile, steps.high_percentile)
            except Exception as error:
                pixels = error
            name = "" if micrograph.plane is None else f"#{micrograph.plane}"
            yield _Plane(entry, index, pixels, name, number == 0, number == len(micrographs) - 1, known)


def _ahead(items: Iterator[_Item]) -> Generator[_Item, None, None]:
    """The same items, the next one made in a thread while this one is worked on."""
    with ThreadPoolExecutor(1, "semclass-open") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _write(results: Results, prediction: Prediction, plane: _Plane, micrograph: Micrograph) -> _Part:
    """Write the results of one plane."""
    try:
        results.write(prediction, micrograph, plane.entry.stem + plane.name)
        return _Part(_row(prediction, plane.entry.file + plane.name), len(prediction.grid.laid))
    except Exception as error:
        return _failed(plane, error)


def _row(prediction: Prediction, file: str) -> Row:
    summary = Summary.of(prediction, prediction.cells())
    shares = [round(share, 6) for share in summary.mean.tolist()]
    fractions = [round(share, 6) for share in summary.fractions.tolist()]
    note = str((prediction.made or {}).get("note", ""))
    size, source = prediction.pixel_size, prediction.pixel_size_source
    answer = summary.answers[summary.answer].name
    return Row(file, answer, max(shares), shares, fractions, size, source, note=note)


def _failed(plane: _Plane, error: Exception) -> _Part:
    """What is said of a plane that could not be classified; raises again what concerns all files."""
    if isinstance(error, OutputError | DeviceError):
        raise error
    name = plane.entry.path + plane.name
    return _Part(Row(plane.entry.file + plane.name, error=reason(error, name)))


def reason(error: Exception, name: str) -> str:
    """Why a file could not be classified, without its name."""
    if isinstance(error, SemclassError):
        said = str(error).removeprefix(f"{name}: ")
    elif isinstance(error, MemoryError):
        said = "there is not enough memory for it; convert it to a tiled TIFF or zarr."
    elif isinstance(error, OSError):
        said = f"cannot be read ({error.strerror or brief(error)})."
    else:
        said = f"failed in an unforeseen way ({type(error).__name__}: {brief(error)}); please report it."
    return printable(said)
