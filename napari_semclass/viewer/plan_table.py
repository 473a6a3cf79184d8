"""The stages of a plan as a small table: sizes, epochs and rates are edited in place, minutes are shown."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from qtpy.QtCore import QLocale, QModelIndex, Qt, Signal
from qtpy.QtGui import QDoubleValidator
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QSpinBox,
    QStyledItemDelegate,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_semclass.learn.plan import Stage

SIZE, FROZEN, EPOCHS, RATE, MINUTES = range(5)
_FIELDS = ("size", "frozen_epochs", "epochs", "lr")
_TITLES = (
    ("Size", "Side of the tiles in pixels as the network sees them; the tile's area stays the same"),
    ("Frozen", "Epochs in which only the classifier learns, before those of the network"),
    ("Epochs", "Epochs in which the network learns, too: how often it sees all tiles"),
    ("Rate", "Highest learning rate of the stage, such as 1e-3"),
    ("Min", "Predicted minutes; press Estimate"),
)
_RANGES = {SIZE: (16, 2048), FROZEN: (0, 10_000), EPOCHS: (0, 10_000)}
_HIGHEST_RATE = 10.0
_ROWS = 2  # at least so many are visible


class PlanTable(QTableWidget):
    """One row per stage. Emits `value_changed` for the user's edits, and `refused(sentence)` for impossible ones."""

    value_changed = Signal()
    refused = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_TITLES), parent)
        self._stages: tuple[Stage, ...] = ()
        self._minutes: Sequence[float] = ()
        for column, (title, about) in enumerate(_TITLES):
            item = QTableWidgetItem(title)
            item.setToolTip(about)
            self.setHorizontalHeaderItem(column, item)
        self.setItemDelegate(_Editors(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)  # Tab goes on to what is below the table
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setMinimumSectionSize(20)
        self.itemChanged.connect(self._edited)
        self._fill()

    def value(self) -> tuple[Stage, ...]:
        """The stages as they stand."""
        return self._stages

    def set_value(self, stages: tuple[Stage, ...]) -> None:
        """Show stages."""
        self._stages = stages
        self._fill()

    def show_minutes(self, minutes: Sequence[float]) -> None:
        """Predicted minutes of each stage; none when they are not known."""
        self._minutes = minutes
        self._fill()

    def add_stage(self) -> None:
        """Add a stage like the last one."""
        self._change((*self._stages, self._stages[-1] if self._stages else Stage(224, batch=16)))
        self.setCurrentCell(self.rowCount() - 1, EPOCHS)

    def remove_stage(self) -> None:
        """Remove the current stage, or the last one."""
        row = self.currentRow() if self.currentRow() >= 0 else self.rowCount() - 1
        if row >= 0:
            self._change((*self._stages[:row], *self._stages[row + 1 :]))
            self.setCurrentCell(min(row, self.rowCount() - 1), SIZE)

    def keyPressEvent(self, event: Any) -> None:
        """Delete removes the current stage, Insert adds one; all else as in any table."""
        if event.key() == Qt.Key.Key_Delete:
            self.remove_stage()
        elif event.key() == Qt.Key.Key_Insert:
            self.add_stage()
        else:
            super().keyPressEvent(event)

    def _change(self, stages: tuple[Stage, ...]) -> None:
        self._stages = stages
        self._minutes = ()
        self._fill()
        self.value_changed.emit()

    def _edited(self, item: QTableWidgetItem) -> None:
        row, field = item.row(), _FIELDS[item.column()]
        given = item.data(Qt.ItemDataRole.EditRole)
        if given == getattr(self._stages[row], field):
            return
        try:
            stage = replace(self._stages[row], **{field: given})
        except ValidationError as error:
            self._fill()
            why = error.errors()[0]["msg"].removeprefix("Value error, ").lower()
            self.refused.emit(f"Stage {row + 1} cannot be changed so: {why}.")
            return
        self._change((*self._stages[:row], stage, *self._stages[row + 1 :]))

    def _fill(self) -> None:
        self.blockSignals(True)
        self.setRowCount(len(self._stages))
        for row, stage in enumerate(self._stages):
            for column, field in enumerate(_FIELDS):
                item = QTableWidgetItem()
                item.setData(Qt.ItemDataRole.EditRole, getattr(stage, field))
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                item.setToolTip(f"{_TITLES[column][1]}. Double-click or F2 edits.")
                self.setItem(row, column, item)
            item = QTableWidgetItem(minutes_text(self._minutes[row]) if row < len(self._minutes) else "–")
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setToolTip(_TITLES[MINUTES][1])
            self.setItem(row, MINUTES, item)
        self.blockSignals(False)
        row_height = self.verticalHeader().defaultSectionSize()
        shown = max(_ROWS, min(6, len(self._stages)))
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + shown * row_height + 4)


def minutes_text(minutes: float) -> str:
    """Minutes with as many digits as are worth showing."""
    return f"{minutes:.1f}" if minutes < 10 else f"{minutes:.0f}"


class _Editors(QStyledItemDelegate):
    """Numbers within their ranges; rates as a physicist writes them."""

    def createEditor(self, parent: QWidget, option: Any, index: QModelIndex) -> QWidget:
        """A spin box for counts, a line for rates."""
        if index.column() == RATE:
            line = QLineEdit(parent)
            numbers = QDoubleValidator(0.0, _HIGHEST_RATE, 12, line)
            numbers.setLocale(QLocale.c())
            line.setValidator(numbers)
            return line
        box = QSpinBox(parent)
        box.setRange(*_RANGES[index.column()])
        box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        return box

    def setEditorData(self, editor: QWidget, index: QModelIndex) -> None:
        """Put the value into the editor."""
        value = index.data(Qt.ItemDataRole.EditRole)
        if isinstance(editor, QLineEdit):
            editor.setText(f"{value:g}")
        else:
            editor.setValue(value)

    def setModelData(self, editor: QWidget, model: Any, index: QModelIndex) -> None:
        """Take the value out of the editor."""
        if isinstance(editor, QLineEdit) and not editor.hasAcceptableInput():
            return  # such as "1e", left by clicking elsewhere: the old rate stays
        value = float(editor.text()) if isinstance(editor, QLineEdit) else editor.value()
        model.setData(index, value, Qt.ItemDataRole.EditRole)

    def displayText(self, value: Any, locale: Any) -> str:
        """Rates such as 0.001, counts as they are."""
        return f"{value:g}" if isinstance(value, float) else str(value)
