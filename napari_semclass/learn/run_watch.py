"""What is known of a training run from its events: where it is, its curves, its log, and how it ended."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from napari_semclass.learn.event_lines import event_lines
from napari_semclass.learn.events import (
    BatchDone,
    Divided,
    EpochDone,
    Estimated,
    Event,
    Failed,
    Finished,
    Looking,
    Planned,
    StageBegun,
    Stopped,
)
from napari_semclass.learn.units import time_text

_MOST_POINTS = 1000  # of the loss of batches; then every second one is dropped
MOST_LINES = 400  # of the log that are kept


@dataclass
class RunWatch:
    """Told all events of a run in order; a run that was resumed tells some epochs twice, and the later ones count.

    `points` are (epoch, loss) of batches, the epoch with its fraction done; `minutes` those predicted of each stage.
    `lines` are the last ones of the log, `told` how many there were in all.
    """

    device: str = ""
    minutes: tuple[float, ...] = ()
    divided: Divided | None = None
    stage: StageBegun | None = None
    batch: BatchDone | None = None
    look: Looking | None = None
    total: int = 0
    epochs: dict[int, EpochDone] = field(default_factory=dict)
    points: list[tuple[float, float]] = field(default_factory=list)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_LINES))
    told: int = 0
    ended: Literal["", "finished", "stopped", "failed"] = ""
    sentence: str = ""
    finished: Finished | None = None

    def tell(self, event: Event) -> None:
        """Take note of one event."""
        lines = event_lines(event)
        self.lines.extend(lines)
        self.told += len(lines)
        if isinstance(event, Planned):
            self._begin(event)
        elif isinstance(event, Divided):
            self.divided = event
        elif isinstance(event, Estimated):
            self.minutes = event.minutes
        elif isinstance(event, StageBegun):
            self.stage, self.batch = event, None
        elif isinstance(event, BatchDone):
            self.batch = event
            self._add_point(event)
        elif isinstance(event, Looking):
            self.look = event
        elif isinstance(event, EpochDone):
            self.epochs[event.epoch] = event
        elif isinstance(event, Finished):
            self.ended, self.finished = "finished", event
        elif isinstance(event, Stopped | Failed):
            self.ended = "stopped" if isinstance(event, Stopped) else "failed"
            self.sentence = event.sentence

    def _begin(self, event: Planned) -> None:
        self.device, self.ended, self.sentence = event.device, "", ""
        self.stage = self.batch = self.look = self.finished = None
        stages = event.plan.get("stages", ())
        self.total = sum(stage["epochs"] + stage["frozen_epochs"] for stage in stages)

    def _add_point(self, event: BatchDone) -> None:
        at = event.epoch - 1 + event.batch / max(1, event.batches)
        if self.points and at <= self.points[-1][0]:
            self.points = [point for point in self.points if point[0] < at]
        self.points.append((at, event.loss))
        if len(self.points) > _MOST_POINTS:
            self.points = self.points[::2]

    @property
    def done(self) -> float:
        """Share of the plan's epochs that is done, in [0, 1]; of the look at tiles where there are none."""
        if not self.total:
            return self.look.done / max(1, self.look.total) if self.look is not None else 0.0
        done = self.points[-1][0] if self.points else 0.0
        return min(1.0, max(done, max(self.epochs, default=0)) / self.total)

    def where(self) -> str:
        """Where the run is, in words."""
        if self.look is not None:
            return f"Looking at all tiles for the last time, {self.look.done:,} of {self.look.total:,}"
        if self.stage is None:
            fitting = self.device and not self.total and self.divided
            return "Fitting the linear head…" if fitting else "Getting ready: pictures are checked and cut into tiles…"
        if self.done >= 1:
            return "Testing on the tiles that were held out…"
        words = f"Stage {self.stage.stage + 1} of {self.stage.stages} ({self.stage.size} px)"
        if self.batch is None:
            return f"{words} begins…"
        batch = f"batch {self.batch.batch} of {self.batch.batches}"
        return f"{words}, epoch {self.batch.epoch} of {self.total}, {batch}"

    def speed(self) -> str:
        """How fast it goes, where, and how long it will take."""
        if self.look is not None:
            return f"on {self.device} · {time_text(self.look.left_s)} left"
        if self.stage is None or self.batch is None:
            return f"on {self.device}" if self.device else ""
        left = f" · {time_text(self.batch.left_s)} left" if self.batch.left_s else ""
        return f"{self.batch.images_per_second:,.0f} tiles/s on {self.device}{left}"
