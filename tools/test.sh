#!/usr/bin/env bash
# Sets everything up and runs all checks: style, types, tests, and the tests once more on the built wheel.
# SEMCLASS_VENV names the virtual environment to make or use (default: .venv-test).
# SEMCLASS_TEST_DATA names a folder of real SEM images; tests that need it are skipped without it.

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

# One thread each: two test runs go side by side.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# beside_core "PYTEST ARGUMENTS" COMMAND...: run core tests without a display, and a command beside them; both to their end.
beside_core() {
    local chosen core status=0
    read -ra chosen <<<"$1"
    shift
    headless "$python" -m pytest "${chosen[@]}" >"$scratch/core.txt" 2>&1 &
    core=$!
    "$@" || status=$?
    wait "$core" || status=$?
    cat "$scratch/core.txt"
    return "$status"
}

say "== Installing; the first time this downloads several GB, most of it PyTorch"
"$python" -m pip install --quiet --editable '.[all,test,dev]'

say "== Style and types"
# Named, because without a .git folder ruff would also look into environments and what pip left in build/.
sources=(napari_semclass training tests benchmarks tools docs/conf.py docs/_extensions)
"$python" -m ruff check "${sources[@]}"
"$python" -m ruff format --check "${sources[@]}"
"$python" -m mypy

say "== Known vulnerabilities of what users get"
"$python" tools/audit.py >&2

say "== Viewer tests, in a window, and core tests, without a display"
beside_core tests/core in_window "$python" -m pytest tests/viewer
say "== Notebook tests, in a browser without a window"
headless "$python" -m pytest tests/notebook

if git rev-parse --git-dir >/dev/null 2>&1; then # what it works on is a copy of what git knows
    say "== Some changes to the core that tests should notice; benchmarks/mutants.py tries all of them"
    headless "$python" benchmarks/mutants.py --only grid rejection --sample 10 --least 70 --jobs 2 \
        >"$scratch/mutants.txt" 2>&1 || { cat "$scratch/mutants.txt" >&2; exit 1; }
    grep -E '^(module|classify)' "$scratch/mutants.txt" >&2
fi

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
# Not all over again: what reads files of the package, and the main job from its parts to the command.
main_job="tests/core/model tests/core/samples tests/core/downloads tests/core/classify tests/core/test_cli.py"
beside_core "$main_job" in_window "$python" -m pytest tests/viewer/test_manifest.py tests/viewer/test_dock.py
headless "$python" -m pytest tests/notebook/test_lab.py
headless "$(dirname "$python")/semclass" demo --out demo >/dev/null
test -s demo/synthetic_mosaic.overlay.png
say "== All well"
