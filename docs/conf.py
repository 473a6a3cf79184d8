"""How Sphinx builds the site: `sphinx-build -W docs build/site`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent), str(HERE.parent / "training")]

import napari_semclass  # noqa: E402  (from this checkout, whatever else is installed)

project = "napari-semclass"
author = copyright = "The napari-semclass developers"
version = release = napari_semclass.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_argparse_cli", "sphinx_copybutton"]
extensions += ["model_card"]
exclude_patterns = ["_extensions"]

# Headings are link targets with the names that GitHub gives them, down to the third level.
myst_heading_anchors = 3

# Docstrings say types in numpydoc's way; annotations would say them again, and longer.
autodoc_typehints = "none"
maximum_signature_line_length = 90
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"napari-semclass {release}"
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"
