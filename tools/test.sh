#!/usr/bin/env bash
# Sets everything up and runs all checks: style, types, tests, and the tests once more on the built wheel.
# SEMCLASS_VENV names the virtual environment to make or use (default: .venv-test).
# SEMCLASS_TEST_DATA names a folder of real SEM images; tests that need it are skipped without it.
# SEMCLASS_TEST_SEED=1 shuffles the tests, the same way for the same number; without it they keep their order.

source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

venv=${SEMCLASS_VENV:-.venv-test}
SEMCLASS_TEST_DATA=${SEMCLASS_TEST_DATA:-../shared/data}
[ ! -d "$SEMCLASS_TEST_DATA" ] || SEMCLASS_TEST_DATA=$(cd "$SEMCLASS_TEST_DATA" && pwd)
export SEMCLASS_TEST_DATA

need_packages "${window_packages[@]}" xvfb xauth
need_browser
need_python
need_venv "$venv"
python=$(cd "$venv/bin" && pwd)/python
checkout=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# One thread each: two runs go side by side.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

tests=("$python" -m pytest)
if [ -n "${SEMCLASS_TEST_SEED:-}" ]; then
    tests+=(-p randomly "--randomly-seed=$SEMCLASS_TEST_SEED")
    say "== Tests in the random order of SEMCLASS_TEST_SEED=$SEMCLASS_TEST_SEED"
fi

# all_of STEP...: every step, whatever became of those before; fails when one of them did.
all_of() {
    local step status=0
    for step in "$@"; do
        "$step" || { status=1; say "== Failed: $step"; }
    done
    return "$status"
}

# side_by_side "STEP..." "STEP...": the steps of the first list one after the other, and beside them those of the second,
# whose output comes in the end.
side_by_side() {
    local first second other status=0
    read -ra first <<<"$1"
    read -ra second <<<"$2"
    all_of "${second[@]}" >"$scratch/second.txt" 2>&1 &
    other=$!
    all_of "${first[@]}" || status=1
    wait "$other" || status=1
    cat "$scratch/second.txt"
    return "$status"
}

core_tests() { headless "${tests[@]}" tests/core; }
types() { "$python" -m mypy; }
viewer_tests() { in_window "${tests[@]}" tests/viewer; }
notebook_tests() { headless "${tests[@]}" tests/notebook; }

# Some changes to the core that tests should notice; benchmarks/mutants.py tries all of them.
mutants() {
    git rev-parse --git-dir >/dev/null 2>&1 || return 0 # what it works on is a copy of what git knows
    headless "$python" benchmarks/mutants.py --only grid rejection --sample 10 --least 70 >"$scratch/mutants.txt" 2>&1 ||
        { cat "$scratch/mutants.txt"; return 1; }
    grep -E '^(module|classify)' "$scratch/mutants.txt"
}

# Not all over again: what reads files of the package, and the main job from its parts to the command.
wheel_core_tests() {
    headless "${tests[@]}" -m "not slow" tests/core/{model,samples,downloads,classify,test_cli.py}
}
wheel_viewer_tests() { in_window "${tests[@]}" tests/viewer/test_manifest.py tests/viewer/test_dock.py; }
wheel_notebook_tests() { headless "${tests[@]}" tests/notebook/test_lab.py; }
wheel_demo() {
    headless "$(dirname "$python")/semclass" demo --out demo >/dev/null && test -s demo/synthetic_mosaic.overlay.png
}

say "== Installing; the first time this downloads several GB, most of it PyTorch"
"$python" -m pip install --quiet --editable '.[all,test,dev]'

say "== Style"
# Named, because without a .git folder ruff would also look into environments and what pip left in build/.
sources=(napari_semclass training tests benchmarks tools docs/conf.py docs/_extensions)
"$python" -m ruff check "${sources[@]}"
"$python" -m ruff format --check "${sources[@]}"

say "== Known vulnerabilities of what users get"
"$python" tools/audit.py >&2

say "== Types, viewer tests in a window, notebook tests in a browser, some mutants; beside them core tests without a display"
side_by_side "types viewer_tests notebook_tests mutants" core_tests

say "== Tests of the built wheel, outside the checkout"
"$python" -m build --outdir "$scratch/dist" >"$scratch/build.log" 2>&1 || { cat "$scratch/build.log" >&2; exit 1; }
"$python" -m twine check --strict "$scratch"/dist/* >&2
"$python" -m check_wheel_contents "$scratch"/dist/*.whl >&2
"$python" -m npe2 validate napari_semclass/napari.yaml >&2
trap 'cd "$checkout"; "$python" -m pip install --quiet --no-deps --editable .; rm -rf "$scratch"' EXIT
"$python" -m pip install --quiet --no-deps --force-reinstall "$scratch"/dist/*.whl
cp -r tests pyproject.toml "$scratch"
cd "$scratch"
"$python" - "$checkout" <<'CHECK'
import sys
from pathlib import Path

import napari_semclass
import semclass_training

for module in (napari_semclass, semclass_training):
    home = Path(module.__file__).parent
    assert not home.is_relative_to(Path(sys.argv[1]) / "napari_semclass"), f"{home} is in the checkout"
    assert not home.is_relative_to(Path(sys.argv[1]) / "training"), f"{home} is in the checkout"
for name in ("napari.yaml", "py.typed", "downloads/registry.toml", "model/starter/starter.safetensors", "learn/recipes/progressive.toml", "notebook/static/main.js", "notebook/static/widget.css"):
    assert (Path(napari_semclass.__file__).parent / name).is_file(), f"the wheel lacks {name}"
CHECK
side_by_side "wheel_viewer_tests wheel_notebook_tests" "wheel_core_tests wheel_demo"
say "== All well"
