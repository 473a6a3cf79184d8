"""Counts marks and learns them, in one job at a time, and tells what came out."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QObject, QTimer, Signal

from napari_semclass.annotate.collect import LabelledTiles
from napari_semclass.annotate.imported import ExampleReader
from napari_semclass.annotate.learning import Looking
from napari_semclass.classify.grid import TileGrid
from napari_semclass.errors import SemclassError
from napari_semclass.viewer.classify_job import Update
from napari_semclass.viewer.classify_tab import ClassifyTab
from napari_semclass.viewer.input_panel import InputPanel
from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.layers import Target
from napari_semclass.viewer.learn_job import QUICK, Counted, Learned, News, Wish, learn_job
from napari_semclass.viewer.mark_book import MarkBook
from napari_semclass.viewer.mark_layers import specimen_of
from napari_semclass.viewer.mark_snapshot import snapshot

# Strokes come in many events; the marks are counted once the hand pauses.
_PAUSE_MS = 150


class Teacher(QObject):
    """Emits `counted`, `looked(done, total)`, `learned(Learned)`, `suggested(suggestions)` and `failed(sentence)`.

    `labelled` are the tiles to learn from, imported examples included, when the marks were counted last, `marked` those
    of them that are marked here, `grids` the tiles of each image by its id,
    one grid per plane, `names` the categories of the model that was learned last. With `live`, every change of the
    marks is learned by itself.
    """

    counted = Signal()
    looked = Signal(int, int)
    learned = Signal(object)
    suggested = Signal(object)
    failed = Signal(str)

    def __init__(
        self,
        viewer: ViewerModel,
        book: MarkBook,
        inputs: InputPanel,
        classifying: ClassifyTab,
        board: JobBoard,
        folder: Callable[[], Path],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._book, self._inputs, self._classifying = viewer, book, inputs, classifying
        self._board, self._folder = board, folder
        self._learning = False
        self._choice: object = None
        self._touched = False
        self.live = True
        self.labelled: LabelledTiles | None = None
        self.marked: LabelledTiles | None = None
        self._reader = ExampleReader()
        self.grids: dict[str, list[TileGrid]] = {}
        self.names: tuple[str, ...] = ()
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._count)
        book.changed.connect(self._marks_changed)
        classifying.settings.value_changed.connect(self._pause.start)
        inputs.micrographs_changed.connect(self._inputs_changed)
        inputs.data_bars_changed.connect(self._pause.start)
        inputs.model_changed.connect(self._inputs_changed)

    def learn(self) -> None:
        """Learn the marks now."""
        self._learning = True
        self._start("now")

    def target(self, image: Image) -> Target:
        """The micrographs of an image.

        Raises
        ------
        MicrographError
            When its pixels cannot be a micrograph.
        """
        return self._classifying.targets.of([image])[0]

    def leave_as_it_is(self) -> None:
        """A project was opened: count its marks, but learn them only once they change."""
        self._touched = False

    def let_go(self) -> None:
        """Count no more."""
        self._pause.stop()

    def _marks_changed(self) -> None:
        self._touched = True
        self._pause.start()

    def _inputs_changed(self) -> None:
        # A new overlay or a new card refills the lists, too; only another choice is a reason to count again.
        choice = ([one.unique_id for one in self._inputs.layers()], self._inputs.model())
        if choice != self._choice:
            self._choice = choice
            self._pause.start()

    def _count(self) -> None:
        if self._learning:  # which was asked for, and a mark made meanwhile does not take that back
            self._start("now")
        else:
            self._start("if possible" if self.live and self._touched else "no")

    def _start(self, learn: Literal["no", "if possible", "now"]) -> None:
        model, card = self._inputs.model(), self._inputs.card()
        if model is None or card is None:
            return
        marked = self._book.images()
        try:
            images = list({*marked, *self._inputs.layers()})
            targets = {target.layer: target for target in self._classifying.targets.of(images)}
        except SemclassError as error:
            self.failed.emit(str(error))
            return
        wish = Wish(
            tuple(snapshot(self._viewer, targets[image]) for image in marked),
            tuple(targets[image] for image in self._inputs.layers()),
            self._book.categories,
            model,
            card,
            self._classifying.settings.value(),
            {targets[image].id: specimen_of(image) for image in images},
            self._folder(),
            learn,
            self._book.imported,
            self._reader,
        )
        self._board.start("learn", partial(learn_job, wish), self._heard, self._ended)

    def _heard(self, news: News) -> None:
        if isinstance(news, Counted):
            self.grids.update(news.grids)
            self.labelled, self.marked = news.labelled, news.marked
            self.counted.emit()
        elif isinstance(news, Looking):
            self.looked.emit(news.done, news.total)
        elif isinstance(news, Learned):
            self.names = news.result.model.card.names
            self.learned.emit(news)
        elif isinstance(news, Update):
            self._draw(news)
        else:
            self.suggested.emit(news)

    def _draw(self, news: Update) -> None:
        if news.target is not None and news.target.layer in self._viewer.layers:
            colors = self._classifying.results.shown_colors()
            overlay = news.overlay(news.target, colors, QUICK)
            refresh = self._classifying.results.refresh
            # What was worked on is worked on still.
            self._classifying.showing.show(overlay, refresh, keep_active=True)

    def _ended(self, failure: str | None) -> None:
        self._classifying.showing.finish()
        self._learning = False
        self.looked.emit(1, 1)
        if failure:
            self.failed.emit(failure)
