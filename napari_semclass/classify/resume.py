"""What is left to do in an output folder: inputs are matched with what an earlier run recorded there."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_semclass.classify.inputs import Input
from napari_semclass.classify.journal import replay
from napari_semclass.classify.naming import output_stems
from napari_semclass.classify.record import PARQUET_NAME, RECORD_NAME, SUMMARY_NAME, Entry, Record, load_record
from napari_semclass.classify.results import Results
from napari_semclass.errors import OutputError
from napari_semclass.names import path_form

_HINT = "choose another output folder or overwrite (--overwrite)."


@dataclass(frozen=True)
class Plan:
    """Entries of all inputs in their order, those of them to classify, and what to keep or remove of earlier ones.

    Parameters
    ----------
    entries, todo : list of Entry
        `todo` holds what is new, changed, failed last time or lacks results.
    kept : list of Entry
        Inputs of earlier runs that are not asked for now; they stay in the record.
    stale : list of Entry
        Inputs whose results are called something else now.
    """

    entries: list[Entry]
    todo: list[Entry]
    kept: list[Entry]
    stale: list[Entry]


def make_plan(inputs: Sequence[Input], record: Record, results: Results, overwrite: bool) -> Plan:
    """Match inputs with the record in the output folder.

    Raises
    ------
    OutputError
        Unless `overwrite`: when the folder holds results of another model or other settings than `record`'s, a
        record that cannot be read, or files of the outputs' names that no record knows.
    """
    earlier = _earlier(results.out, overwrite)
    alike = earlier is None or earlier.made_like(record)
    if not alike and not overwrite:
        raise OutputError(f"{results.out}: holds results of another model or other settings; {_HINT}")
    known = earlier.files if earlier else []
    asked = {source.path for source in inputs} | {source.file for source in inputs}
    matches = _matches(inputs, known)
    matched = {id(entry) for entry in matches.values()}
    others = [entry for entry in known if id(entry) not in matched and not {entry.path, entry.file} & asked]
    stems = output_stems([*inputs, *(Input(entry.path, entry.file, entry.relative) for entry in others)])
    plan = Plan([], [], others if alike else [], [])
    for source in inputs:
        old = matches.get(source)
        entry = Entry(source.file, source.path, source.relative, stems[source])
        same_place = old is not None and path_form(old.stem) == path_form(entry.stem)
        if old is not None and same_place:
            entry = _continued(old, source)
        elif not overwrite:
            _refuse_foreign(entry, results, known)
        if old is not None and not same_place:
            plan.stale.append(old)
        plan.entries.append(entry)
        if overwrite or not _is_done(entry, results):
            plan.todo.append(entry)
    return plan


def _matches(inputs: Sequence[Input], known: Sequence[Entry]) -> dict[Input, Entry]:
    """What an earlier run recorded of each input, by its exact name before another Unicode form of it.

    A folder's name may be typed in one form and listed in another, or change its form with the disk it is copied to.
    """
    exact = {entry.file: entry for entry in known} | {entry.path: entry for entry in known}
    matches = {s: entry for s in inputs if (entry := exact.get(s.path) or exact.get(s.file)) is not None}
    matched = {id(entry) for entry in matches.values()}
    free = [entry for entry in known if id(entry) not in matched]
    forms = {path_form(e.file): e for e in free} | {path_form(e.path): e for e in free}
    for source in inputs:
        if source not in matches:
            entry = forms.get(path_form(source.path)) or forms.get(path_form(source.file))
            if entry is not None and id(entry) not in matched:
                matches[source] = entry
                matched.add(id(entry))
    return matches


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change (ns); of a zarr folder, of all that it holds."""
    if path.is_file():
        parts = [path.stat()]
    else:
        parts = [(Path(top) / name).stat() for top, _, names in os.walk(path) for name in names]
    return sum(part.st_size for part in parts), max((part.st_mtime_ns for part in parts), default=0)


def _earlier(out: Path, overwrite: bool) -> Record | None:
    try:
        earlier = load_record(out)
    except OutputError:
        if not overwrite:
            raise
        return None
    if earlier is not None:
        replay(out, earlier)
    for name in (SUMMARY_NAME, PARQUET_NAME) if earlier is None and not overwrite else ():
        if (out / name).exists():
            raise OutputError(f"{out}: holds a {name} but no {RECORD_NAME} to continue from; {_HINT}")
    return earlier


def _continued(old: Entry, source: Input) -> Entry:
    """An earlier entry under the name by which its input is given now."""
    rows = [replace(row, file=source.file + row.file.removeprefix(old.file)) for row in old.rows]
    return replace(old, file=source.file, path=source.path, relative=source.relative, rows=rows)


def _is_done(entry: Entry, results: Results) -> bool:
    """Whether results are there and of the file as it is now."""
    if entry.status != "done" or not results.complete(entry):
        return False
    try:
        return (entry.size, entry.mtime_ns) == stamp(Path(entry.path))
    except OSError:
        return False


def _refuse_foreign(entry: Entry, results: Results, known: Sequence[Entry]) -> None:
    """Refuse to write over files that no earlier run recorded."""
    present = results.present(entry)
    if present and entry.stem not in {other.stem for other in known}:
        raise OutputError(f"{present[0]}: is already there and not from an earlier run; {_HINT}")
