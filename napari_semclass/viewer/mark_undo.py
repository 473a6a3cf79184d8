"""Undo for marks in Shapes and Points layers, which napari itself does not have; Labels keep napari's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari.layers import Points, Shapes
from pandas import DataFrame

from napari_semclass.annotate.categories import Categories
from napari_semclass.viewer.mark_layers import show_categories

_MOST = 200


@dataclass(frozen=True, eq=False)
class _State:
    """What a layer held."""

    data: list[Any]
    kinds: list[str]
    features: DataFrame

    @classmethod
    def of(cls, layer: Shapes | Points) -> "_State":
        kinds = list(layer.shape_type) if isinstance(layer, Shapes) else []
        return cls([corners.copy() for corners in layer.data], kinds, layer.features.copy())


class MarkUndo:
    """Remembers what followed layers held before each change.

    Parameters
    ----------
    categories : callable
        Gives the categories of now, for the colours of what comes back.
    """

    def __init__(self, categories: Callable[[], Categories]) -> None:
        self._categories = categories
        self._now: dict[Shapes | Points, _State] = {}
        self._past: list[tuple[Shapes | Points, _State]] = []
        self._undoing = False

    def follow(self, layer: Shapes | Points) -> None:
        """Remember a layer's changes from here on."""
        if layer not in self._now:
            self._now[layer] = _State.of(layer)
            layer.events.data.connect(self._changed)

    def forget(self, layer: Shapes | Points) -> None:
        """A layer was removed."""
        if self._now.pop(layer, None) is not None:
            layer.events.data.disconnect(self._changed)
        self._past = [entry for entry in self._past if entry[0] is not layer]

    def forget_all(self) -> None:
        """Let go of every layer."""
        for layer in list(self._now):
            self.forget(layer)

    def undo(self) -> bool:
        """Take the last change back; False when there is none."""
        if not self._past:
            return False
        layer, state = self._past.pop()
        self._undoing = True
        try:
            layer.selected_data = set()
            if isinstance(layer, Shapes):
                layer.data = []
                if state.data:
                    layer.add(state.data, shape_type=state.kinds)
            else:
                layer.data = state.data
            layer.features = state.features
            show_categories(layer, self._categories())
            self._now[layer] = _State.of(layer)
        finally:
            self._undoing = False
        layer.events.data(value=layer.data)
        return True

    def _changed(self, event: Any) -> None:
        layer = event.source
        # Of napari's pairs "adding, added" the second counts; our own events have no action.
        if self._undoing or str(getattr(event, "action", "")).endswith("ing") or layer not in self._now:
            return
        now, before = _State.of(layer), self._now[layer]
        if len(now.data) == len(before.data) and now.features.equals(before.features) and _same(now, before):
            return
        self._past = [*self._past, (layer, before)][-_MOST:]
        self._now[layer] = now


def _same(one: _State, other: _State) -> bool:
    return one.kinds == other.kinds and all(
        a.shape == b.shape and (a == b).all() for a, b in zip(one.data, other.data, strict=True)
    )
