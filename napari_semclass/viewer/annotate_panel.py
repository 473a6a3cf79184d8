"""The Annotate tab's controls: categories, layers to mark in, learning, what to mark next, and the project."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_semclass.viewer.calm_bar import CalmBar
from napari_semclass.viewer.category_table import CategoryTable
from napari_semclass.viewer.copy_button import WAYS

_ROWS = 5


class AnnotatePanel(QWidget):
    """Shows what is marked and learned; emits what the user wants.

    `layer_requested("paint" | "regions" | "points")`, `adopt_requested`, `learn_requested`, `live_changed(bool)`,
    `next_requested`, `why_requested`, `specimen_changed(name)`, and of the project menu
    `project_requested("new" | "open" | "save" | "recover" | "import" | "forget" | "export" |
    "command" | "python")`.
    """

    add_category_requested = Signal()
    layer_requested = Signal(str)
    adopt_requested = Signal()
    learn_requested = Signal()
    live_changed = Signal(bool)
    next_requested = Signal()
    why_requested = Signal()
    project_requested = Signal(str)
    specimen_changed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.categories = CategoryTable()
        self.categories.setMinimumHeight((_ROWS + 1) * (self.fontMetrics().height() + 6))
        self.add_category = _button("&Add category", "Add a category and type its name", self.add_category_requested)
        self.adopt = _button("&Use layer…", "Take a layer that is open already as marks", self.adopt_requested)
        self.paint = _button("&Paint", "A new layer to paint areas in", lambda: self.layer_requested.emit("paint"))
        self.regions = _button(
            "&Boxes", "A new layer for boxes and polygons", lambda: self.layer_requested.emit("regions")
        )
        self.points = _button(
            "P&oints",
            "A new layer for points; each marks the tile it lies in",
            lambda: self.layer_requested.emit("points"),
        )
        self.specimen = QLineEdit()
        self.specimen.setPlaceholderText("specimen (optional)")
        self.specimen.editingFinished.connect(lambda: self.specimen_changed.emit(self.specimen.text().strip()))
        self.counts = _words()
        self.advice = _words()
        self.live = QCheckBox("&Live")
        self.live.setToolTip("Learn by itself after each mark")
        self.live.setChecked(True)
        self.learn = _button("Lea&rn", "", self.learn_requested)
        self.next = _button("&Next tile", "", self.next_requested)
        self.why = _button("&Why?", "", self.why_requested)
        self.progress = CalmBar()
        self.progress.setTextVisible(False)
        self.progress.hide()
        self.learned = _words()
        self.project = QPushButton("Pro&ject")
        self.project.setToolTip("Save, open and exchange marks; they are kept by themselves, too")
        self._fill_project_menu()
        self.project_state = _words()
        self._lay_out()
        self.live.toggled.connect(self.live_changed)
        self.set_problems("", "")

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(4)
        grid.addWidget(self.add_category, 0, 0, 1, 3)
        grid.addWidget(self.adopt, 0, 3, 1, 3)
        for column, button in enumerate((self.paint, self.regions, self.points)):
            grid.addWidget(button, 1, 2 * column, 1, 2)
        learning = QHBoxLayout()
        for widget, share in ((self.live, 0), (self.learn, 2), (self.next, 2), (self.why, 1)):
            learning.addWidget(widget, share)
        project = QHBoxLayout()
        project.addWidget(self.project)
        project.addWidget(self.project_state, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.addWidget(self.categories, 1)
        layout.addLayout(grid)
        layout.addWidget(self.specimen)
        layout.addWidget(self.counts)
        layout.addWidget(self.advice)
        layout.addWidget(_line())
        layout.addLayout(learning)
        layout.addWidget(self.progress)
        layout.addWidget(self.learned)
        layout.addWidget(_line())
        layout.addLayout(project)

    def set_problems(self, no_image: str, no_learning: str) -> None:
        """Why nothing can be marked, and why nothing can be learned, each a sentence or empty."""
        for button in (self.paint, self.regions, self.points, self.adopt):
            button.setEnabled(not no_image)
            button.setToolTip(no_image or button.whatsThis())
        tips = (
            (self.learn, "Learn from the marks and show what the model now sees"),
            (self.next, "Go to the tile whose mark would teach most (N). Then A accepts, 1 to 9 corrects, N skips"),
            (self.why, "Show which parts of the tile under the cross-hair speak for its category (Y on the canvas)"),
        )
        for button, tip in tips:
            button.setEnabled(not (no_image or no_learning))
            button.setToolTip(no_image or no_learning or tip)

    def set_specimen(self, specimen: str, possible: bool) -> None:
        """Show the chosen micrograph's specimen."""
        self.specimen.setText(specimen)
        self.specimen.setEnabled(possible)
        self.specimen.setToolTip(
            "What this micrograph was taken of. When all have one, a model is tested on specimens it has not seen"
            if possible
            else "Open a micrograph first."
        )

    def show_counts(self, per_micrograph: Sequence[tuple[str, int]], imported: int, advice: Sequence[str]) -> None:
        """Marked tiles of each micrograph, imported examples, and what to mark more of."""
        total = sum(count for _, count in per_micrograph)
        several = f" on {len(per_micrograph):,} micrographs" if len(per_micrograph) > 1 else ""
        more = f", {imported:,} imported" if imported else ""
        self.counts.setText(f"{total:,} tile{'' if total == 1 else 's'} marked{several}{more}")
        self.counts.setToolTip("\n".join(f"{name}: {count:,} tiles" for name, count in per_micrograph))
        self.advice.setText(" ".join(advice))
        self.advice.setVisible(bool(advice))

    def show_progress(self, done: int, total: int) -> None:
        """How far looking at the tiles is; hidden when done."""
        self.progress.setVisible(done < total)
        self.progress.setRange(0, total)
        self.progress.setValue(done)

    def _fill_project_menu(self) -> None:
        menu = QMenu(self.project)
        for text, wish in (
            ("New…", "new"),
            ("Open…", "open"),
            ("Save now", "save"),
            ("Recover…", "recover"),
            (None, None),
            ("Import examples…", "import"),
            ("Forget imported examples", "forget"),
            ("Export tiles as folders…", "export"),
            *WAYS,
        ):
            if text is None:
                menu.addSeparator()
            else:
                menu.addAction(text, lambda wish=wish: self.project_requested.emit(wish))
        self.project.setMenu(menu)


def _button(text: str, about: str, slot: object) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(about)
    button.setWhatsThis(about)
    button.clicked.connect(lambda: slot.emit() if hasattr(slot, "emit") else slot())  # type: ignore[operator]
    return button


def _words() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    return label


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    return line
