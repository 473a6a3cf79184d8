"""What a process of our own does at its start: it gets streams that never fail, and hears the signals that end it.

For the command line and the trainer only; a user's own Python keeps its streams and its signals.
"""

import errno
import io
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, TextIO

# What batch systems send before they kill, a terminal that is closed, and a console of Windows that is.
_ENDING = ("SIGTERM", "SIGHUP", "SIGBREAK")
# `timeout`, shells and batch systems send theirs to a process and again to its group.
_ECHO_S = 5.0
# The exit status of a process that Ctrl-C has ended, in the words of a shell.
CTRL_C = 130
# A pipe whose reader has gone; Windows calls it an invalid argument.
_READER_GONE = (errno.EPIPE, errno.ESHUTDOWN, *([errno.EINVAL] if sys.platform == "win32" else []))


class StopSignal(KeyboardInterrupt):
    """A signal that ends this process in the way of Ctrl-C; `status` is what a shell makes of it, such as 143."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number
        self.status = 128 + number


def is_hangup(stop: KeyboardInterrupt) -> bool:
    """Tell whether a terminal that went away is what stops this process."""
    return isinstance(stop, StopSignal) and stop.number == getattr(signal, "SIGHUP", None)


def begin_process() -> None:
    """Make the standard streams of this process unfailing until its very end, and open those that were closed."""
    _open_closed_descriptors()
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    sys.stdout, sys.stderr = _unfailing(sys.stdout), _unfailing(sys.stderr)


@contextmanager
def unfailing_streams() -> Iterator[None]:
    """Make `sys.stdout` and `sys.stderr` unfailing for the time of the block: what they cannot take is dropped."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _unfailing(sys.stdout), _unfailing(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def lost_output() -> OSError | None:
    """Why not all that was printed on `sys.stdout` has arrived; None as well where nobody wanted to read it."""
    error = getattr(getattr(sys.stdout, "buffer", None), "error", None)
    return error if isinstance(error, OSError) and error.errno not in _READER_GONE else None


def on_ending_signals(react: Callable[[int], None]) -> None:
    """Call `react` with the number of a signal that would end this process, instead of ending it.

    A signal that is ignored stays so, as SIGHUP under `nohup`. One that comes again within seconds is the same one.
    """
    last = -_ECHO_S

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal last
        now = monotonic()
        if now - last >= _ECHO_S:
            last = now
            react(number)

    for name in _ENDING:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, handle)


def stop_here(number: int) -> None:
    """Raise `StopSignal` wherever the process is: for `on_ending_signals`."""
    raise StopSignal(number)


def let_signals_end() -> None:
    """Let the signals of `on_ending_signals` end the process at once again, as an event loop of Qt needs it."""
    for name in _ENDING:
        number = getattr(signal, name, None)
        if number is not None and callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)


def _open_closed_descriptors() -> None:
    """Open the null device in the place of standard streams that are closed: the next file would else become one."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _unfailing(stream: TextIO | Any) -> TextIO:
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper) or isinstance(stream.buffer, _Sink):
        return stream  # such as a notebook's
    with suppress(OSError, ValueError):
        stream.flush()
    raw = getattr(stream.buffer, "raw", stream.buffer)
    return io.TextIOWrapper(_Sink(raw), encoding=stream.encoding, errors="backslashreplace", line_buffering=True)  # type: ignore[type-var]


class _Sink(io.RawIOBase):
    """Passes bytes on, unbuffered, and drops what is not taken; `error` is the first reason why.

    With no buffer nothing is left over that Python would try to write again while it shuts down, and complain about.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def isatty(self) -> bool:
        return not self._raw.closed and bool(self._raw.isatty())

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            try:
                written = self._raw.write(rest)
            except OSError as error:
                self.error = self.error or error
                break
            except ValueError:  # it was closed
                break
            if written is None:  # a full pipe that was opened not to be waited for
                select.select([], [self._raw], [])
                continue
            rest = rest[written:]
        return size
