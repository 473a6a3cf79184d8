"""Keys on the canvas while marks are made: they win over napari's own, and are given back afterwards."""

from collections.abc import Callable, Mapping
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer
from napari.utils.key_bindings import KeymapProvider
from qtpy.QtCore import Qt
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QLineEdit, QPlainTextEdit, QTextEdit, QWidget

_TYPED_IN = (QLineEdit, QTextEdit, QPlainTextEdit, QAbstractSpinBox)


class MarkKeys:
    """Binds keys on the viewer and on whichever layer is active; `hold` begins and `release` ends it.

    In between, the canvas takes the keyboard as soon as the pointer moves over it: who has just named a category or
    pressed a button points at a place next, and presses a key there.

    Parameters
    ----------
    viewer : ViewerModel
    panel : QWidget
        Some widget of the viewer's window.
    keys : mapping of key name (as napari writes it) to what it does
    unless : callable
        Given the active layer and a key; True leaves that key to the layer.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        panel: QWidget,
        keys: Mapping[str, Callable[[], None]],
        unless: Callable[[Layer, str], bool],
    ) -> None:
        self._viewer, self._panel, self._keys, self._unless = viewer, panel, dict(keys), unless
        self._bound: list[tuple[KeymapProvider, dict[Any, Any]]] = []
        self._held = False

    def hold(self) -> None:
        """Take the keys."""
        if self._held:
            return
        self._held = True
        self._viewer.layers.selection.events.active.connect(self._rebind)
        self._viewer.mouse_move_callbacks.append(self._follow)
        self._rebind()

    def release(self) -> None:
        """Give the keys back to whoever had them."""
        if not self._held:
            return
        self._held = False
        self._viewer.layers.selection.events.active.disconnect(self._rebind)
        self._viewer.mouse_move_callbacks.remove(self._follow)
        self._unbind()

    def _follow(self, viewer: ViewerModel, event: object) -> None:
        """The pointer moved over the canvas: it gets the keyboard, unless something is being typed elsewhere."""
        held, canvas = self._panel.window().focusWidget(), QApplication.widgetAt(QCursor.pos())
        if canvas is not None and held is not canvas and not isinstance(held, _TYPED_IN):
            canvas.setFocus(Qt.FocusReason.MouseFocusReason)

    def _rebind(self, event: object = None) -> None:
        # A layer's own keys come before the viewer's in napari, so the active layer needs them, too.
        self._unbind()
        active = self._viewer.layers.selection.active
        for provider in [self._viewer, *([] if active is None else [active])]:
            self._bound.append((provider, dict(provider.keymap)))
            for key, act in self._keys.items():
                if provider is self._viewer or not self._unless(active, key):
                    provider.bind_key(key, lambda _, act=act: act(), overwrite=True)

    def _unbind(self) -> None:
        for provider, before in self._bound:
            # In place: napari 0.6 lets nobody set the viewer's.
            provider.keymap.clear()
            provider.keymap.update(before)
        self._bound = []
