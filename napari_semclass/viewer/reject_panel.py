"""Answer only when sure: from which confidence on a tile gets its category, and what that costs on held-out tiles."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from napari_semclass.classify.rejection import rejection_of
from napari_semclass.model.card import Answered, Card

_NOT_MEASURED = (
    "This model has not measured what it knows, so it answers always. Learn or train it again, with tiles held out."
)
_OFF = "Every tile gets a category, whatever it shows."


class RejectPanel(QWidget):
    """Edits `Settings.reject`; `value_changed` fires for the user's edits only."""

    value_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card: Card | None = None
        self._asked: str | float = "auto"
        self.sure = QCheckBox("&Answer only when sure")
        self.least = QSlider(Qt.Orientation.Horizontal)
        self.least.setAccessibleName("Least confidence")
        self.cost = QLabel()
        self.cost.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.sure)
        row.addWidget(self.least, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.cost)
        self.sure.toggled.connect(self._edited)
        self.least.valueChanged.connect(self._edited)
        self.set_card(None)

    def value(self) -> str | float:
        """As `Settings.reject`: "auto" until the user chooses a confidence."""
        return self._asked

    def set_value(self, reject: str | float) -> None:
        """Show a setting; of the confidences that were measured, the slider shows the nearest."""
        self._asked = reject
        measured = self._curve()
        rule = None if self._card is None else rejection_of(reject, self._card)
        wanted = 0.0 if rule is None else rule.confidence
        for widget in (self.sure, self.least):
            widget.blockSignals(True)
        self.least.setRange(0, max(0, len(measured) - 1))
        self.sure.setChecked(reject != "off" and self._can_tell())
        if measured:
            self.least.setValue(min(range(len(measured)), key=lambda i: abs(measured[i].confidence - wanted)))
        for widget in (self.sure, self.least):
            widget.blockSignals(False)
        self._show()

    def set_card(self, card: Card | None) -> None:
        """Take another model; a chosen confidence means something else to it, so its own is taken."""
        self._card = card
        self.set_value("off" if self._asked == "off" and self._can_tell() else "auto")

    def _curve(self) -> tuple[Answered, ...]:
        return () if self._card is None else self._card.reliability

    def _can_tell(self) -> bool:
        return bool(self._curve()) or (self._card is not None and rejection_of("auto", self._card) is not None)

    def _edited(self, *_: object) -> None:
        measured = self._curve()
        if not self.sure.isChecked():
            self._asked = "off"
        elif measured and (self.least.value() or (self._card and self._card.unknown_threshold)):
            self._asked = measured[self.least.value()].confidence
        else:
            self._asked = "auto"
        self._show()
        self.value_changed.emit()

    def _show(self) -> None:
        can_tell, on = self._can_tell(), self.sure.isChecked()
        self.sure.setEnabled(can_tell)
        self.least.setEnabled(can_tell and on and len(self._curve()) > 1)
        # Without a model, as while models are being loaded, nothing can be said of it.
        reason = "" if can_tell or self._card is None else _NOT_MEASURED
        self.sure.setToolTip(reason or "What the model is not sure of, or what is unlike its training, becomes unknown")
        self.least.setToolTip(reason or ("How sure an answer has to be" if on else "Tick the box on the left first"))
        self.cost.setText(reason if not can_tell else self._cost() if on else _OFF)

    def _cost(self) -> str:
        """What the setting does to held-out tiles of the training."""
        measured = self._curve()
        if not measured:
            return "What is unlike the training becomes unknown."
        point = measured[self.least.value()]
        least = f"From {100 * point.confidence:.4g} % confidence on" if point.confidence else "All but what is strange"
        return (
            f"{least}: answers {100 * point.coverage:.0f} % of tiles at {100 * point.accuracy:.0f} % accuracy "
            "(held-out tiles of its training)."
        )
