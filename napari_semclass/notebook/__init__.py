"""The Jupyter widget: classify, mark, learn and train in a notebook. The only room that knows anywidget."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"widget": ["SemClassifier"]})

if TYPE_CHECKING:
    from napari_semclass.notebook.widget import SemClassifier as SemClassifier
