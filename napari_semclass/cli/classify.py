"""`semclass classify`: runs a batch, shows its progress and says at the end what came out."""

import argparse
from collections import Counter
from contextlib import closing
from pathlib import Path

from napari_semclass.classify import Batch, Prediction, Settings
from napari_semclass.classify.cluster import connected
from napari_semclass.classify.parquet import parquet_is_known
from napari_semclass.classify.record import RECORD_NAME, Entry
from napari_semclass.cli import output
from napari_semclass.cli.progress import progress, share
from napari_semclass.errors import SettingsError
from napari_semclass.model import Card, load_model
from napari_semclass.names import text_of_path

_NOTES = 5  # printed; all are in the record


def classify(options: argparse.Namespace) -> int:
    """Classify what the options name; return the exit status."""
    if options.whole and (options.tile or options.stride or options.tile_um or options.stride_um):
        raise SettingsError(
            "--whole classifies each picture as one, so --tile, --stride, --tile-um and --stride-um have no meaning "
            "with it."
        )
    settings = Settings(
        mode="whole" if options.whole else "tiles",
        tile=options.tile,
        stride=options.stride,
        tile_um=options.tile_um,
        stride_um=options.stride_um,
        pixel_size=options.pixel_size,
        device=options.device,
        batch=options.batch,
        dihedral=options.dihedral,
        keep_data_bar=options.keep_data_bar,
        reject=options.reject,
        precision=options.precision,
        runtime=options.runtime,
    )
    with connected(options.workers, options.cluster) as cluster:
        batch = Batch(options.paths, load_model(options.model), settings, options.out, options.overwrite, cluster)
        if not any(Path(entry.path).exists() for entry in batch.entries):
            # A name that was mistyped, or a drive that is gone: no folder of results that say so.
            raise SettingsError(f"{', '.join(options.paths)}: no such file or folder.")
        run_batch(batch)
    return report(batch)


def run_batch(batch: Batch) -> Prediction | None:
    """Classify everything to do, with its progress on stderr; return the last prediction."""
    prediction = None
    with progress(len(batch.todo)) as shown, closing(batch.steps()) as steps:
        for step in steps:
            shown.update(step)
            prediction = step.prediction
    return prediction


def report(batch: Batch) -> int:
    """Say what came out, on stdout; return the exit status."""
    failed = [entry for entry in batch.entries if entry.status == "failed"]
    output.result(
        "\n".join(
            [_work(batch), *_counts(batch), *_failures(failed), *_notes(batch), *_places(batch), *_caution(batch)]
        )
    )
    return 1 if failed else 0


def starter_caution(card: Card) -> str:
    """What to keep in mind about the starter model's answers."""
    tests = "; ".join(
        f"{share(test.accuracy)} of {test.n:,} {test.unit}s right (balanced {share(test.balanced_accuracy)})"
        for test in card.tests
    )
    return f"The starter is a first model, made to be retrained on your own categories{f': {tests}' * bool(tests)}."


def _work(batch: Batch) -> str:
    """What was done now, how fast, and what did not have to be done again."""
    done = [entry for entry in batch.todo if entry.tiles]
    tiles, seconds = sum(entry.tiles for entry in done), sum(entry.seconds for entry in done)
    skipped = len(batch.entries) - len(batch.todo)
    already = f"{_number(skipped, 'file')} already done before. " if skipped else ""
    if not done:
        return f"{already}Nothing new was classified."
    unit = "picture" if batch.settings.mode == "whole" else "tile"
    rate = f" ({tiles / seconds:,.0f} {unit}s/s)" if tiles > seconds > 0 else ""
    return (
        f"{already}{_number(len(done), 'file')} classified with {batch.model.card.name} on {batch.record.device}: "
        f"{_number(tiles, unit)} in {seconds:,.1f} s{rate}."
    )


def _counts(batch: Batch) -> list[str]:
    """How many micrographs are of each category, and of tiles also its share of their area, most frequent first."""
    rows = [row for entry in batch.entries for row in entry.rows if not row.error]
    counts = Counter(row.category for row in rows)
    areas = {
        name: sum(row.fractions[index] for row in rows) / len(rows) if rows else 0.0
        for index, name in enumerate(batch.record.answers)
    }
    whole = batch.settings.mode == "whole"
    names = sorted((n for n in areas if counts[n] or (areas[n] and not whole)), key=lambda n: (-counts[n], -areas[n]))
    width = max((len(name) for name in names), default=0)
    counted = {
        name: "" if len(rows) == 1 and not whole else f"{_number(counts[name], 'micrograph'):>15}" for name in names
    }
    area = {name: "" if whole else f"  {100 * areas[name]:5.1f} % of the area" for name in names}
    return [f"  {name:{width}}  {counted[name]}{area[name]}" for name in names]


def _failures(failed: list[Entry]) -> list[str]:
    if not failed:
        return []
    reasons = [f"  {row.file}: {row.error}" for e in failed for row in e.rows if row.error]
    return [f"{_number(len(failed), 'file')} failed:", *reasons]


def _notes(batch: Batch) -> list[str]:
    """What to know about how pixels were chosen, once for each file."""
    notes = {f"  {entry.file}: {row.note}" for entry in batch.entries for row in entry.rows if row.note}
    more = [f"  and {len(notes) - _NOTES:,} more (see {RECORD_NAME})"] if len(notes) > _NOTES else []
    return ["Note:", *sorted(notes)[:_NOTES], *more] if notes else []


def _places(batch: Batch) -> list[str]:
    each = ".overlay.png" if batch.settings.mode == "whole" else ".overlay.png, .tiles.csv and .geojson"
    both = ", summary.parquet" if parquet_is_known() else " (summary.parquet, too, with pip install pyarrow)"
    return [f"Results in {text_of_path(batch.out)}: summary.csv{both} and run.json; for each micrograph {each}."]


def _caution(batch: Batch) -> list[str]:
    card = batch.model.card
    return [starter_caution(card)] if card.name == "starter" else []


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
