"""What the widget shows, kept true: tiles of the micrograph, grid, counted marks, overlay, legend, words."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.classify import Prediction, TileGrid
from napari_semclass.classify.prediction import Cells
from napari_semclass.classify.show import text
from napari_semclass.errors import SettingsError
from napari_semclass.learn.model_names import free_name, taken_names
from napari_semclass.learn.plan import recipes
from napari_semclass.micrograph import grey_range
from napari_semclass.notebook import facts
from napari_semclass.notebook.marked import MarkedPlane, Opened, mark_grid, marked_plane
from napari_semclass.notebook.pyramid import SIDE, Key, Pyramid, TileSender
from napari_semclass.notebook.state import SharedState
from napari_semclass.notebook.tables import category_rows

RECIPE = "progressive"


class Board(SharedState):
    """A micrograph on which predictions are shown and marks are counted.

    Parameters
    ----------
    image : Opened
    **values
        Of the traits `model`, `settings` and `categories`, and of others that are wanted.
    """

    def __init__(self, image: Opened, **values: Any) -> None:
        self._image = image
        self.micrograph = image.micrograph
        pyramid = Pyramid(self.micrograph, replace(grey_range(self.micrograph, 0.5, 99.5), void=0.0))
        self._tiles = TileSender(pyramid, self._send_tile, partial(self._say, problem=True))
        self._shown: tuple[Prediction, Cells] | None = None
        super().__init__(self.micrograph.shape)
        self._picture = facts.picture_facts(self.micrograph, pyramid.depth, SIDE)
        for name, value in values.items():
            setattr(self, name, value)
        self._lay_grid()
        self.observe(self._lay_grid, ["model", "settings"])
        self.observe(self._count, ["annotations", "categories"])
        self.observe(self._prediction_set, "prediction")
        self._show(self.prediction)

    @property
    def grid(self) -> TileGrid:
        """The tiles that settings and model lay on the micrograph."""
        return self._laid

    def _lay_grid(self, _: Any = None) -> None:
        self._laid = mark_grid(self.micrograph, self.settings, self.model.card)
        self._grid = facts.grid_facts(self._laid)
        self._tell_about()
        self._count()

    def _tell_about(self) -> None:
        """What is chosen besides the picture; the name that a new model is offered changes after each training."""
        card = self.model.card
        self._about = {
            "model": card.title,
            "tiles": f"{len(self._laid):,} tiles of {self._laid.tile} px",
            "recipes": recipes(),
            "recipe": RECIPE,
            "name": free_name("my-model", taken_names()),
        }

    def _marked(self) -> MarkedPlane:
        return marked_plane(self._image, self.settings, self.model.card, self._laid, self.annotations, self._named)

    def _count(self, _: Any = None) -> None:
        self._counts = facts.count_facts(self._marked().labelled)
        self._tell_summary()

    def _prediction_set(self, change: Any) -> None:
        self._show(change["new"])

    def _show(self, prediction: Prediction | None) -> None:
        """Draw a prediction, which may be growing still."""
        if prediction is None:
            self._shown, self._overlay, self._legend = None, {}, []
        else:
            cells = prediction.cells()
            self._shown = prediction, cells
            self._overlay = facts.overlay_facts(prediction, cells)
            self._legend = facts.legend_facts(prediction)
        self._tell_summary()

    def _tell_summary(self) -> None:
        height, width = self.micrograph.shape
        said = f"{self.micrograph.name}, {width:,} x {height:,} px: not classified yet."
        counts = {name: count for name, count in self._counts.get("tiles", {}).items() if count}
        marks = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        shown = said if self._shown is None else text(self._shown[0])
        self.summary = f"{shown} Marked tiles: {marks}." if marks else f"{shown} No tiles are marked."

    # -- what the browser asks --------------------------------------------------------------------------------------

    def _send_tile(self, key: Key, pixels: NDArray[np.uint8]) -> None:
        height, width = pixels.shape
        self.send(
            {"kind": "tile", "key": list(key), "height": height, "width": width},
            [np.ascontiguousarray(pixels).tobytes()],
        )

    def _want_tiles(self, keys: Sequence[Sequence[int]]) -> None:
        self._tiles.want([(int(level), int(row), int(column)) for level, row, column in keys])

    def _look(self, y: float, x: float) -> None:
        found = {} if self._shown is None else facts.place_facts(*self._shown, y, x)
        self.send({"kind": "place", "y": y, "x": x, **found})

    def _add_category(self, name: str) -> None:
        self.categories = category_rows(self._named.add(name))

    def _rename_category(self, number: int, name: str) -> None:
        held, changed = self._named.by_number(number), self._named.rename(number, name)
        new = changed.by_number(number)
        if held is None or new is None:
            return
        rows = [{**row, "category": new.name} if row["category"] == held.name else row for row in self.annotations]
        with self.hold_trait_notifications():  # together, as neither fits the other's old values
            self.categories = category_rows(changed)
            self.annotations = rows

    def _remove_category(self, number: int) -> None:
        held = self._named.by_number(number)
        if held is not None and any(row["category"] == held.name for row in self.annotations):
            raise SettingsError(f"{held.name} has marks; clear them first.")
        self.categories = category_rows(self._named.remove(number))

    def _adopt_categories(self) -> None:
        """Mark with what the result tells apart, to correct it."""
        added = self._named
        for category in (self.prediction or self.model.card).categories:
            if added.by_name(category.name) is None:
                added = added.add(category.name, category.color)
        self.categories = category_rows(added)
