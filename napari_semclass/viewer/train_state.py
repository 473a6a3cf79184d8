"""What the Train tab is doing, as one evented object that its panels listen to."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar

from psygnal import SignalGroupDescriptor


class TrainPhase(Enum):
    """It does one thing at a time."""

    IDLE = auto()
    PREPARING = auto()
    RUNNING = auto()
    STOPPING = auto()


@dataclass
class TrainState:
    """Evented. `name` is the model being trained or shown; `missing` why none can be trained now, as a sentence."""

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()
    phase: TrainPhase = TrainPhase.IDLE
    name: str = ""
    missing: str = ""
