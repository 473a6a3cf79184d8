"""Results: the legend of the chosen one, the overview of all, and what can be done with them."""

from functools import partial
from html import escape

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from napari_semclass.classify.layers import colormap
from napari_semclass.classify.prediction import Prediction, Summary
from napari_semclass.micrograph.void import LEAST_SAID, void_text
from napari_semclass.viewer.copy_button import CopyButton
from napari_semclass.viewer.layers import go_to, predictions_of, results, summaries_of
from napari_semclass.viewer.legend import Legend
from napari_semclass.viewer.overview import Overview

_LEGEND_ROWS = 6


class ResultsPanel(QWidget):
    """Follows the result layers of a viewer. Emits `export_requested` and `copy_requested("command" | "python")`.

    `map_requested(index)` asks for an image of a category's probability, of the confidence for None, or for "tiles".

    `colors` holds the colours the user chose, `hidden` the categories unticked in the legend; both apply to every
    result, so that a category looks the same everywhere.
    """

    export_requested = Signal()
    copy_requested = Signal(str)
    map_requested = Signal(object)

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._current: tuple[str, int] | None = None
        self.colors: dict[str, str] = {}
        self.hidden: set[str] = set()
        self.title = QLabel()
        self.title.setWordWrap(True)
        self.legend = Legend()
        self.overview = Overview()
        self.export = QPushButton("Sa&ve…")
        self.export.setToolTip("Write overlay picture, tiles as CSV, regions as GeoJSON, everything as JSON")
        self.copy = CopyButton("gives the same numbers")
        self.map = QPushButton("Add &map")
        self.map.setToolTip("Show how sure the model is, or the probability of one category, as an image layer")
        self.map.setMenu(QMenu(self.map))
        self.map.menu().aboutToShow.connect(self._list_maps)
        buttons = QHBoxLayout()
        buttons.addWidget(self.map)
        buttons.addWidget(self.export)
        buttons.addWidget(self.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.title, self.legend, self.overview):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        layout.setStretch(1, 3)
        layout.setStretch(2, 2)
        row = self.legend.fontMetrics().height() + 6
        self.legend.setMinimumHeight(_LEGEND_ROWS * row)
        self.overview.setMinimumHeight(4 * row)
        self.export.clicked.connect(self.export_requested)
        self.copy.copy_requested.connect(self.copy_requested)
        self.legend.visibility_changed.connect(self._set_visible)
        self.legend.color_changed.connect(self._set_color)
        self.legend.category_activated.connect(self._go_to_surest)
        self.overview.result_chosen.connect(self.choose)
        viewer.layers.events.removed.connect(self.refresh)
        viewer.layers.selection.events.active.connect(self._layer_selected)
        self.refresh()

    def choose(self, layer: str, plane: int) -> None:
        """Show the legend of one plane of a result layer and select that layer."""
        self._current = (layer, plane)
        self.refresh()

    def refresh(self, event: object = None) -> None:
        """Read the result layers again."""
        rows = [
            (layer.name, plane, summary)
            for layer in results(self._viewer)
            for plane, summary in enumerate(summaries_of(layer))
            if summary is not None
        ]
        keys = [row[:2] for row in rows]
        if self._current not in keys:
            self._current = keys[-1] if keys else None
        self.setVisible(bool(rows))
        self.overview.setVisible(len(rows) > 1)
        if self._current is None:
            return
        summary = rows[keys.index(self._current)][2]
        self.title.setText(_sentence(summary))
        counts = np.zeros_like(summary.counts) if summary.whole else summary.counts
        # Of a whole picture the legend shows probabilities; what is unknown has none.
        shares = np.pad(summary.mean, (0, len(summary.answers) - len(summary.mean)))
        shares = shares if summary.whole else summary.fractions
        self.legend.setHeaderLabels(["Category", "", "Probability"] if summary.whole else ["Category", "Tiles", "Area"])
        self.legend.show_categories(summary.answers, self.colors, self.hidden, counts.tolist(), shares.tolist())
        if len(rows) > 1:
            self.overview.show_results(rows, self._current)

    def _list_maps(self) -> None:
        """Fill the menu with the categories of the chosen result."""
        menu = self.map.menu()
        menu.clear()
        chosen = self.chosen()
        if chosen is None:
            return
        menu.addAction("Confidence", partial(self.map_requested.emit, None))
        menu.addSeparator()
        first = next(p for p in predictions_of(chosen[0]) if p is not None)
        for index, name in enumerate(first.names):
            menu.addAction(f"Probability of {name}".replace("&", "&&"), partial(self.map_requested.emit, index))
        menu.addSeparator()
        menu.addAction("Tiles as points, with their figures", partial(self.map_requested.emit, "tiles"))

    def chosen(self) -> tuple[Labels, int] | None:
        """The result layer and plane that the legend shows."""
        if self._current is None:
            return None
        name, plane = self._current
        return next(((layer, plane) for layer in results(self._viewer) if layer.name == name), None)

    def shown_colors(self) -> dict[str, str]:
        """Colours in place of the categories' own; hidden categories are transparent."""
        return {**self.colors, **dict.fromkeys(self.hidden, "#00000000")}

    def disconnect_viewer(self) -> None:
        """Stop following the viewer."""
        self._viewer.layers.events.removed.disconnect(self.refresh)
        self._viewer.layers.selection.events.active.disconnect(self._layer_selected)

    def _layer_selected(self, event: object = None) -> None:
        """Selecting a result layer in napari's own list shows its legend."""
        active = self._viewer.layers.selection.active
        if active is not None and active in results(self._viewer) and (self._current or ("",))[0] != active.name:
            self.choose(active.name, 0)

    def _set_visible(self, category: str, shown: bool) -> None:
        (self.hidden.discard if shown else self.hidden.add)(category)
        self._recolour()

    def _set_color(self, category: str, color: str) -> None:
        self.colors[category] = color
        self._recolour()
        self.refresh()

    def _recolour(self) -> None:
        for layer in results(self._viewer):
            first = next(p for p in predictions_of(layer) if p is not None)
            layer.colormap = colormap(first, self.shown_colors())

    def _go_to_surest(self, category: str) -> None:
        chosen = self.chosen()
        if chosen is None:
            return
        layer, plane = chosen
        prediction = predictions_of(layer)[plane]
        if prediction is None:
            return
        tile = surest_tile(prediction, category)
        if tile is not None:
            go_to(self._viewer, layer, plane, prediction.grid.box(tile))


def surest_tile(prediction: Prediction, category: str) -> int | None:
    """The tile of a category with the largest confidence; None when no tile has it."""
    has_it = prediction.tile_categories() == [answer.name for answer in prediction.answers].index(category)
    if not has_it.any():
        return None
    confidence = prediction.tile_confidence()
    return int(max(has_it.nonzero()[0], key=lambda tile: confidence[tile]))


def _sentence(summary: Summary) -> str:
    return f"{_answer(summary)}; {void_text(summary.void)}" if summary.void >= LEAST_SAID else _answer(summary)


def _answer(summary: Summary) -> str:
    source = escape(summary.source)
    if summary.whole:
        best = int(summary.mean.argmax())
        likeliest = f"{escape(summary.answers[best].name)}, {100 * summary.mean[best]:.0f} % sure"
        if summary.answer != best:
            return f"<b>{source}</b>: {escape(summary.answers[summary.answer].name)} (at best {likeliest})"
        return f"<b>{source}</b>: {likeliest}"
    most = int(summary.fractions.argmax())
    name = escape(summary.answers[most].name)
    return f"<b>{source}</b>: mostly {name} ({100 * summary.fractions[most]:.0f} % of the area)"
