"""The legend: categories with colour, tiles and area; it is the table and the filter at once."""

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QColorDialog, QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from napari_semclass.model.card import Category

_NAME, _TILES, _AREA = range(3)
_SWATCH = 12


class Legend(QTreeWidget):
    """One row per category.

    Emits `visibility_changed(name, shown)` when a row is ticked, `color_changed(name, "#rrggbb")` when its
    colour is edited, `category_activated(name)` on double-click or Return.
    """

    visibility_changed = Signal(str, bool)
    color_changed = Signal(str, str)
    category_activated = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setColumnCount(3)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSortingEnabled(True)
        self.sortByColumn(_AREA, Qt.SortOrder.DescendingOrder)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setToolTip(
            "Tick to show or hide, double-click to go to the surest tile,\n"
            "right-click (or press C) to change the colour"
        )
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        for column in (_TILES, _AREA):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.itemChanged.connect(self._ticked)
        self.itemActivated.connect(lambda item, _: self.category_activated.emit(item.text(_NAME)))
        self.customContextMenuRequested.connect(lambda point: self._edit_color(self.itemAt(point)))

    def show_categories(
        self,
        categories: Sequence[Category],
        colors: Mapping[str, str],
        hidden: set[str],
        counts: Sequence[int],
        fractions: Sequence[float],
    ) -> None:
        """Fill the table: tiles per category (0 shows none), and a share (0 to 1) of the area or of the probability."""
        current = self.currentItem().text(_NAME) if self.currentItem() else None
        self.blockSignals(True)
        self.clear()
        for category, count, fraction in zip(categories, counts, fractions, strict=True):
            row = _Row(self, count, fraction)
            row.setText(_NAME, category.name)
            row.setToolTip(_NAME, f"{category.name}\n{self.toolTip()}")
            row.setIcon(_NAME, swatch(colors.get(category.name, category.color)))
            row.setCheckState(_NAME, Qt.CheckState.Unchecked if category.name in hidden else Qt.CheckState.Checked)
            if category.name == current:
                self.setCurrentItem(row)
        self.blockSignals(False)

    def keyPressEvent(self, event: object) -> None:
        """C edits the colour of the current row; all else as in any table."""
        if event.key() == Qt.Key.Key_C and not event.modifiers():  # type: ignore[attr-defined]
            self._edit_color(self.currentItem())
        else:
            super().keyPressEvent(event)

    def _ticked(self, item: QTreeWidgetItem, column: int) -> None:
        if column == _NAME:
            self.visibility_changed.emit(item.text(_NAME), item.checkState(_NAME) == Qt.CheckState.Checked)

    def _edit_color(self, item: QTreeWidgetItem | None) -> None:
        if item is None:
            return
        now = item.icon(_NAME).pixmap(_SWATCH, _SWATCH).toImage().pixelColor(_SWATCH // 2, _SWATCH // 2)
        chosen = QColorDialog.getColor(now, self, f"Colour of {item.text(_NAME)}")
        if chosen.isValid():
            self.color_changed.emit(item.text(_NAME), chosen.name())


class _Row(QTreeWidgetItem):
    """A row that sorts by its numbers and not by their text."""

    def __init__(self, parent: QTreeWidget, count: int, fraction: float) -> None:
        super().__init__(parent)
        self._values = {_TILES: float(count), _AREA: float(fraction)}
        self.setText(_TILES, f"{count:,}" if count else "–")
        self.setText(_AREA, f"{100 * fraction:.1f} %" if fraction >= 0.0005 else "–")
        for column in (_TILES, _AREA):
            self.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def __lt__(self, other: QTreeWidgetItem) -> bool:
        column = self.treeWidget().sortColumn()
        if column in self._values and isinstance(other, _Row):
            return bool(self._values[column] < other._values[column])
        return bool(self.text(_NAME) < other.text(_NAME))


def swatch(color: str) -> QIcon:
    """A small square of a colour, for lists."""
    pixmap = QPixmap(_SWATCH, _SWATCH)
    pixmap.fill(QColor(color))
    return QIcon(pixmap)
