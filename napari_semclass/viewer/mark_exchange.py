"""Labelled pictures in and out of a session of marks, and the command that learns the same."""

import threading
from collections.abc import Generator
from functools import partial
from pathlib import Path

from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_semclass.annotate.collect import LabelledTiles
from napari_semclass.annotate.dataset import export_tiles
from napari_semclass.errors import SemclassError
from napari_semclass.learn.dataset import read_dataset
from napari_semclass.viewer.command import learn_command, learn_python
from napari_semclass.viewer.copy_button import COMMAND, PYTHON
from napari_semclass.viewer.input_panel import InputPanel
from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.mark_book import MarkBook
from napari_semclass.viewer.project_desk import ProjectDesk
from napari_semclass.viewer.state import DockState
from napari_semclass.viewer.teacher import Teacher

WISHES = ("import", "forget", "export", COMMAND, PYTHON)


class MarkExchange(QObject):
    """Imports, exports and copies. Emits `imported(path)` after a folder of labelled pictures was added."""

    imported = Signal(str)

    def __init__(
        self,
        book: MarkBook,
        teacher: Teacher,
        desk: ProjectDesk,
        inputs: InputPanel,
        board: JobBoard,
        state: DockState,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._book, self._teacher, self._desk, self._inputs = book, teacher, desk, inputs
        self._board, self._state, self._window = board, state, parent

    def do(self, wish: str) -> None:
        """Carry out a wish of the project menu, one of `WISHES`."""
        if wish == "import":
            folder = QFileDialog.getExistingDirectory(self._window, "A folder for each category, or a manifest.csv")
            if folder:
                self.import_examples(Path(folder))
        elif wish == "forget":
            self.forget_examples()
        elif wish == "export":
            self.export()
        else:
            self.copy(wish)

    def import_examples(self, folder: Path) -> None:
        """Learn from the labelled pictures in a folder as well; categories that are new are added."""
        self._board.start("import", partial(_import_job, folder.absolute()), self._found)

    def _found(self, news: tuple[str, tuple[str, ...]]) -> None:
        folder, names = news
        categories = self._book.categories
        try:
            for name in names:
                if categories.by_name(name) is None:
                    categories = categories.add(name, avoid=self._book.used())
        except SemclassError as error:
            self._state.say(f"{folder}: cannot be imported: {error}", problem=True)
            return
        self._book.set_categories(categories)
        self._book.set_imported(list(dict.fromkeys((*self._book.imported, folder))))
        self._state.say(f"Learning from {Path(folder).name}, too: {', '.join(names)}.")
        self.imported.emit(folder)

    def forget_examples(self) -> None:
        """Learn from the marks only; the categories stay."""
        said = "Imported examples are no longer learned from." if self._book.imported else "No examples are imported."
        self._book.set_imported(())
        self._state.say(said)

    def export(self) -> None:
        """Ask for a folder, and write the marked tiles into it as pictures by category."""
        marked = self._teacher.marked
        if marked is None or not len(marked):
            self._state.say("There are no marked tiles to write yet.", problem=True)
            return
        folder = QFileDialog.getExistingDirectory(
            self._window, "Write the marked tiles into this (new or empty) folder"
        )
        if folder:
            self._board.start("tiles", partial(_export_job, marked, Path(folder)), self._state.say)

    def copy(self, way: str) -> None:
        """Copy the command, or the Python, that learns the same model from the saved marks."""
        model = self._inputs.model()
        if model is None or not self._desk.is_saved():
            self._state.say("There are no marks to learn from yet.", problem=True)
            return
        text = (learn_python if way == PYTHON else learn_command)(self._desk.folder, model)
        QGuiApplication.clipboard().setText(text)
        self._state.say(f"Copied: {text}")


def _import_job(folder: Path, stop: threading.Event) -> Generator[tuple[str, tuple[str, ...]], None, None]:
    yield str(folder), read_dataset(folder).categories


def _export_job(labelled: LabelledTiles, folder: Path, stop: threading.Event) -> Generator[str, None, None]:
    export_tiles(labelled, folder)
    yield f"Wrote {len(labelled):,} tiles to {folder}."
