"""Everything the commands print goes through here: results to stdout, messages to stderr.

Nothing here raises: `main` makes both streams unfailing (`napari_semclass.process`), so work never ends because of what
cannot be printed. What an encoding does not know is printed with backslashes.
"""

import os
import sys
from typing import TYPE_CHECKING

from napari_semclass.errors import OutputError, brief
from napari_semclass.process import lost_output

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

# A table for a file or a pipe has no width to keep to; in a terminal that is narrower than this, its lines are broken.
_WIDE, _NARROW = 1000, 40


def result(text: str) -> None:
    """Print what a command found or made, on stdout."""
    print(text, flush=True)


def message(text: str) -> None:
    """Print how a command goes, or what went wrong, on stderr."""
    print(text, file=sys.stderr, flush=True)


def is_live() -> bool:
    """Whether stderr is a terminal on which a line can be written over."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def progress_bar(*columns: "ProgressColumn") -> "Progress":
    """A bar on stderr, which shows itself only where `is_live`; its console prints lines above it."""
    from rich.console import Console  # loaded when needed: --help must not wait
    from rich.progress import Progress

    live = is_live()
    console = Console(stderr=True, highlight=False, force_terminal=live)
    # Results go where stdout goes, which may be a file, also while a bar is shown.
    return Progress(*columns, console=console, transient=True, redirect_stdout=False, disable=not live)


def table_console() -> "Console":
    """For tables, on stdout."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    console = Console(highlight=False, force_terminal=terminal)
    console.width = max(console.width, _NARROW) if terminal else _WIDE
    return console


def printable(text: str) -> str:
    """A text as stderr shows it, so that its width is known: with backslashes for what its encoding does not know."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def check_delivered() -> None:
    """See to it that all results were printed: for commands that leave nothing else.

    A reader that has gone, such as `head`, has read what it wanted.

    Raises
    ------
    OutputError
        When they were not, as on a full disk.
    """
    if (error := lost_output()) is not None:
        raise OutputError(f"the result could not be printed ({error.strerror or brief(error)}).") from error


def mention_loss() -> None:
    """Say that results were not printed: for commands that have them in files as well."""
    if (error := lost_output()) is not None:
        message(f"semclass: the output could not be printed ({error.strerror or brief(error)}).")
