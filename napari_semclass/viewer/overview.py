"""The overview: one row per classified micrograph, to compare them and to go from one to the next."""

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from napari_semclass.classify.prediction import Summary

_KEY = Qt.ItemDataRole.UserRole


class Overview(QTreeWidget):
    """Emits `result_chosen(layer name, plane)` when a row is chosen."""

    result_chosen = Signal(str, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setHeaderLabels(["Micrograph", "Mostly", "Area", "Sure"])
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setToolTip("Choose a row to see its categories above")
        self.header().setStretchLastSection(False)
        for column in range(4):
            mode = QHeaderView.ResizeMode.Stretch if column < 2 else QHeaderView.ResizeMode.ResizeToContents
            self.header().setSectionResizeMode(column, mode)
        self.currentItemChanged.connect(self._chosen)

    def show_results(self, rows: Sequence[tuple[str, int, Summary]], current: tuple[str, int] | None) -> None:
        """Fill the table with (layer name, plane, summary) and mark the current one."""
        self.blockSignals(True)
        self.clear()
        for layer, plane, summary in rows:
            answer = summary.answer
            sure = summary.mean[answer] if answer < len(summary.mean) else np.nanmax(summary.mean)
            item = QTreeWidgetItem(self)
            texts = (
                summary.source,
                summary.answers[answer].name,
                f"{100 * summary.fractions[answer]:.0f} %",
                f"{100 * sure:.0f} %",
            )
            for column, text in enumerate(texts):
                item.setText(column, text)
            item.setData(0, _KEY, (layer, plane))
            for column in range(2):
                item.setToolTip(column, item.text(column))
            if (layer, plane) == current:
                self.setCurrentItem(item)
        self.blockSignals(False)

    def _chosen(self, item: QTreeWidgetItem | None) -> None:
        if item is not None:
            self.result_chosen.emit(*item.data(0, _KEY))
