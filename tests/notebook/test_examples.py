"""The example notebooks run from top to bottom."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the examples need JupyterLab (extra `test`)")
nbclient = pytest.importorskip("nbclient", reason="the examples need nbclient (extra `test`)")
pytest.importorskip("anywidget", reason="the widget needs the extra `notebook`")

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.ipynb"))


@pytest.mark.skipif(not EXAMPLES, reason="the examples are in the checkout only")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_shows_something_in_every_cell_that_ends_with_a_value(path, tmp_path, patience):
    notebook = nbformat.read(path, as_version=4)
    limits = {"timeout": patience, "startup_timeout": patience, "iopub_timeout": patience}
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}, **limits).execute()
    kinds = [set(output.data) for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    assert {"text/plain", "text/html"} in kinds
    assert any("image/png" in kind for kind in kinds)
    assert any("application/vnd.jupyter.widget-view+json" in kind for kind in kinds)
    # What was run is not kept: an example is committed as it is written.
    assert not any(cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells)
