"""`python -m semclass_training RUN_FOLDER`: carry out the run that a folder describes."""

import argparse
import sys

import psutil

from napari_semclass.errors import SemclassError
from napari_semclass.learn.run import Run
from napari_semclass.memory import keep_freed_memory
from semclass_training.train import train


def main() -> int:
    """Train; return the exit status: 0 done, 2 failed, 3 stopped (it can be resumed)."""
    keep_freed_memory()
    arguments = argparse.ArgumentParser("python -m semclass_training", description=__doc__)
    arguments.add_argument("folder", help="folder of a run: plan.toml and task.toml, as `semclass train` makes it")
    arguments.add_argument("--dry-run", action="store_true", help="end before learning, with the predicted minutes")
    arguments.add_argument("--find-lr", action="store_true", help="end before learning, with a learning rate to take")
    options = arguments.parse_args()
    try:
        begun = psutil.Process().create_time()
        done = train(Run(options.folder), dry_run=options.dry_run, find_lr=options.find_lr, since=begun)
        return 0 if done else 3
    except SemclassError as error:
        print(f"semclass_training: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
