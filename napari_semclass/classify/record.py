"""What a batch leaves behind: run.json says how and from what results were made; the summaries are drawn from it."""

import re
from collections.abc import Iterator
from dataclasses import asdict, field, replace
from pathlib import Path, PurePath
from typing import Any, Literal, Self

from pydantic import (
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass

from napari_semclass.classify.parquet import write_parquet
from napari_semclass.classify.rejection import recorded, rejection_of
from napari_semclass.classify.settings import Precision, Settings
from napari_semclass.classify.tables import length_cell, write_csv
from napari_semclass.errors import OutputError
from napari_semclass.model.card import Card
from napari_semclass.names import path_of_text, text_of_path
from napari_semclass.writing import replacing

RECORD_NAME, SUMMARY_NAME, PARQUET_NAME = "run.json", "summary.csv", "summary.parquet"
FORMAT: Literal[1] = 1

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_PLANE = re.compile(r"(#\d+)?")  # the end of a row's name: the plane of a stack


def leads_away(stem: str, kind: type[PurePath] = PurePath) -> bool:
    """Whether a name, as this system reads it (`kind`), is no place below a folder: `..`, an absolute path, a drive."""
    path = kind(stem)
    return bool(path.anchor) or ".." in path.parts or "\0" in stem


@dataclass(config=_STRICT)
class Row:
    """What was found in one plane, or why nothing was: a line of the summaries."""

    file: str
    category: str = ""
    confidence: float | None = None
    probabilities: list[float] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)
    pixel_size_m: float | None = None
    pixel_size_source: str = ""
    error: str = ""
    note: str = ""


@dataclass(config=_STRICT)
class Entry:
    """One input: what it was when it was classified, where its outputs are, and what came out.

    `stem` names its outputs, relative to the output folder. `size` (bytes) and `mtime_ns` tell whether it changed.
    `rows` has one row per plane; `seconds` is how much longer the batch took for it: files
    overlap, and these add up to the time of all.
    """

    file: str
    path: str
    relative: str
    stem: str
    status: Literal["pending", "done", "failed"] = "pending"
    size: int = 0
    mtime_ns: int = 0
    seconds: float = 0.0
    tiles: int = 0
    rows: list[Row] = field(default_factory=list)

    @field_validator("path", "relative", "stem")
    @classmethod
    def _as_path(cls, path: str, info: ValidationInfo) -> str:
        # JSON is Unicode, file names are what the locale makes of bytes.
        return path_of_text(path) if info.mode == "json" else path

    @field_validator("stem")
    @classmethod
    def _stays_inside(cls, stem: str) -> str:
        if leads_away(stem):
            raise ValueError("leaves the output folder")
        return stem

    @model_validator(mode="after")
    def _planes_are_its_own(self) -> Self:
        if not all(_PLANE.fullmatch(row.file.removeprefix(self.file)) for row in self.rows):
            raise ValueError("names rows of another file")
        return self

    @field_serializer("path", "relative", "stem")
    def _as_text(self, path: str) -> str:
        return text_of_path(path)


@dataclass(config=_STRICT)
class Record:
    """All of run.json. Seconds and tiles are the sums over its files, whichever run classified them.

    `cluster` says which workers the last run used; empty where its own process did the work.
    """

    versions: dict[str, str]
    device: str
    precision: str
    model: dict[str, str]
    settings: dict[str, Any]
    categories: list[str]
    started: str
    finished: str | None = None
    seconds: float = 0.0
    tiles: int = 0
    tiles_per_second: float = 0.0
    files: list[Entry] = field(default_factory=list)
    unknown: str = ""
    cluster: str = ""
    runtime: str = ""
    format: Literal[1] = FORMAT

    @property
    def answers(self) -> list[str]:
        """The categories, and after them what is unknown is called, where it is said."""
        return [*self.categories, self.unknown] if self.unknown else self.categories

    def made_like(self, other: "Record") -> bool:
        """Whether model and settings agree in all that decides results; device and batch size do not."""
        # What a record of an earlier version does not name was not done then.
        decisive = {"mode": "", "tile": 0, "stride": 0, "dihedral": False, "keep_data_bar": False, "reject": "off"}
        same_settings = all(
            self.settings.get(name, absent) == other.settings.get(name, absent) for name, absent in decisive.items()
        )
        precisions = {record.settings.get("precision", "auto") for record in (self, other)} - {"auto"}
        return same_settings and len(precisions) < 2 and self.model.get("sha256") == other.model.get("sha256")

    def save(self, out: Path) -> None:
        """Write run.json, then summary.csv and, with pyarrow, summary.parquet, each whole or not at all.

        Raises
        ------
        OutputError
            When they cannot be written.
        """
        self.seconds = round(sum(entry.seconds for entry in self.files), 3)
        self.tiles = sum(entry.tiles for entry in self.files)
        self.tiles_per_second = round(self.tiles / self.seconds, 2) if self.seconds else 0.0
        with replacing(out / RECORD_NAME) as temporary:
            temporary.write_bytes(_RECORDS.dump_json(self, indent=1))
        names = self.categories
        header = ["file", "category", "confidence", *(f"prob_{n}" for n in names)]
        header += [f"fraction_{name}" for name in self.answers]
        header += ["pixel_size_m", "pixel_size_source", "error", "note"]
        size = header.index("pixel_size_m")
        cells = ([*line[:size], length_cell(line[size]), *line[size + 1 :]] for line in self._lines())
        write_csv(out / SUMMARY_NAME, header, cells)
        write_parquet(
            out / PARQUET_NAME, ("file", "category", "pixel_size_source", "error", "note"), header, self._lines()
        )

    def _lines(self) -> Iterator[list[Any]]:
        no_shares, no_fractions = [None] * len(self.categories), [None] * len(self.answers)
        for entry in self.files:
            for row in entry.rows:
                shares = [*(row.probabilities or no_shares), *(row.fractions or no_fractions)]
                scale = row.pixel_size_m, row.pixel_size_source
                yield [row.file, row.category, row.confidence, *shares, *scale, row.error, row.note]


_RECORDS = TypeAdapter(Record)


def load_record(out: Path) -> Record | None:
    """Read run.json of an output folder; None when there is none.

    Raises
    ------
    OutputError
        When it is there but damaged or of another version of this program.
    """
    path = out / RECORD_NAME
    try:
        return _RECORDS.validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except ValidationError as error:
        raise OutputError(
            f"{path}: was not written by this version of the program or is damaged, so what is done cannot be told; "
            "choose another output folder or overwrite (--overwrite)."
        ) from error


_SHORT: dict[str, Precision] = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def as_before(settings: Settings, out: Path) -> Settings:
    """The settings with the precision and runtime that an earlier run in the folder used, where none are asked for."""
    if settings.precision != "auto":
        return settings
    try:
        earlier = load_record(out)
    except OutputError:
        return settings  # the batch says what is wrong with it
    if earlier is None:
        return settings
    settings = replace(settings, precision=_SHORT.get(earlier.precision, "auto"))
    if settings.runtime == "auto" and earlier.runtime:
        settings = replace(settings, runtime="openvino" if earlier.runtime.startswith("OpenVINO") else "torch")
    return settings


def resolved(settings: Settings, card: Card) -> dict[str, Any]:
    """The settings with defaults filled in from the card, so that equal results mean equal settings."""
    values = asdict(settings) | {"reject": recorded(rejection_of(settings.reject, card))}
    if settings.mode == "whole":
        return values | {"tile": None, "stride": None, "tile_um": None, "stride_um": None}
    if settings.tile_um is not None:
        return values | {"stride_um": settings.stride_um or settings.tile_um}
    tile = settings.tile or card.tile
    # With the model's own micrometres, pixels are for micrographs whose pixel size is not known.
    return values | {
        "tile": tile,
        "stride": settings.stride or tile,
        "tile_um": settings.tile_length(card),
    }
