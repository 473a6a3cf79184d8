"""The list of categories to mark: name, colour, key and counts, edited in place."""

from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QColorDialog, QHeaderView, QMenu, QTreeWidget, QTreeWidgetItem, QWidget

from napari_semclass.annotate.categories import Categories
from napari_semclass.viewer.legend import swatch

_KEY, _NAME, _TILES = range(3)
_NUMBER = Qt.ItemDataRole.UserRole
_COLOR = Qt.ItemDataRole.UserRole


class CategoryTable(QTreeWidget):
    """One row per category.

    Emits `chosen(number)` when the current row changes, `renamed(number, name)`, `recoloured(number, "#rrggbb")`,
    `key_set(number, key)` with 0 for none, `merge_requested(number, into)` and `remove_requested(number)`.
    """

    chosen = Signal(int)
    renamed = Signal(int, str)
    recoloured = Signal(int, str)
    key_set = Signal(int, int)
    merge_requested = Signal(int, int)
    remove_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._categories = Categories()
        self.setHeaderLabels(["Key", "Category", "Tiles"])
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setToolTip(
            "The current row is what you mark with. Double-click or F2 renames, C changes the colour,\n"
            "Delete removes, right-click shows all of it. On the canvas, keys 1 to 9 mark the tile under the cursor."
        )
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        for column in (_KEY, _TILES):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.itemDoubleClicked.connect(lambda row, _: self.editItem(row, _NAME))
        self.itemChanged.connect(self._edited)
        self.currentItemChanged.connect(self._chose)
        self.customContextMenuRequested.connect(self._menu)

    def show_categories(self, categories: Categories, tiles: Mapping[int, int], imported: Mapping[int, int]) -> None:
        """Fill the table; `tiles` gives marked tiles by category number, `imported` examples that were imported."""
        current = self.current()
        self._categories = categories
        self.blockSignals(True)
        # Rows stay what they are wherever that is possible: a name may be being typed in one of them.
        if [row.data(_NAME, _NUMBER) for row in self._rows()] != [item.number for item in categories.items]:
            self.clear()
            for item in categories.items:
                row = QTreeWidgetItem(self)
                row.setData(_NAME, _NUMBER, item.number)
                row.setFlags(row.flags() | Qt.ItemFlag.ItemIsEditable)
                row.setTextAlignment(_TILES, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.choose(current if current is not None else (categories.items[0].number if categories.items else None))
        for row, item in zip(self._rows(), categories.items, strict=True):
            row.setText(_KEY, str(item.key or ""))
            own, more = tiles.get(item.number, 0), imported.get(item.number, 0)
            row.setText(_TILES, f"{own:,} + {more:,}" if more else f"{own:,}")
            row.setToolTip(_TILES, f"{own:,} marked here, {more:,} imported" if more else f"{own:,} marked here")
            # Any change of the name's cell, its icon's too, would take back what is being typed there.
            if row.data(_KEY, _COLOR) != item.color:
                row.setData(_KEY, _COLOR, item.color)
                row.setIcon(_NAME, swatch(item.color))
            if row.text(_NAME) != item.name:
                row.setText(_NAME, item.name)
                row.setToolTip(_NAME, f"{item.name}\n{self.toolTip()}")
        self.blockSignals(False)

    def _rows(self) -> list[QTreeWidgetItem]:
        return [self.topLevelItem(index) for index in range(self.topLevelItemCount())]

    def current(self) -> int | None:
        """Number of the category to mark with."""
        row = self.currentItem()
        return None if row is None else int(row.data(_NAME, _NUMBER))

    def choose(self, number: int | None) -> None:
        """Make a category the one to mark with."""
        for row in self._rows():
            if row.data(_NAME, _NUMBER) == number:
                self.setCurrentItem(row)

    def edit_name(self, number: int) -> None:
        """Let the user type a category's name, as after adding it."""
        self.choose(number)
        self.editItem(self.currentItem(), _NAME)

    def keyPressEvent(self, event: object) -> None:
        """F2 renames, C recolours, Delete removes, 1 to 9 gives the key; all else as in any table."""
        key, row = event.key(), self.currentItem()  # type: ignore[attr-defined]
        if row is None or event.modifiers():  # type: ignore[attr-defined]
            super().keyPressEvent(event)
        elif key == Qt.Key.Key_F2:
            self.editItem(row, _NAME)
        elif key == Qt.Key.Key_C:
            self._recolour(row)
        elif key == Qt.Key.Key_Delete:
            self.remove_requested.emit(row.data(_NAME, _NUMBER))
        elif Qt.Key.Key_1 <= key <= Qt.Key.Key_9:
            self.key_set.emit(row.data(_NAME, _NUMBER), int(key) - int(Qt.Key.Key_0))
        else:
            super().keyPressEvent(event)

    def _chose(self, row: QTreeWidgetItem | None) -> None:
        if row is not None:
            self.chosen.emit(row.data(_NAME, _NUMBER))

    def _edited(self, row: QTreeWidgetItem, column: int) -> None:
        if column == _NAME:
            self.renamed.emit(row.data(_NAME, _NUMBER), row.text(_NAME))

    def _recolour(self, row: QTreeWidgetItem) -> None:
        item = self._categories.by_number(row.data(_NAME, _NUMBER))
        if item is None:
            return
        chosen = QColorDialog.getColor(QColor(item.color), self, f"Colour of {item.name}")
        if chosen.isValid():
            self.recoloured.emit(item.number, chosen.name())

    def _menu(self, point: object) -> None:
        row = self.itemAt(point)
        if row is None:
            return
        number = row.data(_NAME, _NUMBER)
        menu = QMenu(self)
        menu.addAction("Rename", lambda: self.editItem(row, _NAME))
        menu.addAction("Colour…", lambda: self._recolour(row))
        keys = menu.addMenu("Key")
        for key in range(10):
            keys.addAction(str(key or "none"), lambda key=key: self.key_set.emit(number, key))
        into = menu.addMenu("Give its marks to")
        into.setEnabled(len(self._categories.items) > 1)
        for item in self._categories.items:
            if item.number != number:
                name = item.name.replace("&", "&&")
                into.addAction(swatch(item.color), name, lambda to=item.number: self.merge_requested.emit(number, to))
        menu.addAction("Remove", lambda: self.remove_requested.emit(number))
        menu.exec(self.viewport().mapToGlobal(point))
