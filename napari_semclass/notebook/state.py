"""What notebook and browser share: the widget's traits, each checked before it counts."""

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from napari_semclass.annotate.categories import Categories
from napari_semclass.classify import Prediction, Settings
from napari_semclass.errors import SettingsError
from napari_semclass.model import load_model
from napari_semclass.model.network import Model
from napari_semclass.notebook.tables import Row, annotation_rows, categories_of, category_rows

_STATIC = Path(__file__).parent / "static"
# One module for the browser, from parts that each do one thing; later ones use the names of earlier ones.
_PARTS = ("elements.js", "tiles.js", "stage.js", "marking.js", "curves.js", "panel.js", "main.js")


class SharedState(anywidget.AnyWidget):
    """The traits of the widget. Those with an underscore are what the browser is told, and are set by the widget only.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the micrograph in pixels.
    """

    _esm = "\n".join((_STATIC / part).read_text(encoding="utf-8") for part in _PARTS)
    _css = (_STATIC / "widget.css").read_text(encoding="utf-8")

    annotations = traitlets.List(
        help="Marked tiles: rows with y0, x0, y1, x1 (pixels, half-open) and category.",
    ).tag(sync=True)
    categories = traitlets.List(
        help="Categories to mark with: rows with number, name, color and key. Names alone may be set.",
    ).tag(sync=True)
    opacity = traitlets.Float(0.45, min=0, max=1, help="Of the overlay.").tag(sync=True)
    hidden = traitlets.List(traitlets.Unicode(), help="Answers that the overlay leaves out.").tag(sync=True)
    live = traitlets.Bool(True, help="Learn by itself after each mark made in the browser.").tag(sync=True)
    height = traitlets.Int(480, min=160, max=4000, help="Of the picture, in CSS pixels.").tag(sync=True)
    summary = traitlets.Unicode(help="What the widget shows, in words.").tag(sync=True)

    prediction = traitlets.Instance(Prediction, allow_none=True, help="What is shown over the micrograph.")
    model = traitlets.Any(help="What classifies, and whose network learns; a name or a file may be set.")
    settings = traitlets.Instance(Settings, help="Tile, stride, device and so on.")

    _picture = traitlets.Dict().tag(sync=True)
    _grid = traitlets.Dict().tag(sync=True)
    _overlay = traitlets.Dict().tag(sync=True)
    _legend = traitlets.List().tag(sync=True)
    _counts = traitlets.Dict().tag(sync=True)
    _about = traitlets.Dict().tag(sync=True)
    _status = traitlets.Dict().tag(sync=True)
    _work = traitlets.Dict().tag(sync=True)
    _learned = traitlets.Unicode().tag(sync=True)
    _suggestion = traitlets.Dict().tag(sync=True)
    _training = traitlets.Dict().tag(sync=True)

    def __init__(self, shape: tuple[int, int], **values: Any) -> None:
        self._shape = shape
        super().__init__(**values)

    @property
    def _named(self) -> Categories:
        return categories_of(self.categories)

    @traitlets.validate("categories")
    def _check_categories(self, proposal: Any) -> list[Row]:
        found = categories_of(proposal["value"])
        annotation_rows(self.annotations, found, self._shape)  # none may lose its category
        return category_rows(found)

    @traitlets.validate("annotations")
    def _check_annotations(self, proposal: Any) -> list[Row]:
        return annotation_rows(proposal["value"], self._named, self._shape)

    @traitlets.validate("model")
    def _check_model(self, proposal: Any) -> Model:
        value = proposal["value"]
        return value if isinstance(value, Model) else load_model(value)

    @traitlets.validate("prediction")
    def _check_prediction(self, proposal: Any) -> Prediction | None:
        value: Prediction | None = proposal["value"]
        if value is not None and value.grid.shape != self._shape:
            raise SettingsError(f"the prediction is of {value.grid.shape} px, the micrograph has {self._shape} px.")
        return value

    def _say(self, sentence: str, *, problem: bool = False) -> None:
        """Show one sentence about what happened last."""
        self._status = {"sentence": sentence, "problem": problem}
