"""`semclass train`: makes a run of a plan and a data set, starts it, and shows how it goes."""

import argparse
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semclass.cli import output
from napari_semclass.cli.arguments import model_file
from napari_semclass.errors import OutputError
from napari_semclass.process import is_hangup

if TYPE_CHECKING:
    from napari_semclass.downloads import Download
    from napari_semclass.learn.run import Run

_DESCRIPTION = """\
Train a model on labelled pictures: a folder for each category, train/ and valid/ with such folders, or a manifest.csv
(path,class,group,licence). Pictures are checked first (`semclass audit` shows that alone). What belongs together
(a group, or pictures that look the same) is never both learned from and tested on.

The run has a folder beside the model (MODEL.run) with its plan, events, checkpoint and log. Ctrl-C stops it after the
present batch; --resume goes on from there.
"""
_EXIT = """\
Exit status: 0 the model is written, 1 it was stopped elsewhere, as by the viewer, 2 nothing could be done or training
failed, 130 stopped with Ctrl-C, 143 stopped by SIGTERM. A run that was stopped can be resumed.
"""


def add_train(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a model on labelled pictures",
        description=_DESCRIPTION,
        epilog=_EXIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(func=train)
    add = parser.add_argument
    add("data", metavar="DATA", help="folder of labelled pictures")
    add("--out", required=True, metavar="MODEL", help="model file to write (.safetensors), or a name to find it by")
    add("--recipe", default="progressive", metavar="NAME|FILE", help="recipe or plan file (default: %(default)s)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="change the plan, as in stages.0.epochs=3")
    add("--title", default="", help="what viewers call the model (default: its name)")
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help="where to compute (default: auto)")
    add("--dry-run", action="store_true", help="print plan, data and predicted minutes, and train nothing")
    add("--find-lr", action="store_true", help="suggest a learning rate for the first stage, and train nothing")
    add("--resume", action="store_true", help="go on with a run that was stopped or killed")
    add("--overwrite", action="store_true", help="replace a model or a run that is there already")
    add("--yes", action="store_true", help="download start weights that are missing without asking")


def train(options: argparse.Namespace) -> int:
    """Train as the options say; return the exit status."""
    from napari_semclass.cli.train_progress import show
    from napari_semclass.learn.events import Estimated, Suggested
    from napari_semclass.learn.plan import changed, read_plan
    from napari_semclass.learn.run import Run
    from napari_semclass.retrain import end, fetch_weights, new_task, start

    out = model_file(options.out)
    run = Run(out.with_suffix(".run"))
    if options.resume:
        run.load()
    else:
        plan = changed(read_plan(options.recipe), options.set)
        task = new_task(options.data, out, title=options.title, device=options.device)
        fetch_weights(plan, agree=(lambda download: True) if options.yes else _agreed)
        if options.dry_run or options.find_lr:
            with tempfile.TemporaryDirectory(prefix="semclass-") as folder:
                trial = Run(Path(folder) / "run")
                trial.create(plan, replace(task, out=str(Path(folder) / "model.safetensors")))
                process = start(trial, trial="--find-lr" if options.find_lr else "--dry-run")
                try:
                    return show(trial, process, until=Suggested if options.find_lr else Estimated)
                finally:  # what it still writes goes into a folder that is cleared away here
                    end(process)
        _make_room(run, out, overwrite=options.overwrite)
        run.create(plan, task)
    position = run.events_file.stat().st_size if run.events_file.exists() else 0
    try:
        return show(run, start(run), position=position)
    except KeyboardInterrupt as stop:  # outside of what `show` handles: the process may be there, and nobody follows it
        if not is_hangup(stop):
            run.ask("stop")
        raise


def _make_room(run: "Run", out: Path, *, overwrite: bool) -> None:
    """Refuse to write over a model or a run, or take them away where that is wanted."""
    there = [path for path in (out, run.folder) if path.exists()]
    if there and not overwrite and not (there == [run.folder] and _came_to_nothing(run)):
        raise OutputError(f"{there[0]}: is there already; choose another --out, --resume its run, or use --overwrite.")
    if run.is_alive():
        raise OutputError(f"{run.folder}: this training is still running; stop it first.")
    if run.plan_file.exists():  # only what a run made is removed with its folder
        shutil.rmtree(run.folder)


def _came_to_nothing(run: "Run") -> bool:
    """Whether it failed before anything was learned, as where a folder held no pictures: then it is not in the way."""
    status = run.status()
    failed = status is not None and status.state == "failed"
    return failed and not run.is_alive() and not run.checkpoint.exists()


def _agreed(download: "Download") -> bool:
    """Ask on the terminal; without one, the answer is no."""
    if sys.stdin is None or not sys.stdin.isatty():
        output.message(f"{download.name} would be downloaded; use --yes to agree.")
        return False
    size = f"{download.size_bytes / 1e6:,.0f} MB" if download.size_bytes else "unknown size"
    checked = "" if download.checked else " Its checksum is not known yet and will be recorded."
    output.message(f"Download {download.name} ({size}, {download.licence}) from {download.url}?{checked} [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
