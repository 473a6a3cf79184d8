"""Many files, one after the other: results beside each other in a folder, resumed where a run was cut short."""

import errno
import os
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from napari_semclass.classify.engine import classification_steps
from napari_semclass.classify.grid import tile_grid
from napari_semclass.classify.inputs import OVERLAY_SUFFIX, Input, find_inputs
from napari_semclass.classify.naming import output_stems
from napari_semclass.classify.overlay import write_overlay
from napari_semclass.classify.prediction import Prediction
from napari_semclass.classify.record import (
    RECORD_NAME,
    SUMMARY_NAME,
    Entry,
    Record,
    Row,
    load_record,
    resolved,
    versions,
)
from napari_semclass.classify.settings import Settings
from napari_semclass.classify.tables import write_geojson, write_tiles_csv
from napari_semclass.errors import DeviceError, MicrographError, OutputError, SemclassError, SettingsError, brief
from napari_semclass.micrograph import SUFFIXES, Micrograph, open_micrographs
from napari_semclass.model import Model, choose_device
from napari_semclass.model.device import describe, fast_precision

TABLE_SUFFIX, SHAPES_SUFFIX = ".tiles.csv", ".geojson"
_SUFFIXES = (OVERLAY_SUFFIX, TABLE_SUFFIX, SHAPES_SUFFIX)
# The record is written at most every so many seconds, and for at most this share of the time: writing it after
# each of ten thousand files would take longer than classifying them.
_SAVE_EVERY_S = 2.0
_SAVE_SHARE = 0.05


@dataclass(frozen=True)
class BatchStep:
    """How far a batch is: `done` of `total` tiles of the micrograph at hand; `entry` says when its file is finished.

    `prediction` is that of the micrograph at hand, None when its file failed to open.
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
        self,
        paths: Iterable[str | Path],
        model: Model,
        settings: Settings,
        out: str | Path,
        overwrite: bool = False,
    ) -> None:
        self.model, self.settings, self.out = model, settings, Path(out)
        paths = list(paths)
        inputs = find_inputs(paths, out)
        if not inputs:
            where = ", ".join(str(path) for path in paths)
            raise SettingsError(f"{where}: no images found; looked for {' '.join(SUFFIXES)} in it and below.")
        self.record = _new_record(model, settings)
        known = self._known_entries(overwrite)
        asked = {source.path for source in inputs} | {source.file for source in inputs}
        others = [entry for entry in known.entries if not {entry.path, entry.file} & asked]
        self._stale: list[Entry] = []
        self.entries = self._planned(inputs, known.entries, others, overwrite)
        self.record.files = [*self.entries, *(others if known.alike else [])]
        self.todo = [entry for entry in self.entries if overwrite or not self._is_done(entry)]

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
            self._remove_outputs(entry)
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
        self._remove_outputs(entry)
        entry.status, entry.rows = "pending", []
        try:
            opened = opening.result()
            entry.size, entry.mtime_ns = opened.stamp
            for micrograph in opened.micrographs:
                suffix = "" if micrograph.plane is None else f"#{micrograph.plane}"
                try:
                    for step in classification_steps(micrograph, self.model, self.settings, stop):
                        prediction = step.prediction
                        yield BatchStep(entry, index, step.done, step.total, prediction)
                    if stop.is_set():
                        return
                    assert prediction is not None  # noqa: S101 - the engine yields at least once or raises
                    self._write(prediction, micrograph, entry.stem + suffix)
                    rows.append(_row(prediction, entry.file + suffix))
                    tiles += len(prediction.grid)
                except Exception as error:  # one plane's failure, whatever it is, must not stop the others
                    rows.append(Row(entry.file + suffix, error=_reason(error)))
        except Exception as error:
            rows.append(Row(entry.file, error=_reason(error)))
        entry.rows, entry.tiles, entry.seconds = rows, tiles, round(time.monotonic() - start, 3)
        entry.status = "failed" if any(row.error for row in rows) else "done"
        yield BatchStep(entry, index, prediction=prediction)

    def _known_entries(self, overwrite: bool) -> "_Known":
        """What an earlier run left in the output folder; refuses where it cannot be continued."""
        hint = "choose another output folder or overwrite (--overwrite)."
        try:
            old = load_record(self.out)
        except OutputError:
            if not overwrite:
                raise
            old = None
        if old is None:
            if (self.out / SUMMARY_NAME).exists() and not overwrite:
                raise OutputError(f"{self.out}: holds a {SUMMARY_NAME} but no {RECORD_NAME} beside it; {hint}")
            return _Known([], alike=True)
        alike = old.made_like(self.record)
        if not alike and not overwrite:
            raise OutputError(f"{self.out}: holds results of another model or other settings; {hint}")
        if alike:
            self.record.started = old.started
        return _Known(old.files, alike)

    def _planned(self, inputs: list[Input], known: list[Entry], others: list[Entry], overwrite: bool) -> list[Entry]:
        """An entry for each input: that of an earlier run where there is one, else a new one."""
        stems = output_stems([*inputs, *(Input(entry.path, entry.file, entry.relative) for entry in others)])
        by_path, by_file = {entry.path: entry for entry in known}, {entry.file: entry for entry in known}
        taken = {entry.stem for entry in known}
        entries = []
        for source in inputs:
            entry = Entry(source.file, source.path, source.relative, stems[source])
            old = by_path.get(source.path) or by_file.get(source.file)
            if old is not None and old.stem == entry.stem:
                rows = [replace(row, file=source.file + row.file.removeprefix(old.file)) for row in old.rows]
                entry = replace(old, file=source.file, path=source.path, relative=source.relative, rows=rows)
            elif old is not None:
                self._stale.append(old)
            present = [path for path in self._outputs(entry, _SUFFIXES) if path.exists()]
            if present and entry.stem not in taken and not overwrite:
                raise OutputError(
                    f"{present[0]}: is already there and not from an earlier run; "
                    "choose another output folder or overwrite (--overwrite)."
                )
            entries.append(entry)
        return entries

    def _is_done(self, entry: Entry) -> bool:
        """Whether results are there and of the file as it is now."""
        if entry.status != "done" or not all(path.exists() for path in self._outputs(entry, self._written)):
            return False
        try:
            return (entry.size, entry.mtime_ns) == _stamp(Path(entry.path))
        except OSError:
            return False

    @property
    def _written(self) -> tuple[str, ...]:
        return (OVERLAY_SUFFIX,) if self.settings.mode == "whole" else _SUFFIXES

    def _outputs(self, entry: Entry, suffixes: tuple[str, ...]) -> list[Path]:
        """Output files of each plane found; of the file itself where it has not been classified."""
        planes = [row.file.removeprefix(entry.file) for row in entry.rows if not row.error] or [""]
        return [self.out / f"{entry.stem}{plane}{suffix}" for plane in planes for suffix in suffixes]

    def _remove_outputs(self, entry: Entry) -> None:
        """Remove earlier results, which say nothing about the file as it is now."""
        for path in self._outputs(entry, _SUFFIXES):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(f"{path}: cannot be replaced ({error.strerror or brief(error)}).") from error

    def _write(self, prediction: Prediction, micrograph: Micrograph, stem: str) -> None:
        try:
            if self.settings.mode == "tiles":
                write_tiles_csv(prediction, self.out / f"{stem}{TABLE_SUFFIX}")
                write_geojson(prediction, self.out / f"{stem}{SHAPES_SUFFIX}")
            write_overlay(prediction, micrograph, self.out / f"{stem}{OVERLAY_SUFFIX}")
        except OutputError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENAMETOOLONG:
                raise MicrographError(
                    f"{micrograph.name}: its name is too long for its outputs; shorten it."
                ) from error
            raise


@dataclass(frozen=True)
class _Known:
    """Entries of an earlier run, and whether it had the same model and settings."""

    entries: list[Entry]
    alike: bool


@dataclass(frozen=True)
class _Opened:
    """A file's planes, and its size and time when it was opened."""

    micrographs: list[Micrograph]
    stamp: tuple[int, int]


def _opened_ahead(paths: list[Path]) -> Iterator["Future[_Opened]"]:
    """Each file as it is opened, the next one while this one is worked on."""

    def opened(path: Path) -> _Opened:
        micrographs = open_micrographs(path)
        return _Opened(micrographs, _stamp(path))

    with ThreadPoolExecutor(1, "semclass-open") as pool:
        waiting: Future[_Opened] | None = None
        for path in paths:
            coming = pool.submit(opened, path)
            if waiting is not None:
                yield waiting
            waiting = coming
        if waiting is not None:
            yield waiting


def _stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change; of a zarr folder, of all that it holds."""
    if path.is_file():
        parts = [path.stat()]
    else:
        parts = [(Path(top) / name).stat() for top, _, names in os.walk(path) for name in names]
    return sum(part.st_size for part in parts), max((part.st_mtime_ns for part in parts), default=0)


def _row(prediction: Prediction, file: str) -> Row:
    shares = [round(share, 6) for share in prediction.mean_probabilities().tolist()]
    best = max(range(len(shares)), key=shares.__getitem__)
    fractions = [round(share, 6) for share in prediction.area_fractions().tolist()]
    return Row(file, prediction.names[best], shares[best], shares, fractions)


def _reason(error: Exception) -> str:
    """Why a file could not be classified, in a sentence; raises again what concerns all files."""
    if isinstance(error, OutputError | DeviceError):
        raise error
    if isinstance(error, SemclassError):
        return _printable(str(error))
    if isinstance(error, MemoryError):
        return "there is not enough memory for it; convert it to a tiled TIFF or zarr."
    if isinstance(error, OSError):
        return _printable(f"cannot be read ({error.strerror or brief(error)}).")
    return _printable(
        f"failed in a way that is not foreseen ({type(error).__name__}: {brief(error)}); please report it."
    )


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _new_record(model: Model, settings: Settings) -> Record:
    device = choose_device(settings.device)
    values = resolved(settings, model.card)
    if settings.mode == "tiles":
        tile_grid((values["tile"], values["tile"]), values["tile"], values["stride"])
    return Record(
        versions=versions(),
        device=describe(device),
        precision=str(fast_precision(device)).removeprefix("torch."),
        model={"name": model.card.name, "sha256": model.sha256},
        settings=values,
        categories=list(model.card.names),
        started=_now(),
    )


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
