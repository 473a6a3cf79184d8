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
    "names": set(),
    "memory": set(),
    "process": set(),
    "writing": {"errors", "names"},
    "micrograph": {"errors", "names"},
    "showing": set(),
    "model": {"errors", "names", "writing", "showing"},
    "downloads": {"errors"},
    "samples": {"errors", "downloads"},
    "classify": {"errors", "names", "writing", "showing", "micrograph", "model", "memory"},
    "learn": {"errors", "names", "writing", "showing", "micrograph", "model", "classify"},
    "annotate": {"errors", "names", "writing", "micrograph", "model", "classify", "learn"},
    # It borrows the colours of annotate's categories.
    "exchange": {"errors", "names", "writing", "model", "samples", "annotate"},
    # It starts the trainer and reads its events; nothing of the trainer loads into its process.
    "retrain": {"errors", "names", "learn", "downloads"},
    "cli": {
        *("errors", "writing", "micrograph", "model", "classify", "learn", "annotate", "samples", "downloads"),
        *("retrain", "exchange", "viewer", "memory", "names", "process"),
    },
    "notebook": {"errors", "names", "micrograph", "model", "classify", "learn", "annotate", "downloads", "retrain"},
    "viewer": {
        "errors",
        "names",
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


def handles_text(call):
    """Whether a call opens a file as text, or the output of a process."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = {keyword.arg for keyword in call.keywords}
    if name == "open":
        modes = [node.value for node in call.args if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        return any(set(mode) <= set("rwaxt+") for mode in modes) and "force_zip64" not in given
    if name in ("run", "Popen", "check_output"):
        return bool(given & {"text", "universal_newlines"})
    return name in ("read_text", "write_text")


TEXT_OPENERS = sorted([*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "training").rglob("*.py")])


@pytest.mark.parametrize("path", TEXT_OPENERS, ids=lambda p: str(p.relative_to(PACKAGE.parent)))
def test_text_has_an_encoding_of_its_own_and_not_the_locales(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and handles_text(node):
            assert "encoding" in {keyword.arg for keyword in node.keywords}, f"line {node.lineno}: name an encoding"


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
