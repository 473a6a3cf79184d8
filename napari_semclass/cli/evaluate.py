"""`semclass evaluate`: judges a model on labelled pictures and writes the report."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semclass.cli import output
from napari_semclass.cli.arguments import positive
from napari_semclass.names import text_of_path

if TYPE_CHECKING:
    from napari_semclass.learn.evaluate import Evaluation, Progress

_DESCRIPTION = """\
Judge a model on labelled pictures: folders named like its categories, or a manifest.csv (path,class,group).

DIR gets metrics.json, charts (.png) and report.html, which holds all of it. Pictures are cut into tiles as the model
was made for them. Intervals are over groups: name the specimen of each picture in manifest.csv to have honest ones.
"""
_EXIT = "Exit status: 0 all well, 2 nothing could be done, 130 stopped."


def add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate",
        help="judge a model on labelled pictures",
        description=_DESCRIPTION,
        epilog=_EXIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(func=evaluate)
    add = parser.add_argument
    add("model", metavar="MODEL", help="name (see semclass models) or file of a model")
    add("data", metavar="DATA", help="folder of labelled pictures")
    add("--out", required=True, metavar="DIR", help="folder for the results; made when it is not there")
    add("--run", metavar="DIR", help="folder of the training run, to show its learning curves")
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help="where to compute (default: auto)")
    add("--batch", type=positive, metavar="N", help="tiles computed at once; halved by itself when memory runs out")


def evaluate(options: argparse.Namespace) -> int:
    """Evaluate what the options name; return the exit status."""
    # Here, as the parser is made for every command and must not wait for torch.
    from napari_semclass.learn.evaluate import evaluate_model
    from napari_semclass.learn.report import write_report
    from napari_semclass.model import load_model

    epochs = _epochs(Path(options.run)) if options.run else []
    model = load_model(options.model)
    with _shown() as update:
        found = evaluate_model(
            model, options.data, options.out, device=options.device, batch=options.batch, progress=update
        )
    path = write_report(found, options.out, epochs)
    output.result("\n".join(_summary(found, path)))
    return 0


def _epochs(folder: Path) -> list[dict[str, object]]:
    """Epochs of a training run; one that was done again after a crash counts once."""
    from napari_semclass.errors import SettingsError
    from napari_semclass.learn.events import EpochDone, read_events
    from napari_semclass.learn.run import Run

    events = [event for _, event in read_events(Run(folder).events_file)]
    epochs = {event.epoch: asdict(event) for event in events if isinstance(event, EpochDone)}
    if not epochs:
        raise SettingsError(f"{folder}: is not the folder of a training run that has finished an epoch.")
    return [epochs[number] for number in sorted(epochs)]


def _summary(found: "Evaluation", path: Path) -> list[str]:
    from napari_semclass.learn.metrics import percent
    from napari_semclass.learn.report import headline

    metrics, claim = found.metrics, found.random_split
    lines = [headline(found), *(f"Caution: {text}" for text in found.warnings)]
    if metrics.per_image is not metrics.scores:
        whole = metrics.per_image
        lines.append(
            f"Of whole pictures {percent(whole.accuracy.value)} are right; macro-F1 {whole.macro_f1.value:.3f}."
        )
    scores = metrics.scores
    lines.append(
        f"Calibration error {scores.after.error:.3f} ({scores.before.error:.3f} before temperature "
        f"{metrics.temperature:.2f})."
    )
    lines.append(claim if isinstance(claim, str) else claim.sentence())
    lines += found.shortcut.sentences()
    return [*lines, f"Results in {text_of_path(path.parent)}: {path.name}, metrics.json and charts (.png)."]


@contextmanager
def _shown() -> Iterator["Progress"]:
    """Show what is being done: a bar in a terminal, a line for each step anywhere else."""
    live, last = output.is_live(), ""
    with output.progress_bar() as shown:
        task = shown.add_task("", total=None)

        def update(what: str, done: int, total: int) -> None:
            nonlocal last
            if what != last and not live:
                output.message(f"{what} ...")
            last = what
            shown.update(task, description=what, completed=done, total=total)

        yield update
