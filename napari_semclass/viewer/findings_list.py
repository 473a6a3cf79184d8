"""The grid of pictures of the folder browser: thousands of them, of which only those in sight are drawn."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractListModel, QModelIndex, QSize, QSortFilterProxyModel, Qt, QTimer, Signal
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QListView, QWidget

from napari_semclass.annotate.findings import Finding
from napari_semclass.viewer.folder_job import THUMBNAIL

ALL, UNKNOWN, FAILED, CORRECTED = "all", "unknown", "failed", "corrected"
_FINDING = Qt.ItemDataRole.UserRole
_CELL = QSize(THUMBNAIL + 16, THUMBNAIL + 44)
_PAUSE_MS = 60  # while the user scrolls, pictures that flew by are not asked for


class FindingsModel(QAbstractListModel):
    """Findings in the order in which they came; emits `wanted(list of (name, overlay))` for pictures in sight."""

    wanted = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._findings: list[Finding] = []
        self._rows: dict[str, int] = {}
        self._icons: dict[str, QIcon] = {}
        self._missing: dict[str, Path] = {}
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._ask)

    @property
    def findings(self) -> list[Finding]:
        """All of them."""
        return list(self._findings)

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """How many there are."""
        return 0 if parent.isValid() else len(self._findings)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What is shown of one."""
        if not index.isValid():
            return None
        finding = self._findings[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{_answer(finding)}\n{Path(finding.name).name}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return finding.error or f"{finding.name}\n{_answer(finding)}\nDouble-click or Return opens it"
        if role == Qt.ItemDataRole.DecorationRole:
            return self._icon(finding)
        if role == Qt.ItemDataRole.SizeHintRole:  # before its picture comes, too
            return _CELL
        return finding if role == _FINDING else None

    def show(self, findings: Sequence[Finding]) -> None:
        """Show these and no others."""
        self.beginResetModel()
        self._findings = list(findings)
        self._rows = {finding.name: row for row, finding in enumerate(self._findings)}
        self._icons.clear()
        self._missing.clear()
        self.endResetModel()

    def add(self, findings: Sequence[Finding]) -> None:
        """Add some, in place of earlier ones of the same names."""
        for finding in findings:
            row = self._rows.get(finding.name)
            self._icons.pop(finding.name, None)
            if row is not None:
                self._findings[row] = replace(finding, correction=self._findings[row].correction)
                self.dataChanged.emit(self.index(row), self.index(row))
                continue
            row = len(self._findings)
            self.beginInsertRows(QModelIndex(), row, row)
            self._findings.append(finding)
            self._rows[finding.name] = row
            self.endInsertRows()

    def correct(self, names: Sequence[str], category: str) -> None:
        """Say what pictures are; empty takes it back."""
        for name in names:
            row = self._rows[name]
            self._findings[row] = replace(self._findings[row], correction=category)
            self.dataChanged.emit(self.index(row), self.index(row))

    def show_picture(self, name: str, pixels: NDArray[np.uint8]) -> None:
        """Put in the picture of a finding: (height, width, 3)."""
        height, width = pixels.shape[:2]
        kept = np.ascontiguousarray(pixels)
        image = QImage(kept.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        self._icons[name] = QIcon(QPixmap.fromImage(image))
        row = self._rows.get(name)
        if row is not None:
            self.dataChanged.emit(self.index(row), self.index(row), [Qt.ItemDataRole.DecorationRole])

    def _icon(self, finding: Finding) -> QIcon | None:
        icon = self._icons.get(finding.name)
        if icon is None and not finding.error:
            self._missing[finding.name] = finding.overlay
            if not self._pause.isActive():
                self._pause.start()
        return icon

    def _ask(self) -> None:
        if self._missing:
            self.wanted.emit(list(self._missing.items()))
            self._missing.clear()


class FindingsFilter(QSortFilterProxyModel):
    """Shows findings of one kind, and at most so confident, the least confident first where that is asked for."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind, self._most = ALL, 1.0

    def choose(self, kind: str, most: float) -> None:
        """Show a category (by its label), or one of `ALL`, `UNKNOWN`, `FAILED`, `CORRECTED`; confidence in [0, 1]."""
        self._kind, self._most = kind, most
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        """Whether one is shown."""
        finding = self.sourceModel().index(row, 0, parent).data(_FINDING)
        of_kind = {
            ALL: True,
            UNKNOWN: not finding.label and not finding.error,
            FAILED: bool(finding.error),
            CORRECTED: bool(finding.correction),
        }.get(self._kind, finding.label == self._kind)
        # What failed has no confidence: it is shown unless only doubtful answers are asked for.
        sure = finding.confidence if finding.confidence is not None else 1.0
        return of_kind and (sure <= self._most or self._kind == FAILED)


class FindingsList(QListView):
    """The grid; emits `opened(Finding)` on a double click or Return."""

    opened = Signal(object)

    def __init__(self, findings: FindingsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.shown = FindingsFilter(self)
        self.shown.setSourceModel(findings)
        self.setModel(self.shown)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setLayoutMode(QListView.LayoutMode.Batched)
        self.setUniformItemSizes(True)
        self.setIconSize(QSize(THUMBNAIL, THUMBNAIL))
        self.setGridSize(_CELL)
        self.setWordWrap(True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setSelectionMode(QListView.SelectionMode.ExtendedSelection)
        self.activated.connect(lambda index: self.opened.emit(index.data(_FINDING)))

    def chosen(self) -> list[Finding]:
        """Those that are selected."""
        return [index.data(_FINDING) for index in self.selectedIndexes()]

    def visible_findings(self) -> list[Finding]:
        """Those that the filter lets through, in the order shown."""
        return [self.shown.index(row, 0).data(_FINDING) for row in range(self.shown.rowCount())]


def _answer(finding: Finding) -> str:
    if finding.error:
        return "failed"
    if finding.correction:
        return f"✓ {finding.correction}"
    sure = "" if finding.confidence is None else f" {100 * finding.confidence:.0f} %"
    return f"{finding.category}{sure}"
