"""Many files, one after the other: results beside each other in a folder, resumed where a run was cut short."""

import threading
import time
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from napari_semclass.classify.engine import classification_steps
from napari_semclass.classify.grid import tile_grid
from napari_semclass.classify.inputs import find_inputs
from napari_semclass.classify.prediction import Prediction, Summary
from napari_semclass.classify.record import Entry, Record, Row, resolved
from napari_semclass.classify.rejection import rejection_of
from napari_semclass.classify.results import Results
from napari_semclass.classify.resume import make_plan, stamp
from napari_semclass.classify.settings import Settings
from napari_semclass.classify.versions import versions
from napari_semclass.errors import DeviceError, OutputError, SemclassError, SettingsError, brief
from napari_semclass.micrograph import SUFFIXES, Micrograph, open_micrographs
from napari_semclass.model import Model, choose_device
from napari_semclass.model.device import describe, fast_precision

# The record is written at most every so many seconds, and for at most this share of the time: writing it after
# each of ten thousand files would take longer than classifying them.
_SAVE_EVERY_S = 2.0
_SAVE_SHARE = 0.05


@dataclass(frozen=True)
class BatchStep:
    """How far a batch is: `done` of `total` tiles of the micrograph at hand.

    `index` counts the files to do from 0; `prediction` is that of the micrograph at hand, or of the file's last
    one once it is finished; None where there is none.
    """

    entry: Entry
    index: int
    done: int = 0
    total: int = 0
    prediction: Prediction | None = None

    @property
    def finished(self) -> bool:
        """Whether the file is done or has failed."""
        return self.entry.status != "pending"


class Batch:
    """What is to be classified into one folder, and the record of what is.

    Parameters
    ----------
    paths : iterable of str or Path
        Files, folders and patterns; see `find_inputs`.
    model : Model
    settings : Settings
    out : str or Path
        Output folder; made when it is not there.
    overwrite : bool
        Classify everything again, even if model or settings were others.

    Attributes
    ----------
    entries : list of Entry
        All inputs found, in order.
    todo : list of Entry
        Those of them still to be classified: new, changed, failed last time, or with missing outputs.
    record : Record
        What run.json says: `entries`, and inputs of earlier runs into the same folder.

    Raises
    ------
    SettingsError, DeviceError
        Nothing to classify, impossible settings, no such device.
    OutputError
        The folder holds results of another model or other settings, or files that are not of this program.
    """

    def __init__(
        self, paths: Iterable[str | Path], model: Model, settings: Settings, out: str | Path, overwrite: bool = False
    ) -> None:
        paths = list(paths)
        inputs = find_inputs(paths, out)
        if not inputs:
            where = ", ".join(str(path) for path in paths)
            raise SettingsError(f"{where}: no images found; looked for {' '.join(SUFFIXES)} in it and below.")
        self.model, self.settings, self.out = model, settings, Path(out)
        self.record = _new_record(model, settings)
        self._results = Results(self.out, whole=settings.mode == "whole")
        plan = make_plan(inputs, self.record, self._results, overwrite)
        self.entries, self.todo, self._stale = plan.entries, plan.todo, plan.stale
        self.record.files = [*plan.entries, *plan.kept]

    def steps(self, stop: threading.Event | None = None) -> Generator[BatchStep, None, None]:
        """Classify what is to do, yielding after every batch of tiles and after every file.

        No file's failure ends it: the reason is in the file's rows. The record is written from time to time and
        at the end, also when the generator is closed early; running again then goes on with what is missing.

        Raises
        ------
        OutputError, DeviceError
            When results cannot be written, or the device fails.
        """
        stop = stop or threading.Event()
        for entry in self._stale:
            self._results.remove(entry)
        self.record.save(self.out)
        saved, cost = time.monotonic(), 0.0
        try:
            with closing(_opened_ahead([Path(entry.path) for entry in self.todo])) as opened:
                for index, (entry, opening) in enumerate(zip(self.todo, opened, strict=True)):
                    yield from self._classify(entry, index, opening, stop)
                    if stop.is_set():
                        return
                    if time.monotonic() - saved > max(_SAVE_EVERY_S, cost / _SAVE_SHARE):
                        start = time.monotonic()
                        self.record.save(self.out)
                        saved, cost = time.monotonic(), time.monotonic() - start
            self.record.finished = _now()
        finally:
            self.record.save(self.out)

    def _classify(
        self, entry: Entry, index: int, opening: "Future[_Opened]", stop: threading.Event
    ) -> Generator[BatchStep, None, None]:
        """All planes of one file."""
        start = time.monotonic()
        rows: list[Row] = []
        tiles = 0
        prediction: Prediction | None = None
        self._results.remove(entry)
        entry.status, entry.rows = "pending", []
        try:
            opened = opening.result()
            entry.size, entry.mtime_ns = opened.stamp
            for micrograph in opened.micrographs:
                plane = "" if micrograph.plane is None else f"#{micrograph.plane}"
                try:
                    for step in classification_steps(micrograph, self.model, self.settings, stop):
                        prediction = step.prediction
                        yield BatchStep(entry, index, step.done, step.total, prediction)
                    if stop.is_set():
                        return
                    self._results.write(step.prediction, micrograph, entry.stem + plane)
                    rows.append(_row(step.prediction, entry.file + plane))
                    tiles += len(step.prediction.grid)
                except Exception as error:  # one plane's failure, whatever it is, must not stop the others
                    rows.append(Row(entry.file + plane, error=_reason(error, entry.path + plane)))
        except Exception as error:
            rows.append(Row(entry.file, error=_reason(error, entry.path)))
        entry.rows, entry.tiles, entry.seconds = rows, tiles, round(time.monotonic() - start, 3)
        entry.status = "failed" if any(row.error for row in rows) else "done"
        yield BatchStep(entry, index, prediction=prediction)


@dataclass(frozen=True)
class _Opened:
    """A file's planes, and its size and time when it was opened."""

    micrographs: list[Micrograph]
    stamp: tuple[int, int]


def _opened_ahead(paths: list[Path]) -> Generator["Future[_Opened]", None, None]:
    """Each file as it is opened, the next one while this one is worked on."""

    def opened(path: Path) -> _Opened:
        micrographs = open_micrographs(path)
        return _Opened(micrographs, stamp(path))

    with ThreadPoolExecutor(1, "semclass-open") as pool:
        waiting: Future[_Opened] | None = None
        for path in paths:
            coming = pool.submit(opened, path)
            if waiting is not None:
                yield waiting
            waiting = coming
        if waiting is not None:
            yield waiting


def _row(prediction: Prediction, file: str) -> Row:
    summary = Summary.of(prediction, prediction.cells())
    shares = [round(share, 6) for share in summary.mean.tolist()]
    fractions = [round(share, 6) for share in summary.fractions.tolist()]
    note = str((prediction.made or {}).get("note", ""))
    size, source = prediction.pixel_size, prediction.pixel_size_source
    answer = summary.answers[summary.answer].name
    return Row(file, answer, max(shares), shares, fractions, size, source, note=note)


def _reason(error: Exception, name: str) -> str:
    """Why a file could not be classified, without its name; raises again what concerns all files."""
    if isinstance(error, OutputError | DeviceError):
        raise error
    if isinstance(error, SemclassError):
        reason = str(error).removeprefix(f"{name}: ")
    elif isinstance(error, MemoryError):
        reason = "there is not enough memory for it; convert it to a tiled TIFF or zarr."
    elif isinstance(error, OSError):
        reason = f"cannot be read ({error.strerror or brief(error)})."
    else:
        reason = f"failed in an unforeseen way ({type(error).__name__}: {brief(error)}); please report it."
    return reason.encode("utf-8", "backslashreplace").decode()  # may hold a file name that is not Unicode


def _new_record(model: Model, settings: Settings) -> Record:
    device = choose_device(settings.device)
    values = resolved(settings, model.card)
    rejection = rejection_of(settings.reject, model.card)
    if values["tile"] is not None:  # impossible ones are refused here, once, and not with every file
        tile_grid((values["tile"], values["tile"]), values["tile"], values["stride"])
    return Record(
        versions=versions(),
        device=describe(device),
        precision=str(fast_precision(device)).removeprefix("torch."),
        model={"name": model.card.name, "sha256": model.sha256},
        settings=values,
        categories=list(model.card.names),
        started=_now(),
        unknown="" if rejection is None else rejection.category.name,
    )


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
