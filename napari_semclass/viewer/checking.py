"""Going through marks that are likely wrong: which ones they are, where the next is, and what becomes of it."""

import threading
from collections.abc import Generator
from functools import partial

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QObject

from napari_semclass.annotate.collect import LabelledTiles
from napari_semclass.annotate.doubted import DoubtedTile, doubted_tiles
from napari_semclass.annotate.learning import Looking, labelled_features
from napari_semclass.errors import SemclassError
from napari_semclass.viewer.check_panel import CheckPanel
from napari_semclass.viewer.classify_tab import ClassifyTab
from napari_semclass.viewer.input_panel import InputPanel
from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.learn_job import Suggestion
from napari_semclass.viewer.mark_book import MarkBook
from napari_semclass.viewer.relabel import relabel_tile
from napari_semclass.viewer.state import DockState
from napari_semclass.viewer.suggesting import Suggesting
from napari_semclass.viewer.teacher import Teacher

_Key = tuple[str, int, tuple[int, int, int, int], int]


class Checking(QObject):
    """Holds the doubted marks, and shows one at a time in `panel`; marks that were kept are not listed again."""

    def __init__(
        self,
        viewer: ViewerModel,
        book: MarkBook,
        teacher: Teacher,
        suggesting: Suggesting,
        inputs: InputPanel,
        classifying: ClassifyTab,
        board: JobBoard,
        state: DockState,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._book, self._teacher, self._suggesting = viewer, book, teacher, suggesting
        self._inputs, self._classifying, self._board, self._state = inputs, classifying, board, state
        self._doubts: list[DoubtedTile] = []
        self._at = 0
        self._kept: set[_Key] = set()
        self.panel = CheckPanel()
        self.panel.check_requested.connect(self.check)
        self.panel.moved.connect(self.move)
        self.panel.kept.connect(self.keep)
        self.panel.relabelled.connect(self.relabel)
        self.panel.closed.connect(self.close)

    @property
    def is_asking(self) -> bool:
        """Whether the user is asked about a doubted mark."""
        return bool(self._doubts)

    def check(self) -> None:
        """Look for marks that are likely wrong."""
        labelled, model = self._teacher.labelled, self._inputs.model()
        if model is None or labelled is None or len(labelled.used) < 2:
            self._state.say("Mark tiles of two categories first; then they can be checked.", problem=True)
            return
        self.close()
        device = self._classifying.settings.value().device
        self._board.start("check", partial(_check_job, labelled, model, device), self._heard, self._ended)

    def move(self, step: int) -> None:
        """Go to another doubted mark, round and round."""
        self._at = (self._at + step) % max(1, len(self._doubts))
        self._show()

    def keep(self) -> None:
        """The mark is right."""
        if self._doubts:
            self._kept.add(_key(self._doubts[self._at]))
            self._settled()

    def relabel(self, number: int) -> None:
        """Give the tile another category; 0 takes away what a key or a point said of it."""
        if not self._doubts:
            return
        doubt = self._doubts[self._at]
        image, grids = self._image(doubt), self._teacher.grids.get(doubt.source.id)
        if image is not None and grids is not None:
            plane = doubt.source.plane
            if not relabel_tile(self._viewer, self._book, image, plane, doubt.box, number, grids[plane]):
                self._state.say("This tile is part of an area: erase that, or give it another category.", problem=True)
                return
        self._settled()

    def close(self) -> None:
        """Ask no more."""
        if self._doubts:
            self._suggesting.end()
        self._doubts = []
        self.panel.show_nothing()

    def _heard(self, news: Looking | tuple[DoubtedTile, ...]) -> None:
        if isinstance(news, Looking):
            self._teacher.looked.emit(news.done, news.total)
            return
        self._doubts, self._at = [one for one in news if _key(one) not in self._kept], 0
        if self._doubts:
            self._show()
        else:
            kept = " but those that you kept" if news else ""
            self.panel.show_nothing(f"No mark is contradicted by the others{kept}.")

    def _ended(self, failure: str | None) -> None:
        self._teacher.looked.emit(1, 1)
        if failure:
            self._state.say(failure, problem=True)

    def _settled(self) -> None:
        self._doubts.pop(self._at)
        if not self._doubts:
            self._suggesting.end()
            self.panel.show_nothing("All doubted marks are settled. Ctrl+Z on the canvas takes the last change back.")
            return
        self._at %= len(self._doubts)
        self._show()

    def _show(self) -> None:
        """Go to the doubted mark; those whose micrograph was closed are passed over."""
        self._doubts = [one for one in self._doubts if self._image(one) is not None]
        if not self._doubts:
            self.close()
            return
        self._at %= len(self._doubts)
        doubt = self._doubts[self._at]
        image = self._image(doubt)
        try:
            assert image is not None  # noqa: S101 - filtered above
            target = self._teacher.target(image)
        except SemclassError as error:
            self._state.say(str(error), problem=True)
            return
        self._suggesting.ask(Suggestion(target, doubt.source.plane, doubt.box, doubt.suggested.name))
        self.panel.show_doubt(doubt, self._at + 1, len(self._doubts), self._book.categories.items)

    def _image(self, doubt: DoubtedTile) -> Image | None:
        layers = (one for one in self._viewer.layers if isinstance(one, Image))
        return next((one for one in layers if str(one.unique_id) == doubt.source.id), None)


def _key(doubt: DoubtedTile) -> _Key:
    return doubt.source.id, doubt.source.plane, doubt.box, doubt.marked.number


def _check_job(
    labelled: LabelledTiles, base: str, device: str, stop: threading.Event
) -> Generator[Looking | tuple[DoubtedTile, ...], None, None]:
    """Look at the marked tiles, and yield those that are doubted."""
    from napari_semclass.classify.feature_cache import FeatureCache
    from napari_semclass.model.store import load_model

    cache = FeatureCache.shared()
    features = yield from labelled_features(labelled, load_model(base), device=device, cache=cache, stop=stop)
    if features is not None:
        yield doubted_tiles(labelled, features)
