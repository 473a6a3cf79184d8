"""Keeps what is marked: saves it by itself after every change, and opens it again as it was."""

import shutil
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QElapsedTimer, QObject, QTimer, Signal
from qtpy.QtWidgets import QFileDialog, QInputDialog, QWidget

from napari_semclass.annotate.autosave import Leftover, autosave_folder, discard, leftovers
from napari_semclass.annotate.locate import Located, locate_images
from napari_semclass.annotate.project import Project, ResultEntry, read_project, write_project
from napari_semclass.errors import SemclassError
from napari_semclass.viewer.classify_job import Drawing, Update
from napari_semclass.viewer.classify_tab import ClassifyTab
from napari_semclass.viewer.input_panel import InputPanel
from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.layers import Target, target_of
from napari_semclass.viewer.learn_job import QUICK
from napari_semclass.viewer.mark_book import MarkBook
from napari_semclass.viewer.project_layers import closed_of, open_image, open_marks, project_of
from napari_semclass.viewer.state import DockState

# A stroke comes in many events, so what is marked is saved when none came for so long; but somebody who makes one mark
# after another need not wait for longer than this.
_PAUSE_MS = 700
_LONGEST_MS = 5_000
_SUFFIX = ".semclass"
# How long closing the dock may wait for the last save.
_LAST_SAVE_S = 20.0


class ProjectDesk(QObject):
    """Saves, opens and recovers projects.

    Emits `state_changed(sentence)` about where the marks are kept, `opened` after a project was opened, and
    `model_moved(path)` when the learned model lies elsewhere now.
    """

    state_changed = Signal(str)
    opened = Signal()
    model_moved = Signal(str)

    def __init__(
        self,
        viewer: ViewerModel,
        book: MarkBook,
        inputs: InputPanel,
        classifying: ClassifyTab,
        board: JobBoard,
        state: DockState,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._book, self._inputs, self._classifying = viewer, book, inputs, classifying
        self._board, self._state, self._window = board, state, parent
        self._folder = autosave_folder()
        self._named = False
        self._last = Project()
        self._saving = self._dirty = False
        self._after: Callable[[], None] | None = None
        self._quick_known: Path | None = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self.save)
        self._waiting = QElapsedTimer()
        book.changed.connect(self._save_soon)
        inputs.data_bars_changed.connect(self._save_soon)
        board.start("leftovers", _leftovers_job, self._tell_of_leftover)

    def quick_file(self) -> Path:
        """Where the quickly learned model is kept."""
        return self._folder / f"{QUICK}.safetensors"

    @property
    def folder(self) -> Path:
        """Where the marks are kept."""
        return self._folder

    def is_saved(self) -> bool:
        """Whether anything was kept yet."""
        return bool(self._last.images or self._last.imported)

    def leftovers(self) -> list[Leftover]:
        """Sessions that were never saved under a name, newest first."""
        return leftovers()

    def do(self, wish: str) -> None:
        """Carry out a wish of the project menu."""
        if wish == "save":
            self.save()
            self._state.say(f"Saved in {self._folder}.")
        elif wish == "new":
            path, _ = QFileDialog.getSaveFileName(self._window, "Keep the marks in", "", f"Project (*{_SUFFIX})")
            if path:
                self.save_as(Path(path))
        elif wish == "recover":
            self._ask_what_to_recover()
        elif wish == "open":
            path = QFileDialog.getExistingDirectory(self._window, "Open a project (a folder that ends in .semclass)")
            if path:
                self.open(Path(path))

    def _ask_what_to_recover(self) -> None:
        found = self.leftovers()
        if not found:
            self._state.say("There are no unsaved sessions.")
            return
        lines = [_described(leftover) for leftover in found]
        line, chosen = QInputDialog.getItem(
            self._window, "Recover", "Marks kept from an earlier session:", lines, 0, False
        )
        if chosen:
            self.open(found[lines.index(line)].folder, named=False)

    def _tell_of_leftover(self, leftover: Leftover) -> None:
        self.state_changed.emit(f"Recover… brings back {_described(leftover)}")

    # -- saving ---------------------------------------------------------------------------------------------------

    def save_as(self, folder: Path) -> None:
        """Keep the marks in this folder from now on."""
        if folder.suffix != _SUFFIX:
            folder = folder.with_name(folder.name + _SUFFIX)
        before, was_named, quick = self._folder, self._named, self.quick_file()
        closed = closed_of(self._last, self._inputs.images())
        self._folder, self._named, self._last = folder, True, closed
        # Pixels of closed images may lie in the session's folder, so then it stays.
        leftover = None if was_named or closed.images else before
        self.save(after=partial(_take_along, quick, self.quick_file(), leftover))

    def _save_soon(self) -> None:
        """Save once nothing changes for a moment, or after a while if something always does."""
        if not self._pause.isActive():
            self._waiting.start()
        if self._waiting.elapsed() < _LONGEST_MS:
            self._pause.start()

    def save(self, after: Callable[[], None] | None = None) -> None:
        """Save what is marked now, in the background."""
        self._after = after or self._after
        if self._saving:
            self._dirty = True
            return
        project, pixels = self._project()
        if not project.images and not project.categories.items:
            return
        self._saving, self._dirty = True, False
        work = partial(_save_job, project, self._folder, pixels, self._after)
        self._after = None
        self._board.start("save", work, partial(self._saved, self._folder), self._save_ended)

    def let_go(self) -> None:
        """Save what the pause has not saved yet, and wait for it."""
        self._pause.stop()
        project, pixels = self._project()
        if not project.layers and not project.imported:
            return
        try:
            thread = threading.Thread(target=_write_quietly, args=(project, self._folder, pixels), name="semclass-save")
            thread.start()
            thread.join(_LAST_SAVE_S)
        except RuntimeError:  # Python is shutting down: the last save by itself has to do
            return

    def _project(self) -> tuple[Project, dict[str, Any]]:
        model = self._inputs.model() or ""
        project, pixels = project_of(self._viewer, self._book.categories, self._last, self._inputs.images(), model)
        settings = self._classifying.settings.value()
        return replace(project, settings=settings, imported=self._book.imported), pixels

    def _saved(self, folder: Path, project: Project) -> None:
        if folder != self._folder:  # another was chosen meanwhile, and nothing is in that yet
            return
        self._last = project
        where = self._folder.name if self._named else "kept by itself; Project > New… gives it a name and a place"
        closed = len(closed_of(project, self._inputs.images()).images)
        kept = f" (with the marks of {closed} closed image{'s' if closed > 1 else ''})" if closed else ""
        self.state_changed.emit(where + kept)

    def _save_ended(self, failure: str | None) -> None:
        self._saving = False
        if failure:
            self.state_changed.emit(f"NOT saved: {failure}")
            self._state.say(f"The marks could not be saved. {failure}", problem=True)
        elif self._dirty:
            self.save()
        elif self.quick_file() != self._quick_known and self.quick_file().exists():
            self._quick_known = self.quick_file()
            self.model_moved.emit(str(self._quick_known))

    # -- opening --------------------------------------------------------------------------------------------------

    def open(self, folder: Path, *, named: bool = True) -> None:
        """Open a project: its images, layers, categories, results and model."""
        self._state.say(f"Opening {folder.name}…")
        self._board.start("open", partial(_open_job, folder), partial(self._open_read, folder, named))

    def _open_read(self, folder: Path, named: bool, news: tuple[Project, Located]) -> None:
        project, located = news
        problems = [*project.problems, *located.sentences]
        self._pause.stop()
        self._book.changed.disconnect(self._save_soon)  # what is half open must not be saved over what is whole
        try:
            opened = self._open_images(project, located, problems)
            self._book.set_categories(project.categories)
            self._book.set_imported(project.imported)
            for layer in project.layers:
                if layer.image in opened:
                    open_marks(self._viewer, layer, opened[layer.image], project.categories)
        finally:
            self._book.changed.connect(self._save_soon)
        whole = not problems and len(opened) == len(project.images)
        if whole:  # else saving here would lose what could not be opened
            self._folder, self._named, self._last = folder, named, project
        self._classifying.settings.set_value(project.settings)
        self._inputs.choose_model(project.model)
        self._show_results(project, opened)
        kept = "" if whole else " What is marked from now on is kept in a new session; the project stays as it is."
        self._state.say(" ".join([f"Opened {folder.name}.", *problems]) + kept, problem=not whole)
        self.state_changed.emit(folder.name if whole and named else "kept by itself")
        self.opened.emit()

    def _open_images(self, project: Project, located: Located, problems: list[str]) -> dict[str, Image]:
        opened = {}
        for entry in project.images:
            path = located.paths.get(entry.id)
            if path is None:
                continue
            try:
                opened[entry.id] = open_image(self._viewer, entry, path)
            except SemclassError as error:
                problems.append(str(error))
        return opened

    def _show_results(self, project: Project, opened: dict[str, Image]) -> None:
        pairs = [(entry, target_of(opened[entry.image])) for entry in project.results if entry.image in opened]
        self._board.start("results", partial(_results_job, pairs), self._show_result)

    def _show_result(self, news: tuple[ResultEntry, Update]) -> None:
        entry, update = news
        if update.target is not None and update.target.layer in self._viewer.layers:
            colors = self._classifying.results.shown_colors()
            overlay = update.overlay(update.target, colors, entry.model)
            refresh = self._classifying.results.refresh
            self._classifying.showing.show(overlay, refresh)


def _described(leftover: Leftover) -> str:
    names = ", ".join(leftover.images[:3]) + (" …" if len(leftover.images) > 3 else "")
    return f"{leftover.saved:%d %b %Y, %H:%M}: {leftover.marks:,} marks on {names}"


def _leftovers_job(stop: threading.Event) -> Generator[Leftover, None, None]:
    yield from leftovers()[:1]


def _save_job(
    project: Project, folder: Path, pixels: dict[str, Any], after: Callable[[], None] | None, stop: threading.Event
) -> Generator[Project, None, None]:
    written = write_project(project, folder, pixels)
    if after is not None:
        after()
    yield written


def _take_along(quick: Path, there: Path, leftover: Path | None) -> None:
    """Copy the learned model to the new project, and clear the automatic one away."""
    with suppress(OSError):
        shutil.copyfile(quick, there)
    if leftover is not None:
        discard(leftover)


def _write_quietly(project: Project, folder: Path, pixels: dict[str, Any]) -> None:
    try:
        write_project(project, folder, pixels)
    except SemclassError:  # the window is gone; what was saved before stays
        return


def _open_job(folder: Path, stop: threading.Event) -> Generator[tuple[Project, Located], None, None]:
    project = read_project(folder)
    yield project, locate_images(project, folder)


def _results_job(
    pairs: list[tuple[ResultEntry, Target]], stop: threading.Event
) -> Generator[tuple[ResultEntry, Update], None, None]:
    for entry, target in pairs:
        drawing = Drawing(target)
        for plane, prediction in enumerate(entry.predictions):
            drawing.predictions[plane] = prediction
            drawing.finish(plane)
        if any(prediction is not None for prediction in entry.predictions):
            yield entry, drawing.update(None, 1, 1, 1.0)
