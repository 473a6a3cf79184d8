"""The arrows between the rooms, and what an import may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import napari_semclass

PACKAGE = Path(napari_semclass.__file__).parent
# A room may import the rooms below it, and itself. Only the command line knows the viewer: its demo opens one.
MAY_IMPORT = {
    "errors": set(),
    "memory": set(),
    "process": set(),
    "writing": {"errors"},
    "micrograph": {"errors"},
    "showing": set(),
    "model": {"errors", "writing", "showing"},
    "downloads": {"errors"},
    "samples": {"errors", "downloads"},
    "classify": {"errors", "writing", "showing", "micrograph", "model", "memory"},
    "learn": {"errors", "writing", "showing", "micrograph", "model", "classify"},
    "annotate": {"errors", "writing", "micrograph", "model", "classify", "learn"},
    # It borrows the colours of annotate's categories.
    "exchange": {"errors", "writing", "model", "samples", "annotate"},
    # It starts the trainer and reads its events; nothing of the trainer loads into its process.
    "retrain": {"errors", "learn", "downloads"},
    "cli": {
        *("errors", "writing", "micrograph", "model", "classify", "learn", "annotate", "samples", "downloads"),
        *("retrain", "exchange", "viewer", "memory", "process"),
    },
    "notebook": {"errors", "micrograph", "model", "classify", "learn", "annotate", "downloads", "retrain"},
    "viewer": {
        "errors",
        "micrograph",
        "model",
        "classify",
        "learn",
        "annotate",
        "samples",
        "downloads",
        "retrain",
        "writing",
        "memory",
    },
    "__init__": {"errors", "micrograph", "model", "classify"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports(path):
        if not module.startswith("napari_semclass"):
            continue
        wanted = [*module.split("."), room][1]
        assert wanted == room or wanted in MAY_IMPORT[room], f"{room} must not import {wanted}"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_qt_and_napari_live_in_the_viewer_and_fastai_nowhere(path):
    room = path.relative_to(PACKAGE).parts[0]
    roots = {module.split(".")[0] for module in imports(path)}
    assert "fastai" not in roots
    if room != "viewer":
        assert not roots & {"napari", "qtpy", "superqt", "magicgui", "PyQt6", "PySide6"}
    if room != "notebook":
        assert not roots & {"anywidget", "ipywidgets", "traitlets", "IPython"}


def loaded_after(statement):
    code = f"import sys; {statement}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_after("import napari_semclass") & {"torch", "napari", "qtpy", "fastai", "numpy", "skimage"}


def test_the_core_works_without_qt_and_napari():
    statement = "import napari_semclass as n; n.classify_micrograph, n.open_micrographs, n.load_model, n.Prediction"
    assert not loaded_after(statement) & {"napari", "qtpy", "PyQt6", "fastai"}


def test_what_marks_need_loads_no_torch_and_no_viewer():
    statement = "import napari_semclass.annotate as a; [getattr(a, name) for name in a.__all__]"
    assert not loaded_after(statement) & {"torch", "qtpy", "napari", "fastai"}


def test_the_dock_itself_does_not_wait_for_torch():
    assert "torch" not in loaded_after("import napari_semclass.viewer.dock")


def test_public_names_are_all_there():
    for name in napari_semclass.__all__:
        assert getattr(napari_semclass, name) is not None
    with pytest.raises(AttributeError):
        _ = napari_semclass.no_such_name
