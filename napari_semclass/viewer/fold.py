"""A part of the dock that is folded away until it is asked for."""

from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QWidget
from superqt import QCollapsible


class Fold(QCollapsible):
    """Shows `inside` below a button with this title, folded at first; reached by Tab, opened by Space."""

    def __init__(self, title: str, inside: QWidget) -> None:
        # superqt draws its arrows in the palette's colour, black on napari's dark theme; text has the right one.
        nothing = QPixmap(1, 1)  # an empty icon is no icon to some bindings of Qt
        nothing.fill(Qt.GlobalColor.transparent)
        super().__init__(title, expandedIcon=QIcon(nothing), collapsedIcon=QIcon(nothing))
        self._title = title
        self.setContent(inside)
        self.setDuration(0)
        self.layout().setContentsMargins(0, 0, 0, 0)
        inside.layout().setContentsMargins(0, 0, 0, 0)
        self.toggleButton().setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.toggled.connect(self._point)
        self.collapse(animate=False)

    def _point(self, expanded: bool) -> None:
        self.setText(f"{'▾' if expanded else '▸'} {self._title}")
