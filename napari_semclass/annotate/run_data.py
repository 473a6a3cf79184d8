"""Marks as the data of a training run: its data set, the plan that suits it, and where its tiles are in the viewer."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as strict_dataclass

from napari_semclass.annotate.collect import LabelledTiles
from napari_semclass.annotate.dataset import write_dataset
from napari_semclass.learn.dataset import DataSet, read_dataset
from napari_semclass.learn.plan import Held, Plan
from napari_semclass.names import text_of_path
from napari_semclass.writing import json_text, replacing

_DATA, _NOTE = "data", "marks.json"  # within the run's folder


@strict_dataclass(frozen=True, config=ConfigDict(extra="ignore"))
class MarksNote:
    """What the viewer knows of a run's data, beside the data set.

    Parameters
    ----------
    tested : str
        How a model of these marks is tested, or why it cannot be; starts in lower case, without a full stop.
    advice : tuple of str
        What to mark so that it can be.
    places : dict of str to (str, int)
        Source (its id) and plane that each file of the data set shows.
    """

    tested: str = ""
    advice: tuple[str, ...] = ()
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)


_NOTES = TypeAdapter(MarksNote)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What to learn from: marks, a folder of labelled pictures, or both; not None together."""

    marks: LabelledTiles | None
    folder: DataSet | None

    def suited(self, plan: Plan) -> Plan:
        """The plan as the marks need it: their tiles as they are, and nothing held out where nothing can be tested."""
        if self.marks is None:
            return plan
        tile, tile_um = self.marks.tile, self.marks.tile_um
        plan = replace(plan, unit="tile", tile=tile, stride=tile, tile_um=tile_um, stride_um=None)
        untestable = self.marks.grouping.level == "none" and self.folder is None
        return replace(plan, held=Held(share=0.0)) if untestable else plan

    @property
    def colors(self) -> tuple[tuple[str, str], ...]:
        """Categories of the marks with their colours."""
        return tuple((item.name, item.color) for item in self.marks.used) if self.marks is not None else ()

    def write(self, run_folder: Path) -> Path:
        """The folder of the data set: the user's own, or where there are marks one written into the run's folder.

        Raises
        ------
        SettingsError, OutputError, MicrographError
            As `write_dataset`.
        """
        marks = self.marks
        if marks is None:
            assert self.folder is not None  # noqa: S101 - by construction
            return self.folder.folder
        discard_data(run_folder)
        data = write_dataset(marks, run_folder / _DATA, self.folder)
        owners = [
            marks.source_index[marks.grouping.kept & (marks.source_index == i)] for i in range(len(marks.sources))
        ]
        # Rows of the manifest are in the order of the sources; imported pictures follow.
        sources = [marks.sources[index] for own in owners for index in own.tolist()]
        files = [text_of_path(picture.path.absolute()) for picture in read_dataset(data).pictures]
        note = {
            "tested": marks.grouping.sentence,
            "advice": list(marks.grouping.advice),
            "places": {path: (source.id, source.plane) for path, source in zip(files, sources, strict=False)},
        }
        with replacing(run_folder / _NOTE) as temporary:
            temporary.write_text(json_text(note), encoding="utf-8")
        return data


def discard_data(run_folder: Path) -> None:
    """Remove the data set that was written into a run's folder, such as one that a crash has left half done."""
    shutil.rmtree(run_folder / _DATA, ignore_errors=True)


def read_note(run_folder: Path) -> MarksNote:
    """What was noted with the data of a run; empty for a run that learns from a folder only."""
    try:
        return _NOTES.validate_json((run_folder / _NOTE).read_bytes())
    except (OSError, ValidationError):
        return MarksNote()
