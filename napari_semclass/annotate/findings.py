"""What a batch found, picture by picture, what the user says instead, and both as labelled pictures to learn from."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_semclass.annotate.dataset import distinct, safe_name, write_manifest
from napari_semclass.classify.inputs import OVERLAY_SUFFIX
from napari_semclass.classify.journal import replay
from napari_semclass.classify.record import RECORD_NAME, Entry, load_record
from napari_semclass.errors import OutputError, SettingsError, brief
from napari_semclass.learn.dataset import MANIFEST, Picture
from napari_semclass.names import first_forms, text_of_path
from napari_semclass.writing import json_text, replacing

CORRECTIONS_NAME = "corrections.json"


@dataclass(frozen=True)
class Finding:
    """One picture (or plane of a stack) of a batch.

    Parameters
    ----------
    name : str
        What `summary.csv` calls it; ends in `#plane` for a plane of a stack.
    key : str
        Its place among the results, whatever folder or way the pictures were given by.
    path : Path
        The picture's file.
    overlay : Path
        Its overlay picture, if it was classified.
    category : str
        The answer, the name of unknown included; empty where it failed.
    confidence : float or None
        In [0, 1].
    known : bool
        Whether `category` is one of the model's.
    error : str
        Why it failed; else empty.
    correction : str
        What the user says it is; empty where nothing is said.
    """

    name: str
    key: str
    path: Path
    overlay: Path
    category: str
    confidence: float | None
    known: bool
    error: str = ""
    correction: str = ""

    @property
    def label(self) -> str:
        """What it is taken for: the correction, else the model's category; empty where neither is known."""
        return self.correction or (self.category if self.known else "")


def findings_of(entry: Entry, out: Path, categories: Sequence[str]) -> list[Finding]:
    """What was found in one input of a batch into `out`; a file that waits has none."""
    if entry.status == "pending":
        return []
    found = []
    for row in entry.rows:
        plane = row.file.removeprefix(entry.file)
        key = text_of_path(entry.stem) + plane
        known = row.category in categories
        overlay = out / f"{entry.stem}{plane}{OVERLAY_SUFFIX}"
        found.append(Finding(row.file, key, Path(entry.path), overlay, row.category, row.confidence, known, row.error))
    return found


def read_findings(out: str | Path) -> list[Finding]:
    """All that a batch into this folder found so far, with the user's corrections.

    Raises
    ------
    SettingsError
        When the folder holds no results.
    OutputError
        When its record or its corrections are damaged.
    """
    out = Path(out)
    record = load_record(out)
    if record is None:
        raise SettingsError(f"{out}: holds no results (it has no {RECORD_NAME}); classify a folder into it first.")
    replay(out, record)
    said = read_corrections(out)
    found = [one for entry in record.files for one in findings_of(entry, out, record.categories)]
    return [replace(one, correction=said.get(one.key, "")) for one in found]


def read_corrections(out: Path) -> dict[str, str]:
    """What the user said of pictures, by their keys; empty where nothing was said.

    Raises
    ------
    OutputError
        When the file is damaged, so that what it says is not written over.
    """
    path = out / CORRECTIONS_NAME
    try:
        said = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise OutputError(f"{path}: cannot be read ({brief(error)}); mend it or move it away.") from error
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
        raise OutputError(f"{path}: does not hold corrections; mend it or move it away.")
    return said


def write_corrections(out: Path, said: Mapping[str, str]) -> None:
    """Keep what the user said of pictures, by their keys.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    with replacing(out / CORRECTIONS_NAME) as temporary:
        temporary.write_text(json_text(dict(said), indent=1), encoding="utf-8")


def export_findings(findings: Iterable[Finding], folder: str | Path) -> tuple[int, int]:
    """Copy pictures into one folder per label, with a `manifest.csv` that `semclass train` reads.

    Each picture counts as a specimen of its own, which the manifest's column `group` can change.

    Returns
    -------
    (int, int)
        How many were copied, and how many left out: those without a label, and planes of stacks.

    Raises
    ------
    SettingsError
        When none has a label.
    OutputError
        When the folder holds a data set already, or cannot be written to.
    """
    folder, findings = Path(folder), list(findings)
    if (folder / MANIFEST).exists():
        raise OutputError(f"{folder}: holds a data set already; choose another folder.")
    labelled = [one for one in findings if one.label and one.name == one.name.partition("#")[0]]
    if not labelled:
        raise SettingsError("none of these pictures has a category yet; correct some, or show others.")
    forms = first_forms(one.label for one in labelled)
    labels = list(dict.fromkeys(forms.values()))
    folders = dict(zip(labels, distinct([safe_name(label) for label in labels]), strict=True))
    names = distinct([safe_name(one.path.stem) for one in labelled])
    pictures = []
    for one, name in zip(labelled, names, strict=True):
        target = folder.resolve() / folders[forms[one.label]] / f"{name}{one.path.suffix}"
        _copy(one.path, target)
        pictures.append(Picture(target, forms[one.label], name))
    write_manifest(folder / MANIFEST, pictures)
    return len(labelled), len(findings) - len(labelled)


def _copy(source: Path, target: Path) -> None:
    try:
        with replacing(target) as temporary:
            if source.is_dir():  # zarr
                shutil.copytree(source, temporary)
            else:
                shutil.copyfile(source, temporary)
    except OutputError as error:
        raise OutputError(f"{source}: cannot be copied to {target} ({brief(error.__cause__ or error)}).") from error
