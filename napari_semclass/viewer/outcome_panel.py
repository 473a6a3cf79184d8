"""What a training has come to: how good the model is, what it mistakes, and the button that takes it into use."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from qtpy.compat import isalive
from qtpy.QtCore import QPoint, Qt, QTimer, Signal
from qtpy.QtWidgets import QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_semclass.annotate.outcome import Outcome
from napari_semclass.viewer.confusion_table import ConfusionTable
from napari_semclass.viewer.tile_list import TileList

_LISTED = 30  # tiles at a time


class OutcomePanel(QWidget):
    """Shows an `Outcome`.

    Emits `tiles_shown(indices)` when pictures of these held-out tiles are wanted, `tile_chosen(index)`, and
    `use_requested`.
    """

    tiles_shown = Signal(object)
    tile_chosen = Signal(int)
    use_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._outcome: Outcome | None = None
        self.title, self.figures, self.tested, self.before = _words(), _words(), _words(), _words()
        self.use = QPushButton("&Use this model")
        self.use.setToolTip("Make it the chosen model and classify with it")
        self.matrix_title = _words()
        self.matrix = ConfusionTable()
        self.matrix.setAccessibleName("Confusion matrix")
        self.tiles_title = _words()
        self.tiles = TileList()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            *(self.title, self.figures, self.tested, self.use, self.matrix_title, self.matrix),
            *(self.tiles_title, self.tiles, self.before),
        ):
            layout.addWidget(widget)
        self.use.clicked.connect(self.use_requested)
        self.matrix.cell_chosen.connect(self._open_cell)
        self.tiles.tile_chosen.connect(self.tile_chosen)
        self.show_outcome(None)

    def show_outcome(self, outcome: Outcome | None) -> None:
        """Show what came out, or nothing for None."""
        self._outcome = outcome
        self.setVisible(outcome is not None)
        self.show_comparison("")
        if outcome is None:
            return
        self.title.setText(f"{outcome.name} is ready")
        self.figures.setText(outcome.figures())
        self.tested.setText(outcome.tested())
        self.tested.setVisible(bool(outcome.metrics))
        self._show_matrix(outcome)
        for widget in (self.tiles_title, self.tiles):
            widget.setVisible(outcome.tiles is not None)
        if outcome.tiles is not None:
            wrong = outcome.tiles.mistakes()
            words = "Most confidently wrong: what it says, and what it is" if len(wrong) else "No answer was wrong."
            self._list(words, wrong.tolist())
        QTimer.singleShot(0, self._come_into_view)  # once it has been laid out

    def _come_into_view(self) -> None:
        if not isalive(self):
            return
        area = self.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is not None and area.widget() is not None:
            area.verticalScrollBar().setValue(self.mapTo(area.widget(), QPoint(0, 0)).y())

    def show_picture(self, index: int, pixels: NDArray[np.uint8]) -> None:
        """Put in the picture of a held-out tile."""
        self.tiles.show_picture(index, pixels)

    def show_comparison(self, sentence: str) -> None:
        """Say how the earlier model compares."""
        self.before.setText(sentence)
        self.before.setVisible(bool(sentence))

    def _show_matrix(self, outcome: Outcome) -> None:
        for widget in (self.matrix_title, self.matrix):
            widget.setVisible(bool(outcome.metrics))
        if outcome.metrics:
            unit = "picture" if outcome.metrics["unit"] == "image" else "tile"
            self.matrix_title.setText(f"Rows: what {unit}s are; columns: what they are taken for. Click a cell.")
            self.matrix.show_matrix(outcome.metrics["categories"], outcome.metrics["confusion_matrix"], unit)

    def _open_cell(self, truth: int, answer: int) -> None:
        tiles = None if self._outcome is None else self._outcome.tiles
        if tiles is None:
            return
        found = tiles.taken_for(truth, answer).tolist()
        one, other = tiles.categories[truth], tiles.categories[answer]
        what = f"{one} told right" if truth == answer else f"{one} taken for {other}"
        self._list(f"{what}: {_counted(found)}", found)

    def _list(self, title: str, indices: Sequence[int]) -> None:
        outcome = self._outcome
        if outcome is None or outcome.tiles is None:
            return
        shown = indices[:_LISTED]
        self.tiles_title.setText(title)
        self.tiles.show_tiles(outcome.tiles, shown)
        self.tiles.setVisible(bool(shown))
        if shown:
            self.tiles_shown.emit(tuple(shown))


def _counted(indices: Sequence[int]) -> str:
    words = f"{len(indices):,} tile{'' if len(indices) == 1 else 's'}"
    return f"{words}, the first {_LISTED}" if len(indices) > _LISTED else words


def _words() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
