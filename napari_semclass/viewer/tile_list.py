"""Small pictures of held-out tiles with what each is and was taken for; one click goes there."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QListView, QListWidget, QListWidgetItem, QWidget

from napari_semclass.learn.held_out import HeldOutTiles
from napari_semclass.viewer.outcome_job import THUMBNAIL

_INDEX = Qt.ItemDataRole.UserRole
_CELL = QSize(88, THUMBNAIL + 54)  # three lines below the picture


class TileList(QListWidget):
    """Emits `tile_chosen(index)` with the index in the `HeldOutTiles` on a click or Return."""

    tile_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setIconSize(QSize(THUMBNAIL, THUMBNAIL))
        self.setGridSize(_CELL)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.itemClicked.connect(self._chose)
        self.itemActivated.connect(self._chose)

    def show_tiles(self, tiles: HeldOutTiles, indices: Sequence[int]) -> None:
        """List tiles; their pictures come later."""
        self.clear()
        for index in indices:
            truth, answer = (tiles.categories[int(n)] for n in (tiles.labels[index], tiles.answers[index]))
            sure = f"{100 * tiles.probabilities[index].max():.0f} %"
            lines = [sure, *dict.fromkeys((answer, truth))]
            item = QListWidgetItem(_blank(), "\n".join(map(self._fitting, lines)))
            item.setData(_INDEX, index)
            y0, x0, y1, x1 = tiles.boxes[index].tolist()
            taken = f"taken for {answer}" if truth != answer else "told right"
            item.setToolTip(
                f"{truth}, {taken} with {sure}\n{tiles.paths[index].name}, x {x0}–{x1}, y {y0}–{y1}\n"
                "Click to go there and look, or correct its mark"
            )
            self.addItem(item)
        rows = 1 if len(indices) <= 3 else 2
        self.setFixedHeight(rows * _CELL.height() + 6)

    def show_picture(self, index: int, pixels: NDArray[np.uint8]) -> None:
        """Put in the picture of a tile: grey levels (height, width)."""
        height, width = pixels.shape
        kept = np.ascontiguousarray(pixels)
        picture = QPixmap.fromImage(QImage(kept.data, width, height, width, QImage.Format.Format_Grayscale8))
        for row in range(self.count()):
            if self.item(row).data(_INDEX) == index:
                self.item(row).setIcon(QIcon(picture))

    def _fitting(self, line: str) -> str:
        """Cut to the width of a cell: Qt would break a long name into lines, and the last ones be lost."""
        return self.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, _CELL.width() - 8)

    def _chose(self, item: QListWidgetItem) -> None:
        self.tile_chosen.emit(item.data(_INDEX))


def _blank() -> QIcon:
    """Holds the place of a picture that has not come yet."""
    pixmap = QPixmap(THUMBNAIL, THUMBNAIL)
    pixmap.fill(Qt.GlobalColor.transparent)
    return QIcon(pixmap)
