"""`python -m semclass_training RUN_FOLDER`: carry out the run that a folder describes."""

import argparse
import sys
from contextlib import suppress

import psutil

from napari_semclass.errors import SemclassError
from napari_semclass.learn.run import Run
from napari_semclass.memory import keep_freed_memory
from napari_semclass.process import begin_process, on_ending_signals


def main() -> int:
    """Train; return the exit status: 0 done, 2 failed, 3 stopped (it can be resumed).

    A signal that ends processes, such as a batch system's SIGTERM, stops it as the stop file does.
    """
    begin_process()
    keep_freed_memory()
    arguments = argparse.ArgumentParser("python -m semclass_training", description=__doc__)
    arguments.add_argument("folder", help="folder of a run: plan.toml and task.toml, as `semclass train` makes it")
    arguments.add_argument("--dry-run", action="store_true", help="end before learning, with the predicted minutes")
    arguments.add_argument("--find-lr", action="store_true", help="end before learning, with a learning rate to take")
    options = arguments.parse_args()
    run = Run(options.folder)
    on_ending_signals(lambda number: _ask_to_stop(run))
    from semclass_training.train import train  # takes seconds, in which it can be stopped already

    try:
        begun = psutil.Process().create_time()
        done = train(run, dry_run=options.dry_run, find_lr=options.find_lr, since=begun)
        return 0 if done else 3
    except SemclassError as error:
        print(f"semclass_training: error: {error}", file=sys.stderr)
        return 2


def _ask_to_stop(run: Run) -> None:
    with suppress(OSError):  # on a full disk its name alone is enough
        run.ask("stop")


if __name__ == "__main__":
    sys.exit(main())
