"""Which files a batch classifies: files, folders and patterns become inputs, each with its place below the output."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_semclass.micrograph import SUFFIXES
from napari_semclass.names import existing, text_of_path

OVERLAY_SUFFIX = ".overlay.png"
_ZARR_MARKS = ("zarr.json", ".zarray", ".zgroup")


@dataclass(frozen=True)
class Input:
    """One file (or zarr folder) to classify.

    Parameters
    ----------
    path : str
        Absolute.
    file : str
        What tables call it: the path as given, or `<folder as given>/<relative>`, with `/`; text in any locale.
    relative : str
        Its path below the folder given, with `/`; outputs mirror it, so it is what the system calls it, and no text.
    """

    path: str
    file: str
    relative: str


def find_inputs(paths: Iterable[str | Path], out: str | Path) -> list[Input]:
    """Find what to classify.

    Parameters
    ----------
    paths : iterable of str or Path
        Files, folders (walked for the suffixes of `micrograph.SUFFIXES`; a zarr folder is one input) and patterns
        with `*`, `?`, `[…]` or `**`, which stand for all that they match, as in a shell. Hidden files are left out.
    out : str or Path
        Where results go: left out when folders are walked, as are overlays anywhere.

    Returns
    -------
    list of Input
        In the order given, sorted within folders and patterns, each file once. What does not exist is listed, too:
        opening it says so.
    """
    out = _absolute(out)
    found: dict[str, Input] = {}
    for given in paths:
        for candidate in _expand(_spelled(str(given)), out):
            known = found.get(candidate.path)
            # A file found by several ways goes where the outermost folder puts it, in whatever order they are given.
            if known is None or _preference(candidate) < _preference(known):
                found[candidate.path] = candidate
    return list(found.values())


def _spelled(given: str) -> str:
    """A path as it was given or, where only that exists, in another Unicode form; a pattern as it is."""
    spelled = existing(given)
    return given if spelled == Path(given) else str(spelled)


def _preference(source: Input) -> tuple[int, str]:
    return -source.relative.count("/"), source.file


def _expand(given: str, out: str) -> Iterator[Input]:
    if os.path.exists(given) or not set("*?[") & set(given):  # noqa: PTH110 - as above, for long names
        path = _absolute(given)
        yield from _named(
            given, path if Path(path).is_dir() and not _is_zarr(Path(path)) else str(Path(path).parent), out
        )
        return
    base = _fixed_folder(given)
    matches = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 - keeps the path as it was given
    for match in matches or [given]:
        if not any(part.lower().endswith(".zarr") for part in Path(os.path.relpath(match, base)).parts[:-1]):
            yield from _named(match, base, out)


def _named(given: str, base: str, out: str) -> Iterator[Input]:
    """One file, or what a folder holds; outputs mirror the path below `base`."""
    path = Path(given)
    name = given.rstrip(os.sep + "/")
    if path.is_dir() and not _is_zarr(path):
        for inner in _walk(path, out):
            yield _input(inner, f"{name}/{inner.relative_to(path).as_posix()}", base)
    elif not (given.endswith(OVERLAY_SUFFIX) and _absolute(given).startswith(out + os.sep)):
        yield _input(path, name, base)


def _input(path: Path, file: str, base: str) -> Input:
    relative = os.path.relpath(_absolute(path), base).replace(os.sep, "/")
    return Input(_absolute(path), text_of_path(file.replace(os.sep, "/")), relative)


def _walk(folder: Path, out: str) -> Iterator[Path]:
    """Images below a folder, sorted; a folder that cannot be listed is yielded itself, so that it gets reported."""
    unread: list[OSError] = []
    for top, folders, files in os.walk(folder, onerror=unread.append):
        here = Path(top)
        shown = sorted(name for name in folders if not name.startswith(".") and _absolute(here / name) != out)
        folders[:] = [name for name in shown if not name.lower().endswith(".zarr")]
        images = [name for name in files if not name.startswith(".") and name.lower().endswith(SUFFIXES)]
        names = [name for name in images if not name.endswith(OVERLAY_SUFFIX)]
        yield from (here / name for name in sorted(names + [name for name in shown if name not in folders]))
    yield from (Path(error.filename) for error in unread)


def _is_zarr(folder: Path) -> bool:
    return folder.suffix.lower() == ".zarr" or any((folder / mark).exists() for mark in _ZARR_MARKS)


def _fixed_folder(pattern: str) -> str:
    """The folder before the first part of a pattern that holds a wildcard."""
    parts = Path(pattern).parts
    first = next(index for index, part in enumerate(parts) if set("*?[") & set(part))
    return _absolute(Path(*parts[:first]))


def _absolute(path: str | Path) -> str:
    """Absolute without following links: two links to one file are two inputs."""
    return os.path.abspath(path)  # noqa: PTH100 - Path.resolve would follow them
