"""The Metadata of a micrograph, and the bounded copy of the tags it was read from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from math import isfinite
from typing import Any

from napari_semclass.errors import brief

Value = str | int | float | bool

# Vendor tags hold some 700 entries of up to 100 characters; what a file claims beyond that is left out.
_MOST_ENTRIES = 1000
_LONGEST_KEY = 100
_LONGEST_VALUE = 300
_LARGEST_WHOLE = 2**53  # beyond it, JSON readers lose digits


class Outcome(StrEnum):
    """How the search for a pixel size ended; every outcome but the first has its own sentence."""

    READ = "read"
    UNUSABLE = "present but unusable"
    NOT_READ = "recognised but not read"
    ABSENT = "absent"


@dataclass(frozen=True)
class Metadata:
    """What is known about a micrograph besides its pixels; nothing by default.

    Parameters
    ----------
    pixel_size : (float, float) or None
        Metres per pixel along y and x; None when it is unknown, impossible or contradictory.
    pixel_size_source : str
        Where it stands, such as `Zeiss AP_IMAGE_PIXEL_SIZE`.
    vendor : str
        Whose format the metadata is in, such as zeiss, fei or jeol; empty for none.
    instrument, detector : str
        Names, empty when unknown.
    voltage : float or None
        Accelerating voltage, volts.
    magnification : float or None
        As the instrument states it.
    working_distance : float or None
        Metres.
    data_bar : (int, int) or None
        Rows `[start, stop)` that the instrument added below the scan.
    raw : mapping
        At most 1,000 of the entries read, as text, numbers and truth values.
    warnings : tuple of str
        What is missing, impossible or contradictory; a sentence each.
    outcome : Outcome
        How the search for a pixel size ended. Where it is "present but unusable" or "recognised but not read",
        one of the warnings says why.
    """

    pixel_size: tuple[float, float] | None = None
    pixel_size_source: str = ""
    vendor: str = ""
    instrument: str = ""
    detector: str = ""
    voltage: float | None = None
    magnification: float | None = None
    working_distance: float | None = None
    data_bar: tuple[int, int] | None = None
    raw: Mapping[str, Value] = field(default_factory=dict, hash=False)
    warnings: tuple[str, ...] = ()
    outcome: Outcome = Outcome.ABSENT

    def __post_init__(self) -> None:
        if self.pixel_size is not None:
            object.__setattr__(self, "outcome", Outcome.READ)

    @property
    def square_pixel_size(self) -> float | None:
        """Metres per pixel where it is the same along y and x, else None."""
        return self.pixel_size[1] if self.pixel_size and self.pixel_size[0] == self.pixel_size[1] else None

    def summary(self) -> dict[str, Any]:
        """Instrument, detector, voltage (V), magnification, working distance (m) and the raw entries, for JSON."""
        return {
            "instrument": self.instrument,
            "detector": self.detector,
            "voltage": self.voltage,
            "magnification": self.magnification,
            "working_distance": self.working_distance,
            "raw": dict(self.raw),
        }


def unusable(reason: str) -> Metadata:
    """Metadata of a file that holds a pixel size that must not be used; `reason` is the sentence."""
    return Metadata(warnings=(reason,), outcome=Outcome.UNUSABLE)


def not_read(vendor: str, title: str) -> Metadata:
    """Metadata of a known format that this version does not read, such as `Fibics metadata (TIFF tag 51023)`."""
    text = f"The pixel size is unknown: the file holds {title}, which this version does not read."
    return Metadata(vendor=vendor, warnings=(text,), outcome=Outcome.NOT_READ)


def guarded(read: Callable[[], Metadata]) -> Metadata:
    """What `read` returns, or only a warning where it fails: odd metadata must not keep pixels from being used."""
    try:
        return read()
    except Exception as error:  # parsers of other libraries raise anything on damaged tags
        return unusable(f"The pixel size is unknown: metadata cannot be read ({brief(error)}).")


def bounded(entries: Mapping[Any, Any]) -> dict[str, Value]:
    """A copy of nested entries with joined keys (`Scan.PixelWidth`), of bounded size, that JSON can hold."""
    return {
        clean(key)[:_LONGEST_KEY]: _plain(value) for key, value in islice(_flat(entries, "", depth=3), _MOST_ENTRIES)
    }


def _flat(entries: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in entries.items():
        name = f"{prefix}{str(key)[:_LONGEST_KEY]}"
        if isinstance(value, Mapping) and depth:
            yield from _flat(value, f"{name}.", depth - 1)
        else:
            yield name, value


def clean(value: Any) -> str:
    """A name on one line, without what a terminal would take for commands; None becomes empty."""
    text = "" if value is None else str(value)[:_LONGEST_VALUE]
    return (text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)).strip()


def _plain(value: Any) -> Value:
    if isinstance(value, bool):
        return value
    if (isinstance(value, int) and abs(value) <= _LARGEST_WHOLE) or (isinstance(value, float) and isfinite(value)):
        return value
    return clean(value)
