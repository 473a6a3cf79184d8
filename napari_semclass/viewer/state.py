"""What the dock is doing, as one evented object that its panels listen to."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar

from psygnal import SignalGroupDescriptor


class Phase(Enum):
    """The dock does one thing at a time."""

    IDLE = auto()
    RUNNING = auto()
    STOPPING = auto()


@dataclass
class DockState:
    """Evented: `state.events.phase`, `.message`, `.done` … fire when a value changes.

    `message` is the one sentence about what happened last; `problem` whether it is bad news. `done` of `total`
    tiles and `rate` (tiles per second) describe the run.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()
    phase: Phase = Phase.IDLE
    message: str = ""
    problem: bool = False
    done: int = 0
    total: int = 0
    rate: float = 0.0

    def say(self, message: str, *, problem: bool = False) -> None:
        """Replace the sentence about what happened last."""
        self.problem = problem
        self.message = message


def problem_style(theme: str) -> str:
    """The style of a sentence about a problem, at least 4.5:1 on the backgrounds of napari's themes."""
    return f"color: {'#a23c10' if theme == 'light' else '#f0905c'};"
