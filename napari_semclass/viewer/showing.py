"""Puts results into the viewer without holding its thread for long."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer

from napari_semclass.viewer.layers import Overlay, insert_result, new_result, update_result


@dataclass(eq=False)
class _Wish:
    overlay: Overlay
    after: Callable[[], None]
    keep_active: bool
    made: Labels | None = None


class Showing(QObject):
    """Brings overlays up to date at once; a new one comes in two turns of the event loop.

    To make a layer of labels and to take it into a window keeps napari busy for tens of milliseconds each.
    """

    def __init__(self, viewer: ViewerModel, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._wishes: deque[_Wish] = deque()
        self._turn = QTimer(self)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self._go_on)

    def show(self, overlay: Overlay, after: Callable[[], None], *, keep_active: bool = False) -> None:
        """Show an overlay, and call `after` when it is in the viewer.

        With `keep_active`, the layer that is worked on is worked on still.
        """
        self._wishes.append(_Wish(overlay, after, keep_active))
        if len(self._wishes) == 1:
            self._go_on()

    def finish(self) -> None:
        """Show now whatever still waits."""
        while self._wishes:
            self._go_on()

    def let_go(self) -> None:
        """Nothing more comes: the viewer is about to close."""
        self._turn.stop()
        self._wishes.clear()

    def _go_on(self) -> None:
        wish = self._wishes[0]
        if wish.made is not None:
            self._insert(wish, wish.made)
        elif not update_result(self._viewer, wish.overlay):
            wish.made = new_result(wish.overlay)
            self._turn.start()
            return
        self._wishes.popleft()
        if not self._wishes:
            self._turn.stop()
        wish.after()

    def _insert(self, wish: _Wish, labels: Labels) -> None:
        active = self._viewer.layers.selection.active
        insert_result(self._viewer, wish.overlay, labels)
        if wish.keep_active:
            self._viewer.layers.selection.active = active
