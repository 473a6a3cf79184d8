"""`semclass audit`: says what a data set is like before anything is learned from it."""

import argparse
from pathlib import Path

_AUDIT = """\
Check a folder of labelled pictures before training.

DIR holds one folder of pictures per category, or train/ and valid/ with such folders, or a manifest.csv with the
columns path and class, and optionally group, part, y0, x0, y1, x1, pixel_size and licence.
"""


def add_audit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `semclass audit` to the commands."""
    add = commands.add_parser(
        "audit",
        help="check a folder of labelled pictures",
        description=_AUDIT,
        epilog="Exit status: 0 audited, 2 there is nothing to audit.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).add_argument
    add("data", metavar="DIR", help="folder of labelled pictures")
    add("--out", metavar="FILE", help="also write everything that was found to this JSON file")


def audit(options: argparse.Namespace) -> int:
    """Audit the folder that the options name and print what was found; return the exit status."""
    # Loaded when needed: --help must not wait for SciPy.
    from rich.console import Console
    from rich.progress import Progress

    from napari_semclass.learn.audit import audit, save_audit
    from napari_semclass.learn.dataset import read_dataset

    dataset = read_dataset(options.data)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("looking at pictures", total=None)
        found = audit(dataset, lambda done, total: shown.update(task, completed=done, total=total))
    print("\n".join(found.sentences()))
    if options.out:
        save_audit(found, Path(options.out))
        print(f"Everything that was found is in {options.out}.")
    return 0
