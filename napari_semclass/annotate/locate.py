"""Finds the images of a project again: where they were, or by their content where the project now lies."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_semclass.annotate.content import content_of
from napari_semclass.annotate.entries import ImageEntry, Project
from napari_semclass.annotate.project_file import SUFFIX
from napari_semclass.names import existing, path_form

_MOST_FILES = 20_000  # looked at around the project
_NAMED = 5  # in a sentence


@dataclass(frozen=True)
class Located:
    """Where the images of a project are.

    Parameters
    ----------
    paths : dict of str to (Path or None)
        By the image's id; None where it was not found.
    sentences : tuple of str
        What the user should know: which are missing, which have changed.
    """

    paths: dict[str, Path | None]
    sentences: tuple[str, ...] = ()


def locate_images(project: Project, folder: str | Path) -> Located:
    """Look for every image where it was; where it is not, for its content among the files around the project.

    A file that is where it was but has changed is taken only if its old content is nowhere else.

    Parameters
    ----------
    project : Project
    folder : str or Path
        Of the project; the folder that it lies in is searched, with what is below.
    """
    around = Path(folder).absolute().parent
    paths: dict[str, Path | None] = {}
    changed, missing = [], []
    files: list[Path] | None = None
    for entry in project.images:
        path = None if entry.path is None else existing(entry.path)
        if path is not None and path.exists() and _holds(path, entry):
            paths[entry.id] = path
            continue
        if files is None:
            files = list(_files(around))
        moved = next((file for file in files if _may_hold(file, entry) and _holds(file, entry)), None)
        if moved is not None:
            paths[entry.id] = moved
        elif path is not None and path.exists():
            paths[entry.id] = path
            changed.append(entry.name)
        else:
            paths[entry.id] = None
            missing.append(entry.name)
    sentences = []
    if changed:
        has = "has" if len(changed) == 1 else "have"
        sentences.append(f"{_listed(changed)} {has} changed since the marks were made; check that they still fit.")
    if missing:
        where, it = ("was", "it") if len(missing) == 1 else ("were", "them")
        sentences.append(f"{_listed(missing)} {where} not found; put {it} into {around} and open the project again.")
    return Located(paths, tuple(sentences))


def _holds(path: Path, entry: ImageEntry) -> bool:
    """Whether a file is what it was; its content is looked at only where size and time do not say so."""
    if not entry.sha256:  # never known: then its place is all there is to go by
        return entry.path is not None and path_form(entry.path) == path_form(path)
    try:
        stamp = path.stat()
        if not path.is_dir() and (stamp.st_size, stamp.st_mtime_ns) == (entry.size, entry.mtime_ns):
            return True
        return (path.is_dir() or stamp.st_size == entry.size) and content_of(path).sha256 == entry.sha256
    except OSError:
        return False


def _may_hold(path: Path, entry: ImageEntry) -> bool:
    """Whether looking at the content is worth while."""
    try:
        return path.is_dir() == (entry.size == 0) and (path.is_dir() or path.stat().st_size == entry.size)
    except OSError:
        return False


def _files(around: Path) -> Iterator[Path]:
    """Files below a folder and zarr folders as one each, nearest first; hidden ones and projects are left out."""
    seen = 0
    for top, folders, names in os.walk(around):
        shown = sorted(name for name in folders if not name.startswith(".") and not name.endswith(SUFFIX))
        folders[:] = [name for name in shown if not name.lower().endswith(".zarr")]
        inner = [name for name in shown if name not in folders]
        for name in [*sorted(name for name in names if not name.startswith(".")), *inner]:
            seen += 1
            if seen > _MOST_FILES:
                return
            yield Path(top) / name


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
