"""The journal of a running batch: every finished file is noted at once, so that a killed run repeats none."""

import json
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from pydantic import TypeAdapter, ValidationError

from napari_semclass.classify.record import Entry, Record
from napari_semclass.errors import OutputError, brief

JOURNAL_NAME = "run.jsonl"
# The record is written at most every so many seconds, and for at most this share of the time: writing it after
# each of ten thousand files would take longer than classifying them.
_SAVE_EVERY_S = 2.0
_SAVE_SHARE = 0.02
_ENTRIES = TypeAdapter(Entry)


class Journal:
    """Notes finished entries in run.jsonl, and from time to time writes run.json and the summaries, which hold all.

    As a context manager it writes both at the start and, whatever happens, at the end; then run.jsonl is removed.
    """

    def __init__(self, out: Path, record: Record) -> None:
        self._out, self._record = out, record

    def __enter__(self) -> "Journal":
        self._save()
        return self

    def add(self, entry: Entry) -> None:
        """Note a finished entry; its results must be complete.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        self._write(_ENTRIES.dump_json(entry))
        if time.monotonic() > self._next_save:
            self._file.close()
            self._save()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._record.save(self._out)
        with suppress(OSError):  # what it says is in the record
            (self._out / JOURNAL_NAME).unlink()

    def _save(self) -> None:
        begun = time.monotonic()
        self._record.save(self._out)
        now = time.monotonic()
        self._next_save = now + max(_SAVE_EVERY_S, (now - begun) / _SAVE_SHARE)
        try:
            self._file = (self._out / JOURNAL_NAME).open("wb", buffering=0)
        except OSError as error:
            raise self._unwritable(error) from error
        # What follows belongs to this record and to no other that lay here before.
        self._write(json.dumps({"started": self._record.started}).encode())

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line + b"\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> OutputError:
        path = self._out / JOURNAL_NAME
        return OutputError(f"{path}: cannot be written ({error.strerror or brief(error)}).")


def replay(out: Path, record: Record) -> None:
    """Bring the record of a killed run up to date with what it noted last."""
    try:
        header, *lines = (out / JOURNAL_NAME).read_bytes().split(b"\n")
        if json.loads(header) != {"started": record.started}:
            return
    except (OSError, ValueError, RecursionError):
        return  # none, or cut short at its beginning
    places = {entry.file: index for index, entry in enumerate(record.files)}
    for line in lines:
        try:
            entry = _ENTRIES.validate_json(line)
        except ValidationError:
            continue  # cut short; its file is classified again
        if entry.file in places:
            record.files[places[entry.file]] = entry
