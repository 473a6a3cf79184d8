"""What a finished training run has come to: its model, its figures in words, and how it was tested."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_semclass.annotate.run_data import MarksNote, read_note
from napari_semclass.errors import SettingsError
from napari_semclass.learn.events import Divided, read_events
from napari_semclass.learn.held_out import HeldOutTiles, read_held_out
from napari_semclass.learn.run import Run

_FEW_GROUPS = 10


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run has come to.

    Parameters
    ----------
    run : Run
    model : Path
        The model's file.
    metrics : dict
        As `metrics.json` has them; empty where nothing was held out.
    tiles : HeldOutTiles or None
        Rows of the confusion matrix: tiles, or pictures for a model of whole pictures.
    note : MarksNote
    notes : tuple of str
        What is to know about how it was tested.
    """

    run: Run
    model: Path
    metrics: dict[str, Any]
    tiles: HeldOutTiles | None
    note: MarksNote
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """The model and how good it is, in words."""
        return f"<Outcome: {self.name}: {self.figures()}>"

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.stem

    def figures(self) -> str:
        """How good it is, as a sentence."""
        found = self.metrics
        if not found:
            return " ".join(["Nothing was held out, so how good it is is not known.", *self.note.advice])
        unit = "picture" if found["unit"] == "image" else "tile"
        low, high = found["accuracy_interval"]
        f1_low, f1_high = found["macro_f1_interval"]
        if found["n_groups"] < 2:
            return (
                f"{_percent(found['accuracy'])} of {found['n']:,} held-out {unit}s right, macro-F1 "
                f"{found['macro_f1']:.2f}; all are of one group, so nobody knows how it does on others."
            )
        return (
            f"{_percent(found['accuracy'])} of {found['n']:,} held-out {unit}s right (95 % interval {100 * low:.0f} to "
            f"{100 * high:.0f} %), macro-F1 {found['macro_f1']:.2f} ({f1_low:.2f} to {f1_high:.2f})."
        )

    def tested(self) -> str:
        """How it was tested, as sentences."""
        if not self.metrics:
            return ""
        how = self.note.tested or "tested on groups (specimens, files) that were not learned from"
        groups = self.metrics["n_groups"]
        rough = ["The interval is rough with so few."] if 1 < groups < _FEW_GROUPS else []
        counted = f"{groups} group{'' if groups == 1 else 's'}"
        return " ".join([f"{how[:1].upper()}{how[1:]}: {counted}.", *rough, *self.notes])


def read_outcome(run: Run) -> Outcome:
    """Read what a finished run left.

    Raises
    ------
    SettingsError
        When the folder is no run, or its figures cannot be read.
    """
    _, task = run.load()
    metrics: dict[str, Any] = {}
    tiles = None
    if run.metrics_file.exists():
        try:
            metrics = json.loads(run.metrics_file.read_bytes())
        except (OSError, ValueError) as error:
            raise SettingsError(f"{run.metrics_file}: the figures cannot be read ({error}).") from error
        if run.held_out_file.exists():
            tiles = read_held_out(run.held_out_file)
            tiles = tiles.per_picture() if metrics["unit"] == "image" else tiles
    divided = [event for _, event in read_events(run.events_file) if isinstance(event, Divided)]
    return Outcome(run, Path(task.out), metrics, tiles, read_note(run.folder), divided[-1].notes if divided else ())


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
