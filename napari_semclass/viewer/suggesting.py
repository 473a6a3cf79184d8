"""Going through the tiles whose marks would teach most: where the next one is, and a frame around it."""

from collections import deque
from collections.abc import Iterable

import numpy as np
from napari.components import ViewerModel
from napari.layers import Shapes

from napari_semclass.viewer.layers import go_to_box, image_behind, placement
from napari_semclass.viewer.learn_job import Suggestion
from napari_semclass.viewer.mark_layers import tile_corners

_FRAME = "next tile"
_FRAME_KEY = "semclass_frame"


class Suggesting:
    """The suggestions of the last learning, and the one the user is asked about."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._waiting: deque[Suggestion] = deque()
        self._settled: set[tuple[str, int, tuple[int, int, int, int]]] = set()
        self.asked: Suggestion | None = None

    def renew(self, suggestions: Iterable[Suggestion]) -> None:
        """Take the suggestions of a new model; what was marked or skipped since is not asked again."""
        self._waiting = deque(one for one in suggestions if _key(one) not in self._settled)

    def next(self) -> Suggestion | None:
        """Go to the next tile and frame it; None when none is left."""
        while self._waiting:
            candidate = self._waiting.popleft()
            if candidate.target.layer in self._viewer.layers and _key(candidate) not in self._settled:
                self._settled.add(_key(candidate))
                self.ask(candidate)
                return candidate
        self.end()
        return None

    def ask(self, asked: Suggestion) -> None:
        """Go to a tile, frame it, and take it for what the user is asked about."""
        self.asked = asked
        self._show_alone(asked)
        self._frame(asked)
        go_to_box(self._viewer, asked.target.layer, asked.target.leading, asked.plane, asked.box)

    def end(self) -> None:
        """Ask no more."""
        self.asked = None
        for layer in [one for one in self._viewer.layers if _FRAME_KEY in one.metadata]:
            self._viewer.layers.remove(layer)

    def forget(self) -> None:
        """Skipped tiles may be asked again, as after the marks or images changed altogether."""
        self._settled.clear()
        self._waiting.clear()
        self.end()

    def _show_alone(self, asked: Suggestion) -> None:
        """Images opened one after the other lie on each other: hide what would cover the tile, or belongs to that."""
        image = asked.target.layer
        for layer in self._viewer.layers:
            owner = image_behind(self._viewer, layer)
            if owner is not None:
                layer.visible = owner is image

    def _frame(self, asked: Suggestion) -> None:
        image = asked.target.layer
        corners = tile_corners(image, asked.plane, asked.box)
        old = next((one for one in self._viewer.layers if _FRAME_KEY in one.metadata), None)
        active = self._viewer.layers.selection.active
        if old is not None:
            self._viewer.layers.remove(old)
        frame = Shapes(
            [corners],
            shape_type="rectangle",
            edge_color="white",
            face_color="transparent",
            edge_width=max(2.0, 0.015 * float(np.ptp(corners[:, -1]))),
            name=_FRAME,
            metadata={_FRAME_KEY: True},
            **placement(image),
        )
        self._viewer.layers.append(frame)
        self._viewer.layers.selection.active = active


def _key(one: Suggestion) -> tuple[str, int, tuple[int, int, int, int]]:
    return one.target.id, one.plane, one.box
