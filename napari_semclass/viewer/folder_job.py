"""What the folder browser does in the background: classify a folder, read its results, draw small pictures, export."""

import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_semclass.annotate.findings import Finding, export_findings, findings_of, read_findings
from napari_semclass.classify.settings import Settings

THUMBNAIL = 128  # pixels


@dataclass(frozen=True)
class Progress:
    """Files done and to do, and what was found in the one that is done now."""

    done: int
    total: int
    found: tuple[Finding, ...]


def folder_job(
    source: Path, out: Path, model_name: str, settings: Settings, stop: threading.Event
) -> Generator[Progress, None, None]:
    """Classify a folder into another, as `semclass classify` does; what is done already is not done again."""
    from napari_semclass.classify.batch import Batch
    from napari_semclass.model.store import load_model

    model = load_model(model_name)
    batch = Batch([source], model, settings, out)
    done, total = len(batch.entries) - len(batch.todo), len(batch.entries)
    yield Progress(done, total, ())
    with closing(batch.steps(stop)) as steps:
        for step in steps:
            if step.finished:
                done += 1
                yield Progress(done, total, tuple(findings_of(step.entry, out, model.card.names)))


def findings_job(out: Path, stop: threading.Event) -> Generator[list[Finding], None, None]:
    """Read what was found in a folder."""
    yield read_findings(out)


def pictures_job(
    wanted: Sequence[tuple[str, Path]], stop: threading.Event
) -> Generator[tuple[str, NDArray[np.uint8]], None, None]:
    """Yield a small picture (height, width, 3) of each overlay that can be read, by its finding's name."""
    from PIL import Image

    for name, path in wanted:
        if stop.is_set():
            return
        try:
            with Image.open(path, formats=("PNG",)) as picture:
                picture.thumbnail((THUMBNAIL, THUMBNAIL))
                yield name, np.asarray(picture.convert("RGB"))
        except (OSError, Image.DecompressionBombError):
            continue


def export_job(findings: Sequence[Finding], folder: Path, stop: threading.Event) -> Generator[str, None, None]:
    """Copy labelled pictures into a folder; yields one sentence."""
    copied, left_out = export_findings(findings, folder)
    without = f" {left_out} left out: without a category, or planes of stacks." if left_out else ""
    yield f"Copied {copied:,} picture{'' if copied == 1 else 's'} into {folder}, ready for training.{without}"
