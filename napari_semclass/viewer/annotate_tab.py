"""The Annotate tab: wires categories, marks, quick learning and suggestions to the viewer's layers and to jobs."""

from collections.abc import Callable
from functools import partial

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_semclass.annotate.categories import KEYS, Categories
from napari_semclass.errors import SemclassError
from napari_semclass.learn.units import time_text
from napari_semclass.viewer.adopt_dialog import AdoptDialog
from napari_semclass.viewer.annotate_panel import AnnotatePanel
from napari_semclass.viewer.checking import Checking
from napari_semclass.viewer.classify_tab import ClassifyTab
from napari_semclass.viewer.input_panel import InputPanel
from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.learn_job import Learned
from napari_semclass.viewer.mark_book import MarkBook
from napari_semclass.viewer.mark_exchange import WISHES, MarkExchange
from napari_semclass.viewer.mark_keys import MarkKeys
from napari_semclass.viewer.mark_layers import SPECIMEN_KEY, adopt, specimen_of
from napari_semclass.viewer.marking import Marking
from napari_semclass.viewer.project_desk import ProjectDesk
from napari_semclass.viewer.state import DockState
from napari_semclass.viewer.suggesting import Suggesting
from napari_semclass.viewer.teacher import Teacher
from napari_semclass.viewer.why_job import show_why, why_job

_TOO_FEW = "Mark tiles of two categories first."
_HOW_TO_BEGIN = "Add two or more categories; then point at a place and press the category's key, or paint."
ACCEPT, NEXT, LEAVE, UNMARK, UNDO, WHY = "a", "n", "Escape", "0", "Control-Z", "y"


class AnnotateTab(QWidget):
    """Marks, learns and shows what was learned.

    Emits `marks_counted` after the marks were counted, and `model_learned(path)` after a quick model was fitted.
    """

    marks_counted = Signal()
    model_learned = Signal(str)

    def __init__(
        self, viewer: ViewerModel, inputs: InputPanel, classifying: ClassifyTab, state: DockState, board: JobBoard
    ) -> None:
        super().__init__()
        self._viewer, self._inputs, self._classifying = viewer, inputs, classifying
        self._state, self._board = state, board
        self.book = MarkBook(viewer, self)
        self.suggesting = Suggesting(viewer)
        self.panel = AnnotatePanel()
        self.desk = ProjectDesk(viewer, self.book, inputs, classifying, board, state, self)
        self.teacher = Teacher(
            viewer, self.book, inputs, classifying, board, lambda: self.desk.quick_file().parent, self
        )
        self.exchange = MarkExchange(self.book, self.teacher, self.desk, inputs, board, state, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)
        self.checking = Checking(
            viewer, self.book, self.teacher, self.suggesting, inputs, classifying, board, state, self
        )
        layout.addWidget(self.checking.panel)
        self.marking = marking = Marking(
            viewer, self.book, self.teacher, self.suggesting, self.checking, self.panel, inputs, state
        )
        keys: dict[str, Callable[[], None]] = {str(key): partial(marking.mark, key) for key in KEYS}
        keys |= {UNMARK: partial(marking.mark, 0), ACCEPT: marking.accept, NEXT: marking.next, UNDO: marking.undo}
        keys[LEAVE] = marking.leave
        self.keys = MarkKeys(viewer, self, keys | {WHY: self.why}, unless=_left_to_layer)
        self._wire()
        self._show_problems()

    def _wire(self) -> None:
        panel, table = self.panel, self.panel.categories
        panel.add_category_requested.connect(self.add_category)
        panel.layer_requested.connect(self.add_layer)
        panel.adopt_requested.connect(self.adopt)
        panel.learn_requested.connect(self.learn)
        panel.live_changed.connect(self._set_live)
        panel.next_requested.connect(self.marking.next)
        panel.why_requested.connect(self.why)
        panel.project_requested.connect(self._project_wish)
        panel.specimen_changed.connect(self._specimen_changed)
        table.chosen.connect(self.book.choose)
        table.renamed.connect(lambda number, name: self._edit(lambda c: c.rename(number, name)))
        table.recoloured.connect(lambda number, color: self._edit(lambda c: c.recolour(number, color)))
        table.key_set.connect(lambda number, key: self._edit(lambda c: c.with_key(number, key or None)))
        table.merge_requested.connect(self.book.merge)
        table.remove_requested.connect(self.remove_category)
        self.book.categories_changed.connect(self._show_categories)
        self.desk.model_moved.connect(self.model_learned)
        self.desk.opened.connect(self.teacher.leave_as_it_is)
        self.desk.opened.connect(self.checking.close)
        self.desk.state_changed.connect(panel.project_state.setText)
        self._inputs.micrographs_changed.connect(self._inputs_changed)
        self._inputs.model_changed.connect(self._inputs_changed)
        self.teacher.counted.connect(self._show_counts)
        self.teacher.looked.connect(panel.show_progress)
        self.teacher.learned.connect(self._learned)
        self.teacher.suggested.connect(self.suggesting.renew)
        self.teacher.failed.connect(lambda sentence: self._state.say(sentence, problem=True))

    def shown(self, visible: bool) -> None:
        """The tab came to the front or went back: keys are taken only while it is in front."""
        if visible:
            self.keys.hold()
        else:
            self.keys.release()
            self.marking.leave()

    def let_go(self) -> None:
        """Save what is marked and let go of the viewer; the layers stay."""
        self.teacher.let_go()
        self.keys.release()
        self.desk.let_go()
        self.suggesting.end()
        self.book.let_go()

    # -- categories and layers ------------------------------------------------------------------------------------

    def add_category(self) -> None:
        """Add a category and let the user type its name."""
        self._edit(lambda categories: categories.add(avoid=self.book.used()))
        if self.book.categories.items:
            self.panel.categories.edit_name(self.book.categories.items[-1].number)

    def remove_category(self, number: int) -> None:
        """Remove a category that nothing is marked with."""
        held = self.book.categories.by_number(number)
        if held is not None and number in self.book.used():
            self._state.say(
                f"{held.name} has marks; give them to another category first (right-click it), or erase them.",
                problem=True,
            )
            return
        self._edit(lambda categories: categories.remove(number))

    def add_layer(self, kind: str) -> None:
        """A new layer to mark the chosen image in."""
        image = self._image()
        if image is None:
            return
        if not self.book.categories.items:
            self._edit(lambda categories: categories.add())
        self.book.add_layer(kind, image)

    def adopt(self) -> None:
        """Ask which open layer to take as marks, and which of its values is which category."""
        image = self._image()
        if image is None:
            return
        dialog = AdoptDialog(self._viewer, image, self.book, self)
        dialog.taken.connect(partial(self._adopted, image))
        dialog.open()

    def _adopted(self, image: Image, layer: Layer, names: dict[object, str]) -> None:
        categories = self.book.categories
        try:
            for name in names.values():
                if name and categories.by_name(name) is None:
                    categories = categories.add(name, avoid=self.book.used())
            found = {value: categories.by_name(name) for value, name in names.items() if name}
            numbers = {value: item.number for value, item in found.items() if item is not None}
            adopt(layer, image, numbers, categories)
        except SemclassError as error:
            self._state.say(str(error), problem=True)
            return
        self.book.set_categories(categories)
        self.book.follow(layer)

    def _project_wish(self, wish: str) -> None:
        (self.exchange if wish in WISHES else self.desk).do(wish)

    # -- learning -------------------------------------------------------------------------------------------------

    def learn(self) -> None:
        """Learn the marks now."""
        reason = self._no_image() or self._no_learning()
        if reason:
            self._state.say(reason, problem=True)
        else:
            self.teacher.learn()

    def _set_live(self, live: bool) -> None:
        self.teacher.live = live
        if live and not self._no_learning():
            self.teacher.learn()

    def why(self) -> None:
        """Show what speaks for the category of the tile asked about, or under the cursor."""
        place = self.marking.place()
        model = self._inputs.model()
        if place is None or model is None:
            self._state.say("Point at a tile and press Y to see what speaks for its category.", problem=True)
            return
        image, plane, box = place
        target = self.teacher.target(image)
        if self.desk.quick_file().exists() and self.teacher.names:
            model = str(self.desk.quick_file())
        tile = self._classifying.settings.value().tile or max(box[2] - box[0], box[3] - box[1])
        work = partial(why_job, target, plane, box, tile, model)
        self._board.start("why", work, lambda heat: self._state.say(show_why(self._viewer, target, plane, box, heat)))

    def _learned(self, news: Learned) -> None:
        self.panel.learned.setText(f"{news.result.sentence} Learned in {time_text(news.seconds)}.")
        if self._state.message == _TOO_FEW:
            self._state.say("")
        self.model_learned.emit(str(news.path))

    # -- what is shown --------------------------------------------------------------------------------------------

    def _edit(self, change: Callable[[Categories], Categories]) -> None:
        """Change the categories, or say why that is not possible."""
        try:
            self.book.set_categories(change(self.book.categories))
        except SemclassError as error:
            self._state.say(str(error), problem=True)
            self._show_categories()

    def _show_categories(self) -> None:
        own, labelled = self.teacher.marked, self.teacher.labelled
        tiles = own.counts() if own is not None else {}
        imported = labelled.counts_imported() if labelled is not None else {}
        self.panel.categories.show_categories(self.book.categories, tiles, imported)
        self._show_problems()

    def _show_counts(self) -> None:
        own, labelled = self.teacher.marked, self.teacher.labelled
        if own is None or labelled is None:
            return
        each = [(s.name, sum(own.counts_of(i).values())) for i, s in enumerate(own.sources)]
        advice = [labelled.needs()] if self.book.categories.items else [_HOW_TO_BEGIN]
        self.panel.show_counts(each, int(labelled.imported.sum()), advice)
        self._show_categories()
        self.marks_counted.emit()

    def _inputs_changed(self) -> None:
        image = self._image()
        self.panel.set_specimen("" if image is None else specimen_of(image), image is not None)
        self._show_problems()

    def _specimen_changed(self, specimen: str) -> None:
        for image in self._inputs.layers():
            image.metadata = {**image.metadata, SPECIMEN_KEY: specimen}
        self.book.changed.emit()

    def _show_problems(self) -> None:
        self.panel.set_problems(self._no_image(), self._no_learning())

    def _image(self) -> Image | None:
        """The image to mark: the chosen one, or with all chosen the topmost."""
        layers = self._inputs.layers()
        return layers[-1] if layers else None

    def _no_image(self) -> str:
        return "" if self._inputs.layers() else "Open a micrograph first."

    def _no_learning(self) -> str:
        if self._inputs.model() is None:
            return "Models are being loaded…"
        if self.teacher.labelled is None or len(self.teacher.labelled.used) < 2:
            return _TOO_FEW
        return ""


def _left_to_layer(layer: Layer, key: str) -> bool:
    """Labels undo their own strokes."""
    return isinstance(layer, Labels) and key == UNDO
