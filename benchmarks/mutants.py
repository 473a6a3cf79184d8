"""Whether the tests of the pure core notice when it is changed: mutants of its modules, and how many are caught.

    pip install mutmut
    python benchmarks/mutants.py [--only grid prediction] [--sample 20] [--seed 0] [--jobs 1] [--keep FOLDER [--again]]

Works on a copy of the checkout. mutmut changes one operator, number, text or argument of a function at a time and runs
the tests that reach it; a mutant is killed when one of them fails or never ends. Prints for each module how many were
killed, then what the others changed; exit status 1 when a module has fewer than `--least` percent killed. mutmut
needs `fork` (Linux, macOS) and does not change constants of a module or fields of a class.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_CLASSIFY, _LEARN = "tests/core/classify", "tests/core/learn"
_PREDICTION = (f"{_CLASSIFY}/test_prediction.py", f"{_CLASSIFY}/test_show.py", f"{_CLASSIFY}/test_unknown.py")
_SPLIT = (f"{_LEARN}/test_split.py", f"{_LEARN}/test_split_samples.py")
# Each with the tests that are about it: all of them run four times before the first mutant is tried.
_MODULES = {
    "grid": ("napari_semclass/classify/grid.py", (f"{_CLASSIFY}/test_grid.py", *_PREDICTION)),
    "prediction": ("napari_semclass/classify/prediction.py", (f"{_CLASSIFY}/test_grid.py", *_PREDICTION)),
    "rejection": ("napari_semclass/classify/rejection.py", _PREDICTION),
    "split": ("napari_semclass/learn/split.py", _SPLIT),
    "spatial": ("napari_semclass/learn/spatial.py", _SPLIT),
    "card": ("napari_semclass/model/card.py", ("tests/core/model/test_card.py",)),
    "databar": ("napari_semclass/micrograph/databar.py", ("tests/core/micrograph/test_databar.py",)),
}
# The same examples for every mutant, or other survivors would be found each time; what fails need not be shrunk, and
# being slow on a busy machine is no failure.
# dask's threads do not live on in the processes that mutmut forks, so that a test that waits for them would never end.
_PROFILE = """
import dask
from hypothesis import Phase, settings
phases = [Phase.explicit, Phase.generate]
settings.register_profile("mutants", derandomize=True, database=None, deadline=None, phases=phases)
settings.load_profile("mutants")
dask.config.set(scheduler="synchronous")
"""
_KILLED = ("killed", "timeout", "segfault")


def main() -> int:
    """Make mutants, try them, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=_MODULES, default=list(_MODULES), help="modules (default: all)")
    parser.add_argument("--sample", type=int, help="try so many mutants of each module, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=1, help="mutants tried at once")
    parser.add_argument("--least", type=float, default=85, help="percent that must be killed in each module")
    parser.add_argument("--again", action="store_true", help="try only what is not killed yet in the folder of --keep")
    parser.add_argument("--keep", type=Path, help="keep the copy here, and what was tried in it before")
    options = parser.parse_args()
    if options.keep:
        return _judged(options, options.keep)
    with tempfile.TemporaryDirectory() as folder:
        return _judged(options, Path(folder))


def _judged(options: argparse.Namespace, folder: Path) -> int:
    _copy(folder, options.only)
    chosen: list[str] = []
    if options.again:
        chosen = [name for name, state in _results(folder).items() if state not in _KILLED]
    elif options.sample:
        # mutmut names mutants only once it has made them, which it does before it looks for the ones to try.
        _mutmut(folder, "run", "--max-children", "1", "*__mutmut_1", quiet=True)
        for names in _by_module(_results(folder)).values():
            chosen += random.Random(options.seed).sample(sorted(names), min(options.sample, len(names)))  # noqa: S311 - a sample that can be drawn again, no secret
    _mutmut(folder, "run", "--max-children", str(options.jobs), *chosen)
    results = _results(folder)
    kept = {name: state for name, state in results.items() if options.again or not chosen or name in chosen}
    return _report(folder, kept, options.least)


def _copy(folder: Path, modules: list[str]) -> None:
    """Copy what is tracked, or would be, and tell mutmut what to change and how to test it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - whichever git the user has
        cwd=_ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        if (_ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_ROOT / name, folder / name)
    settings = {
        "source_paths": [_MODULES[name][0] for name in modules],
        "pytest_add_cli_args_test_selection": sorted({test for name in modules for test in _MODULES[name][1]}),
        "pytest_add_cli_args": ["-p no:cacheprovider"],
        "also_copy": ["napari_semclass", "training"],
    }
    with (folder / "tests/conftest.py").open("a", encoding="utf-8") as file:
        file.write(_PROFILE)
    with (folder / "setup.cfg").open("a", encoding="utf-8") as file:
        file.write("\n[mutmut]\n")
        for key, values in settings.items():
            file.write(f"{key} =\n" + "".join(f"    {word}\n" for value in values for word in value.split(maxsplit=1)))


def _mutmut(folder: Path, *arguments: str, quiet: bool = False) -> None:
    where = os.environ | {"PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    sink = subprocess.DEVNULL if quiet else sys.stderr
    subprocess.run([sys.executable, "-m", "mutmut", *arguments], cwd=folder, env=where, stdout=sink, check=True)


def _asked(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def _results(folder: Path) -> dict[str, str]:
    """State of each mutant by its name."""
    lines = _asked(folder, "results", "--all", "true").splitlines()
    return dict(line.strip().rsplit(": ", 1) for line in lines if "__mutmut_" in line)


def _by_module(results: dict[str, str]) -> dict[str, list[str]]:
    grouped = defaultdict(list)
    for name in results:
        grouped[name.split(".x", 1)[0]].append(name)
    return grouped


def _report(folder: Path, results: dict[str, str], least: float) -> int:
    status = 0
    survivors = []
    print(f"{'module':34} {'mutants':>8} {'killed':>7} {'(endless)':>9} {'survived':>9} {'untested':>9} {'share':>7}")
    for module, names in _by_module(results).items():
        count = Counter(results[name] for name in names)
        killed = sum(count[state] for state in _KILLED)
        share = 100 * killed / len(names)
        row = f"{len(names):8} {killed:7} {count['timeout']:9} {count['survived']:9} {count['no tests']:9}"
        print(f"{module.removeprefix('napari_semclass.'):34} {row} {share:6.1f}%")
        survivors += [name for name in names if results[name] not in _KILLED]
        status |= share < least
    for name in survivors:
        changed = [line for line in _asked(folder, "show", name).splitlines() if line[:1] in "+-"]
        print("", f"{name} ({results[name]})", *(line for line in changed if line[:3] not in ("+++", "---")), sep="\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
