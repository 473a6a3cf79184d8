"""`semclass audit`: says what a data set is like before anything is learned from it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semclass.cli import output
from napari_semclass.errors import OutputError
from napari_semclass.names import text_of_path

if TYPE_CHECKING:
    from napari_semclass.learn.audit import Audit
    from napari_semclass.learn.labels import LabelCheck

_AUDIT = """\
Check a folder of labelled pictures before training.

DIR holds one folder of pictures per category, or train/ and valid/ with such folders, or a manifest.csv with the
columns path and class, and optionally group, part, y0, x0, y1, x1, pixel_size, licence and source.

With --labels, labels that are likely wrong are listed, too: those that classifiers which never saw a picture's group
confidently contradict, and near-duplicates with different labels.
"""
_AUDIT_NAME = "audit.json"
_SHOWN = 20  # suspects in the terminal; the file has all


def add_audit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `semclass audit` to the commands."""
    parser = commands.add_parser(
        "audit",
        help="check a folder of labelled pictures",
        description=_AUDIT,
        epilog="Exit status: 0 audited, 2 there is nothing to audit.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(func=audit)
    add = parser.add_argument
    add("data", metavar="DIR", help="folder of labelled pictures")
    add(
        "--out",
        metavar="FILE|DIR",
        help="also write everything that was found to this JSON file; with --labels, a folder that gets audit.json and "
        "labels.csv",
    )
    add("--labels", action="store_true", help="look for wrong labels, too")
    add(
        "--model",
        default="starter",
        metavar="NAME|FILE",
        help="by whose features labels are compared (default: starter)",
    )
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help="where to compute (default: auto)")


def audit(options: argparse.Namespace) -> int:
    """Audit the folder that the options name and print what was found; return the exit status."""
    # Loaded when needed: --help must not wait for SciPy.
    from napari_semclass.learn.audit import audit
    from napari_semclass.learn.dataset import read_dataset

    dataset = read_dataset(options.data)
    checked = None
    with output.progress_bar() as shown:
        task = shown.add_task("looking at pictures", total=None)

        def update(what: str, done: int, total: int) -> None:
            shown.update(task, description=what, completed=done, total=total)

        found = audit(dataset, lambda done, total: update("looking at pictures", done, total))
        if options.labels:
            from napari_semclass.learn.labels import check_labels
            from napari_semclass.model import load_model

            model = load_model(options.model)
            checked = check_labels(dataset, model, audited=found, device=options.device, progress=update)
    output.result("\n".join(found.sentences()))
    if checked is not None:
        output.result("\n".join([*checked.sentences(), *_suspects(checked)]))
    if options.out:
        _save(Path(options.out), found, checked)
    else:
        output.check_delivered()
    return 0


def _suspects(checked: "LabelCheck") -> list[str]:
    """The most doubtful labels as lines of a table."""
    lines = [
        (
            f"{number}.",
            checked.dataset.name(one.picture),
            f"{one.picture.category} -> {one.suggested}",
            "" if one.confidence is None else f"{100 * one.confidence:.0f} %",
            one.reason + (f": {', '.join(one.alike)}" if one.alike else ""),
        )
        for number, one in enumerate(checked.suspects[:_SHOWN], start=1)
    ]
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(4)]
    table = [
        "  ".join([*(text.ljust(width) for text, width in zip(line, widths, strict=False)), line[4]]) for line in lines
    ]
    more = len(checked.suspects) - _SHOWN
    return [*table, f"{more:,} more: name a folder with --out for the list."] if more > 0 else table


def _save(out: Path, found: "Audit", checked: "LabelCheck | None") -> None:
    from napari_semclass.learn.audit import save_audit

    if checked is None:
        save_audit(found, out)
        output.result(f"Everything that was found is in {text_of_path(out)}.")
        return
    from napari_semclass.learn.labels import LABELS_NAME, save_labels

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{out}: with --labels this is a folder for the results; it cannot be made ({error.strerror})."
        ) from error
    save_audit(found, out / _AUDIT_NAME)
    save_labels(checked, out / LABELS_NAME)
    output.result(f"Everything that was found is in {text_of_path(out)}: {LABELS_NAME} and {_AUDIT_NAME}.")
