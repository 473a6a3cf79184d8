"""Check labels: the button, and going through the marks that are likely wrong."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_semclass.annotate.categories import MarkCategory
from napari_semclass.annotate.doubted import DoubtedTile

_ABOUT = "List marks that the marks on other micrographs or regions contradict, and go through them"


class CheckPanel(QWidget):
    """Shows one doubted mark at a time.

    Emits `check_requested`, `moved(+1 | -1)`, `kept`, `relabelled(number)` and `closed`.
    """

    check_requested = Signal()
    moved = Signal(int)
    kept = Signal()
    relabelled = Signal(int)
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.check = _button("&Check labels", _ABOUT, self.check_requested.emit)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.back = _button("◀", "The doubted mark before", lambda: self.moved.emit(-1))
        self.keep = _button("&Keep", "This mark is right: do not ask again (N on the canvas)", self.kept.emit)
        self.forth = _button("▶", "The next doubted mark", lambda: self.moved.emit(1))
        self.accept = _button("", "Give it the suggested category (A on the canvas)", self._accept)
        self.other = QComboBox()
        self.other.setToolTip("Give it another category (its key on the canvas)")
        self.other.activated.connect(self._chosen)
        self.close_list = _button("Close", "Leave the list; the marks stay as they are", self.closed.emit)
        for wide in (self.accept, self.other):
            wide.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._suggested = 0
        self._lay_out()
        self.show_nothing()

    def _lay_out(self) -> None:
        self.steps = QWidget()
        grid = QGridLayout(self.steps)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        row = QHBoxLayout()
        for widget in (self.back, self.keep, self.forth, self.close_list):
            row.addWidget(widget)
        grid.addLayout(row, 0, 0, 1, 2)
        grid.addWidget(self.accept, 1, 0)
        grid.addWidget(self.other, 1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.check)
        layout.addWidget(self.words)
        layout.addWidget(self.steps)

    def show_nothing(self, words: str = "") -> None:
        """Nothing is doubted, or nothing was checked; say so."""
        self.words.setText(words)
        self.words.setVisible(bool(words))
        self.steps.hide()

    def show_doubt(self, doubt: DoubtedTile, place: int, total: int, categories: Sequence[MarkCategory]) -> None:
        """Show a doubted mark, number `place` (from 1) of so many."""
        self._suggested = doubt.suggested.number
        self.words.setText(
            f"{place:,} of {total:,}: marked {doubt.marked.name}, looks like {doubt.suggested.name} "
            f"({100 * doubt.confidence:.0f} %); {doubt.source.name}"
        )
        self.words.show()
        self.accept.setText(f"&Relabel: {doubt.suggested.name.replace('&', '&&')}")
        self.other.clear()
        self.other.addItem("Other category…", 0)
        for category in categories:
            if category.number not in (doubt.marked.number, doubt.suggested.number):
                self.other.addItem(category.name, category.number)
        self.other.setEnabled(self.other.count() > 1)
        self.back.setEnabled(total > 1)
        self.forth.setEnabled(total > 1)
        self.steps.show()

    def _accept(self) -> None:
        self.relabelled.emit(self._suggested)

    def _chosen(self, index: int) -> None:
        if index > 0:
            self.relabelled.emit(self.other.itemData(index))


def _button(text: str, about: str, slot: object) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(about)
    button.clicked.connect(lambda: slot())  # type: ignore[operator]
    return button
