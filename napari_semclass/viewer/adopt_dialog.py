"""Asks which open layer is to be taken as marks, and which of its values means which category."""

from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_semclass.viewer.layers import MARKS_KEY, results
from napari_semclass.viewer.mark_book import MarkBook
from napari_semclass.viewer.mark_layers import MarkLayer, values_of

_LEFT_OUT = "(leave out)"
_MOST_VALUES = 50


class AdoptDialog(QDialog):
    """Emits `taken(layer, {value: category name})`; an empty name leaves a value out."""

    taken = Signal(object, object)

    def __init__(self, viewer: ViewerModel, image: Image, book: MarkBook, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Marks of {image.name}")
        self._book = book
        self._boxes: dict[object, QComboBox] = {}
        shown = results(viewer)
        self._layers: list[MarkLayer] = [
            layer
            for layer in viewer.layers
            if isinstance(layer, Labels | Shapes | Points)
            and MARKS_KEY not in layer.metadata
            and not any(layer is one for one in shown)
        ]
        self.layer = QComboBox()
        for layer in self._layers:
            self.layer.addItem(layer.name)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self._form = QFormLayout()
        values = QWidget()
        values.setLayout(self._form)
        scroll = QScrollArea()
        scroll.setWidget(values)
        scroll.setWidgetResizable(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self._take)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel("Take this layer as marks:"))
        layout.addWidget(self.layer)
        layout.addWidget(self.about)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.buttons)
        self.layer.currentIndexChanged.connect(self._show_values)
        self._show_values()

    def choice(self, value: object) -> QComboBox:
        """The box that says the category of a value."""
        return self._boxes[value]

    def _show_values(self) -> None:
        while self._form.rowCount():
            self._form.removeRow(0)
        self._boxes = {}
        values = values_of(self._layers[self.layer.currentIndex()]) if self._layers else []
        many = len(values) > _MOST_VALUES
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(bool(values) and not many)
        if not self._layers:
            self.about.setText("No Labels, Shapes or Points layer is open that is not one of marks already.")
        elif many:
            self.about.setText(
                f"It tells {len(values):,} things apart: that is a segmentation, not a set of categories."
            )
        else:
            self.about.setText("What is what? A new name makes a new category." if values else "It is empty.")
        for value in [] if many else values:
            box = QComboBox()
            box.setEditable(True)
            known = [item.name for item in self._book.categories.items]
            box.addItems([*known, _LEFT_OUT])
            name = str(value) if isinstance(value, str) else f"Label {value}"
            by_number = self._book.categories.by_number(value) if isinstance(value, int) else None
            box.setCurrentText(by_number.name if by_number else name)
            self._form.addRow(name, box)
            self._boxes[value] = box

    def _take(self) -> None:
        names = {value: box.currentText().strip() for value, box in self._boxes.items()}
        layer = self._layers[self.layer.currentIndex()]
        self.accept()
        self.taken.emit(layer, {value: "" if name == _LEFT_OUT else name for value, name in names.items()})
