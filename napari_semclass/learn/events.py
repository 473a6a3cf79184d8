"""Events of a training run: one JSON line each in `events.jsonl`, typed here, written and read in one place.

Every line has `schema` (this module's `SCHEMA`), `seq` (0, 1, 2, … without gaps), `time` (ISO 8601 with zone), `kind`
and the fields of that kind. Lines are only ever added; a reader skips kinds it does not know.
"""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from napari_semclass.writing import json_text

SCHEMA = 1
_CONFIG = ConfigDict(extra="ignore", ser_json_inf_nan="constants")


@dataclass(frozen=True, config=_CONFIG)
class Planned:
    """The run begins: what is learned from, by which plan, on which device."""

    data: str
    out: str
    device: str
    plan: dict[str, Any]
    versions: dict[str, str]
    start_weights: str = ""
    resumed: bool = False
    kind: Literal["plan"] = "plan"


@dataclass(frozen=True, config=_CONFIG)
class Audited:
    """What the data set is like, in sentences."""

    sentences: tuple[str, ...]
    kind: Literal["audit"] = "audit"


@dataclass(frozen=True, config=_CONFIG)
class Divided:
    """How the tiles are divided, and what is to know about it."""

    categories: tuple[str, ...]
    training: tuple[int, ...]
    validation: tuple[int, ...]
    notes: tuple[str, ...] = ()
    kind: Literal["split"] = "split"


@dataclass(frozen=True, config=_CONFIG)
class Estimated:
    """Minutes of each stage, measured on a few batches; and last, where there is one, of the look in the end."""

    minutes: tuple[float, ...]
    kind: Literal["estimate"] = "estimate"


@dataclass(frozen=True, config=_CONFIG)
class Suggested:
    """A learning rate of the classifier for the first stage, by a range test; only when it was asked for."""

    lr: float
    kind: Literal["suggestion"] = "suggestion"


@dataclass(frozen=True, config=_CONFIG)
class StageBegun:
    """A stage begins; `size` in pixels."""

    stage: int
    stages: int
    size: int
    epochs: int
    frozen_epochs: int
    batch: int
    kind: Literal["stage"] = "stage"


@dataclass(frozen=True, config=_CONFIG)
class BatchDone:
    """Now and then: where the epoch is. `left_s` seconds are left of the whole run, as far as can be told."""

    stage: int
    epoch: int
    batch: int
    batches: int
    loss: float
    images_per_second: float
    left_s: float
    kind: Literal["batch"] = "batch"


@dataclass(frozen=True, config=_CONFIG)
class EpochDone:
    """An epoch ended. `epoch` counts from 1 over all stages; shares are of the validation tiles, None without any."""

    stage: int
    size: int
    epoch: int
    epochs: int
    frozen: bool
    train_loss: float
    valid_loss: float | None
    accuracy: float | None
    macro_f1: float | None
    precision: float | None
    recall: float | None
    seconds: float
    images_per_second: float
    lr: float
    kind: Literal["epoch"] = "epoch"


@dataclass(frozen=True, config=_CONFIG)
class CheckpointWritten:
    """The run can be resumed from here; `best` when this is the best model so far."""

    stage: int
    epoch: int
    best: bool
    kind: Literal["checkpoint"] = "checkpoint"


@dataclass(frozen=True, config=_CONFIG)
class Looking:
    """Now and then: how many tiles were looked at in the end, for the last classifier and the figures; seconds left."""

    done: int
    total: int
    left_s: float
    kind: Literal["look"] = "look"


@dataclass(frozen=True, config=_CONFIG)
class Warned:
    """Something to know that did not end the run."""

    sentence: str
    kind: Literal["warning"] = "warning"


@dataclass(frozen=True, config=_CONFIG)
class Finished:
    """The run ended well: the model and what it was measured to do (see `metrics.json` for all of it)."""

    model: str
    sha256: str
    seconds: float
    metrics: dict[str, Any] = Field(default_factory=dict)
    kind: Literal["finished"] = "finished"


@dataclass(frozen=True, config=_CONFIG)
class Stopped:
    """The run was asked to stop and can be resumed."""

    sentence: str
    kind: Literal["stopped"] = "stopped"


@dataclass(frozen=True, config=_CONFIG)
class Failed:
    """The run ended with an error, in one sentence."""

    sentence: str
    kind: Literal["failed"] = "failed"


Event = (
    Planned
    | Audited
    | Divided
    | Estimated
    | Suggested
    | StageBegun
    | BatchDone
    | EpochDone
    | CheckpointWritten
    | Looking
    | Warned
    | Finished
    | Stopped
    | Failed
)
_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


class EventLog:
    """Adds events to a file, each flushed at once, so that whoever follows sees it and a crash loses none."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+", encoding="utf-8")
        self._seq = _mended(path)

    def write(self, event: Event) -> None:
        """Add an event."""
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        line = {"schema": SCHEMA, "seq": self._seq, "time": now, **asdict(event)}
        self._file.write(json_text(line) + "\n")
        self._file.flush()
        self._seq += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _mended(path: Path) -> int:
    """Number of whole lines; a last line that a crash cut short is taken off."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
    return content.count(b"\n")


def read_events(path: Path, start: int = 0) -> Iterator[tuple[int, Event]]:
    """Events from byte `start` on, each with the byte after it; ends at the last whole line.

    What cannot be read as a known event, such as one of a later version, is passed over.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read()
    except FileNotFoundError:
        return
    # Not splitlines: a stray carriage return would end a line that goes on, and everything after it be lost.
    for line in content[: content.rfind(b"\n") + 1].split(b"\n")[:-1]:
        start += len(line) + 1
        try:
            yield start, _EVENTS.validate_json(line)
        except ValidationError:
            continue
