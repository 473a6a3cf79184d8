"""What is learned from: the marks in this viewer, a folder of labelled pictures, or both."""

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_semclass.annotate.collect import LabelledTiles
from napari_semclass.annotate.run_data import TrainingData
from napari_semclass.learn.dataset import DataSet
from napari_semclass.names import fold, paired

_SHOWN = 3  # sentences of an audit; the tooltip has all


class DataPanel(QWidget):
    """Shows the two sources. Emits `folder_chosen(path)`, and `value_changed` when something else is learned from."""

    folder_chosen = Signal(str)
    value_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._marks: LabelledTiles | None = None
        self._dataset: DataSet | None = None
        self.marks = QCheckBox("Mar&ks in this viewer")
        self.marks.setChecked(True)
        self.marks_words = _words()
        self.folder = QCheckBox("Labelled p&ictures")
        self.choose = QPushButton("Fol&der…")
        self.choose.setToolTip("A folder for each category, train/ and valid/ with such folders, or a manifest.csv")
        self.folder_words = _words()
        row = QHBoxLayout()
        row.addWidget(self.folder, 1)
        row.addWidget(self.choose)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.marks)
        layout.addWidget(self.marks_words)
        layout.addLayout(row)
        layout.addWidget(self.folder_words)
        self.together = _words()
        layout.addWidget(self.together)
        self.value_changed.connect(self._show_together)
        self.marks.toggled.connect(self.value_changed)
        self.folder.toggled.connect(self.value_changed)
        self.choose.clicked.connect(self._choose)
        self.show_marks(None)
        self.show_folder(None, ())

    def value(self) -> TrainingData | None:
        """What is ticked and there; None when that is nothing."""
        marks = self._marks if self.marks.isChecked() and self.marks.isEnabled() else None
        folder = self._dataset if self.folder.isChecked() and self.folder.isEnabled() else None
        return TrainingData(marks, folder) if marks is not None or folder is not None else None

    def has_folder(self) -> bool:
        """Whether a folder of labelled pictures is chosen, ticked or not."""
        return self._dataset is not None

    def missing(self) -> str:
        """Why nothing can be learned from this, as a sentence; empty when it can."""
        data = self.value()
        if data is None:
            return "Mark tiles of two categories in the Annotate tab, or choose a folder of labelled pictures."
        names = set(data.folder.categories) if data.folder else set()
        if data.marks is not None:  # a mark's category is the folder's whatever their case
            used = [category.name for category in data.marks.used]
            names |= set(used) - set(paired(names, used).values())
            if len(names) < 2:
                return data.marks.needs() if data.marks.used else "Mark tiles of two categories first."
        return "" if len(names) > 1 else "These pictures are of one category only; there must be two to tell apart."

    def show_marks(self, marks: LabelledTiles | None) -> None:
        """Say what is marked in the viewer."""
        self._marks = marks if marks is not None and len(marks) else None
        used = len(marks.used) if marks is not None else 0
        tiles = len(marks) if marks is not None else 0
        if self.marks.isEnabled() != bool(tiles):
            self.marks.setEnabled(bool(tiles))
            self.marks.setChecked(bool(tiles))
        self.marks.setToolTip("Learn from what is marked" if tiles else "Nothing is marked yet: use the Annotate tab")
        words = [f"{tiles:,} tile{'' if tiles == 1 else 's'}, {used} categor{'y' if used == 1 else 'ies'}."]
        if self._marks is None:
            words = ["None yet."]
        elif used < 2:
            words += [self._marks.needs()]
        else:
            sentence = self._marks.grouping.sentence
            words += [f"{sentence[:1].upper()}{sentence[1:]}.", *self._marks.grouping.advice]
        self.marks_words.setText(" ".join(words))
        self.value_changed.emit()

    def show_folder(self, dataset: DataSet | None, sentences: tuple[str, ...]) -> None:
        """Say what is known of the folder; no data set while it is being looked at or cannot be used."""
        self._dataset = dataset
        self.folder.setEnabled(dataset is not None)
        self.folder.setChecked(dataset is not None)
        name = dataset.folder.name.replace("&", "&&") if dataset is not None else ""
        self.folder.setText(f"Labelled p&ictures: {name[:16]}" if name else "Labelled p&ictures")
        self.folder.setToolTip(str(dataset.folder) if dataset is not None else "Choose a folder of them first")
        shown = " ".join(sentences[:_SHOWN])
        rest = len(sentences) - _SHOWN
        self.folder_words.setText(f"{shown} ({rest} more)" if rest > 0 else shown)
        self.folder_words.setToolTip("\n".join(sentences))
        self.folder_words.setVisible(bool(sentences))
        self.value_changed.emit()

    def _show_together(self) -> None:
        """Say which categories only one of both sources has: whoever means one by two names should know."""
        data = self.value()
        sentence = ""
        if data is not None and data.marks is not None and data.folder is not None:
            marked = {fold(category.name): category.name for category in data.marks.used}
            pictured = {fold(name): name for name in data.folder.categories}
            parts = [
                f"{', '.join(mine[name] for name in mine if name not in others)} only {where}"
                for mine, others, where in ((marked, pictured, "marked"), (pictured, marked, "in the folder"))
                if set(mine) - set(others)
            ]
            if parts:
                count = len(marked | pictured)
                sentence = f"Both are learned together, {count} categories: {'; '.join(parts)}."
        self.together.setText(sentence)
        self.together.setVisible(bool(sentence))

    def _choose(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Folder of labelled pictures")
        if path:
            self.folder_chosen.emit(str(Path(path)))


def _words() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setContentsMargins(20, 0, 0, 0)
    return label
