"""What "Save results" does in the background: overlay, CSV, GeoJSON and JSON of every result."""

import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_semclass.classify.layers import METADATA_KEY, PREDICTIONS_KEY
from napari_semclass.classify.prediction import Prediction
from napari_semclass.viewer.layers import Target


def export_job(
    results: Sequence[tuple[Mapping[str, Any], Target]], folder: str, colors: Mapping[str, str], stop: threading.Event
) -> Generator[str, None, None]:
    """Write every plane of every result; yields one sentence at the end."""
    from napari_semclass.classify.overlay import write_overlay
    from napari_semclass.classify.tables import write_geojson, write_json, write_tiles_csv

    written = 0
    for metadata, target in results:
        for micrograph, prediction in zip(target.micrographs, metadata[METADATA_KEY][PREDICTIONS_KEY], strict=True):
            if prediction is None or stop.is_set():
                continue
            stem = _free(Path(folder) / _file_name(micrograph.name))
            shown = recoloured(prediction, colors)
            write_overlay(shown, micrograph, stem.with_name(f"{stem.name}.overlay.png"))
            write_json(shown, stem.with_name(f"{stem.name}.json"))
            if not prediction.whole:
                write_tiles_csv(shown, stem.with_name(f"{stem.name}.tiles.csv"))
                write_geojson(shown, stem.with_name(f"{stem.name}.geojson"))
            written += 1
    yield f"Saved {written} result{'' if written == 1 else 's'} in {folder}."


def _free(stem: Path) -> Path:
    """The stem, numbered where files of that name are there already: nothing saved before is written over."""
    number, free = 1, stem
    while free.with_name(f"{free.name}.json").exists():
        number += 1
        free = stem.with_name(f"{stem.name} ({number})")
    return free


def recoloured(prediction: Prediction, colors: Mapping[str, str]) -> Prediction:
    """The same prediction in the colours the user chose."""
    categories = tuple(replace(c, color=colors.get(c.name, c.color)) for c in prediction.categories)
    rejection = prediction.rejection
    if rejection is not None:
        rejection = rejection.colored(colors.get(rejection.category.name, rejection.category.color))
    return replace(prediction, categories=categories, rejection=rejection)


def _file_name(name: str) -> str:
    """A layer's name as a file name on any system."""
    return "".join(c if c.isalnum() or c in " ._-#()" else "_" for c in name).strip(" .") or "result"
