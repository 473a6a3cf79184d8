"""What keys do to tiles: mark one, answer for the one asked about, go to the next, take it back."""

from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_semclass.annotate.planes import plane_of
from napari_semclass.viewer.annotate_panel import AnnotatePanel
from napari_semclass.viewer.checking import Checking
from napari_semclass.viewer.input_panel import InputPanel
from napari_semclass.viewer.learn_job import Suggestion
from napari_semclass.viewer.mark_book import MarkBook
from napari_semclass.viewer.mark_layers import image_shape
from napari_semclass.viewer.state import DockState
from napari_semclass.viewer.suggesting import Suggesting
from napari_semclass.viewer.teacher import Teacher

_NO_CATEGORY = "No category has the key {}."

Place = tuple[Image, int, tuple[int, int, int, int]]
"""A tile: its image, its plane, its box."""


class Marking:
    """Marks tiles by key, at the cursor or as suggested."""

    def __init__(
        self,
        viewer: ViewerModel,
        book: MarkBook,
        teacher: Teacher,
        suggesting: Suggesting,
        checking: Checking,
        panel: AnnotatePanel,
        inputs: InputPanel,
        state: DockState,
    ) -> None:
        self._viewer, self._inputs, self._state = viewer, inputs, state
        self._book, self._teacher, self._panel = book, teacher, panel
        self._suggesting, self._checking = suggesting, checking
        self._question = ""
        self._missing = 0
        book.categories_changed.connect(self._found)

    def _found(self) -> None:
        """A key that had no category has one now: the complaint about it is out of date."""
        complaint = _NO_CATEGORY.format(self._missing)
        if self._state.message == complaint and self._book.categories.by_key(self._missing) is not None:
            self._state.say("")

    def mark(self, key: int) -> None:
        """What a number key means: of the selected shapes, of the tile asked about, or of the tile at the cursor."""
        category = self._book.categories.by_key(key) if key else None
        if key and category is None:
            self._missing = key
            self._state.say(_NO_CATEGORY.format(key), problem=True)
            return
        number = category.number if category else 0
        if number:
            self._panel.categories.choose(number)
            self._book.choose(number)
        active = self._viewer.layers.selection.active
        if number and isinstance(active, Labels) and active in self._book.layers():
            return  # it is now what the brush paints
        if number and self._book.mark_selected(active, number):
            return
        asked = self._suggesting.asked
        if asked is not None:
            self._answer(asked, number)
            return
        place = self._tile_at_cursor()
        if place is not None:
            self._book.mark_tile(*place, number)

    def accept(self) -> None:
        """The predicted category of the tile asked about is right."""
        asked = self._suggesting.asked
        if asked is None:
            return
        held = self._book.categories.by_name(asked.category)
        if held is not None:
            self._answer(asked, held.number)

    def next(self) -> None:
        """Go to the tile whose mark would teach most; while labels are checked, to the next doubted one."""
        if self._checking.is_asking:
            self._checking.keep()
            return
        asked = self._suggesting.next()
        if asked is None:
            if self._panel.next.isEnabled():
                self._state.say("Learn once more for new suggestions." if self._teacher.names else "Learn first.")
            return
        self._question = (
            f"Is this {asked.category}? A: yes; 1 to 9, wherever the pointer is: another one; N: next; Esc: end."
        )
        self._state.say(self._question)

    def leave(self) -> None:
        """Ask no more, as when another tab is looked at or the user has enough; labels that are being checked wait."""
        if self._suggesting.asked is not None and not self._checking.is_asking:
            self._suggesting.end()
        if self._question and self._state.message == self._question:
            self._state.say("")

    def undo(self) -> None:
        """Take back the last mark made by key, box or point."""
        if not self._book.undo():
            self._state.say("There is no mark to take back.")

    def _answer(self, asked: Suggestion, number: int) -> None:
        if self._checking.is_asking:
            self._checking.relabel(number)
            return
        self._book.mark_tile(asked.target.layer, asked.plane, asked.box, number)
        self.next()

    def place(self) -> Place | None:
        """The tile asked about, or else the one under the cursor."""
        asked = self._suggesting.asked
        return self._tile_at_cursor() if asked is None else (asked.target.layer, asked.plane, asked.box)

    def _tile_at_cursor(self) -> Place | None:
        """The tile under the cursor on the topmost visible micrograph there.

        One that has no tiles yet, as it is neither chosen nor marked, is chosen instead: what lies beneath it and
        cannot be seen is not what the user points at.
        """
        position = self._viewer.cursor.position
        for image in reversed([one for one in self._inputs.images() if one.visible]):
            if str(image.unique_id) not in self._teacher.grids and _is_on(image, position):
                self._inputs.choose_micrograph(image)
                self._state.say(f"{image.name} is the micrograph now; press the key once more to mark it.")
                return None
            place = self._place_on(image, position)
            if place is not None:
                return place
        return None

    def _place_on(self, image: Image, position: tuple[float, ...]) -> Place | None:
        grids = self._teacher.grids.get(str(image.unique_id))
        if grids is None:
            return None
        where = image.world_to_data(position[-image.ndim :])
        plane = plane_of(where, image_shape(image)[:-2])
        if plane is None:
            return None
        tile = grids[plane].tile_at(where[-2] + 0.5, where[-1] + 0.5)
        return None if tile is None else (image, plane, grids[plane].box(tile))


def _is_on(image: Image, position: tuple[float, ...]) -> bool:
    """Whether a position of the viewer is within an image's pixels."""
    where = image.world_to_data(position[-image.ndim :])
    inside = all(-0.5 <= at < length - 0.5 for at, length in zip(where[-2:], image_shape(image)[-2:], strict=True))
    return inside and plane_of(where, image_shape(image)[:-2]) is not None
