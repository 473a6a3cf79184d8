"""The confusion matrix as a table: rows are the truth, columns the answers, and every cell can be opened."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

_NARROWEST = 26  # pixels of a column
_NAMES = 0.36  # of the width at most
_MOST_ROWS = 10  # without scrolling
# White text on it is well read; paler for smaller shares.
_RIGHT, _WRONG = QColor("#0072b2"), QColor("#b3460a")


class ConfusionTable(QTableWidget):
    """Columns are numbered as the rows are. Emits `cell_chosen(truth, answer)` on a click or Return."""

    cell_chosen = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.horizontalHeader().setMinimumSectionSize(_NARROWEST)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.cellClicked.connect(self.cell_chosen)
        self.cellActivated.connect(self.cell_chosen)

    def show_matrix(self, names: Sequence[str], counts: Sequence[Sequence[int]], unit: str) -> None:
        """Fill the table; `unit` is what is counted, "tile" or "picture"."""
        self.clear()
        self.setRowCount(len(names))
        self.setColumnCount(len(names))
        many = len(names) * _NARROWEST > (1 - _NAMES) * 290
        mode = QHeaderView.ResizeMode.ResizeToContents if many else QHeaderView.ResizeMode.Stretch
        self.horizontalHeader().setSectionResizeMode(mode)
        for index, name in enumerate(names):
            self._head(index, name)
            total = max(1, sum(counts[index]))
            for answer, count in enumerate(counts[index]):
                item = QTableWidgetItem(f"{count:,}" if count else "")
                item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
                item.setToolTip(_sentence(name, names[answer], count, total, unit))
                if count:
                    self._paint(item, count / total, index == answer)
                self.setItem(index, answer, item)
        self.verticalHeader().setMaximumWidth(round(_NAMES * 290))
        row = self.verticalHeader().defaultSectionSize()
        shown = min(_MOST_ROWS, len(names))
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + shown * row + 4)

    def _head(self, index: int, name: str) -> None:
        row, column = QTableWidgetItem(f"{index + 1} {name}"), QTableWidgetItem(str(index + 1))
        row.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        row.setToolTip(f"Truth: {name}")
        column.setToolTip(f"Taken for {name}")
        self.setVerticalHeaderItem(index, row)
        self.setHorizontalHeaderItem(index, column)

    @staticmethod
    def _paint(item: QTableWidgetItem, share: float, right: bool) -> None:
        color = QColor(_RIGHT if right else _WRONG)
        color.setAlphaF(0.2 + 0.8 * share)
        item.setBackground(color)
        if share > 0.45:
            item.setForeground(QColor("white"))


def _sentence(truth: str, answer: str, count: int, total: int, unit: str) -> str:
    what = "told right" if truth == answer else f"taken for {answer}"
    return f"{truth}: {count:,} of {total:,} {unit}{'' if total == 1 else 's'} {what}. Click to see them."
