"""Tile and stride in pixels, or in micrometres where the pixel size is known."""

from dataclasses import replace

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QDoubleSpinBox, QHBoxLayout, QLabel, QWidget

from napari_semclass.classify.scale import LARGEST_TILE
from napari_semclass.classify.settings import Settings
from napari_semclass.model.card import Card

PIXELS, MICROMETRES = "px", "µm"
_USUAL = 224
_MICRO = 1e-6
_UNKNOWN = "The pixel size of this micrograph is not known: give its layer a scale and units, or take pixels"
_KNOWN = "Pixels, or micrometres: then every micrograph gets tiles of the same real size"


class TileSize(QWidget):
    """Edits the tile and stride of a `Settings`; `value_changed` fires for the user's edits only."""

    value_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card: Card | None = None
        self._pixel_size: float | None = None
        self.tile = _Length("Side of a tile")
        self.stride = _Length("Step from one tile to the next; smaller than the tile means overlap and finer detail")
        self.unit = QComboBox()
        self.unit.addItems((PIXELS, MICROMETRES))
        self.unit.setFixedWidth(64)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for text, box in (("t&ile", self.tile), ("st&ride", self.stride)):
            label = QLabel(text)
            label.setBuddy(box)
            row.addWidget(label)
            row.addWidget(box, 1)
        row.addWidget(self.unit)
        self.tile.valueChanged.connect(self._tile_edited)
        self.stride.valueChanged.connect(self.value_changed)
        self.unit.activated.connect(self._unit_chosen)
        self._show(_USUAL, _USUAL, PIXELS)

    def into(self, settings: Settings) -> Settings:
        """The settings with this tile and stride."""
        tile, stride = self.tile.value(), self.stride.value()
        if self.unit.currentText() == MICROMETRES:
            return replace(settings, tile=None, stride=None, tile_um=tile, stride_um=stride)
        return replace(settings, tile=round(tile), stride=round(stride), tile_um=None, stride_um=None)

    def set_value(self, settings: Settings) -> None:
        """Show the settings' tile and stride; those of None become the card's."""
        card = self._card
        length = settings.tile_um
        if length is None and settings.tile is None and card is not None and self._pixel_size is not None:
            length = card.tile_um
        if length is None:
            tile = settings.tile or (card.tile if card is not None else _USUAL)
            self._show(tile, settings.stride or tile, PIXELS)
        else:
            self._show(length, settings.stride_um or length, MICROMETRES)

    def set_card(self, card: Card | None) -> None:
        """Take what a model was made for as the default."""
        self._card = card
        self.set_value(Settings())

    def set_pixel_size(self, metres: float | None) -> None:
        """Offer micrometres where the pixel size is known; what is chosen stays."""
        before, self._pixel_size = self._pixel_size, metres
        card, pixels = self._card, self.unit.currentText() == PIXELS
        as_it_came = pixels and card is not None and self.tile.value() == self.stride.value() == card.tile
        if as_it_came and before is None and card is not None and card.tile_um is not None:
            self.set_value(Settings())
        self._show_unit()

    def set_possible(self, why_not: str) -> None:
        """Tiles can be chosen; or why not."""
        for box in (self.tile, self.stride, self.unit):
            box.setEnabled(not why_not)
        for box in (self.tile, self.stride):
            box.setToolTip(why_not or box.whatsThis())
        self._show_unit()

    def _show_unit(self) -> None:
        """Let back to pixels, but to micrometres only where they mean something."""
        known = self._pixel_size is not None
        self.unit.setEnabled(self.tile.isEnabled() and (known or self.unit.currentText() == MICROMETRES))
        self.unit.setToolTip(_KNOWN if known else _UNKNOWN)

    def _show(self, tile: float, stride: float, unit: str) -> None:
        blocked = [(box, box.blockSignals(True)) for box in (self.tile, self.stride, self.unit)]
        self.unit.setCurrentText(unit)
        for box in (self.tile, self.stride):
            box.set_unit(unit)
        self.tile.setValue(tile)
        self.stride.setMaximum(self.tile.value())
        self.stride.setValue(stride)
        for box, before in blocked:
            box.blockSignals(before)
        self._show_unit()

    def _unit_chosen(self) -> None:
        """Say the same sizes in the other unit, as nearly as it can."""
        unit = self.unit.currentText()
        if unit == self.tile.unit or self._pixel_size is None:
            if unit != self.tile.unit:  # of a micrograph that does not say what a micrometre is
                self.set_value(Settings(tile=self._card.tile if self._card is not None else _USUAL))
                self.value_changed.emit()
            return
        micrometres = self._pixel_size / _MICRO
        factor = 1 / micrometres if unit == PIXELS else micrometres
        self._show(self.tile.value() * factor, self.stride.value() * factor, unit)
        self.value_changed.emit()

    def _tile_edited(self, tile: float) -> None:
        """A stride may not pass the tile; one that was equal to it stays equal."""
        equal = self.stride.value() == self.stride.maximum()
        self.stride.blockSignals(True)
        self.stride.setMaximum(tile)
        if equal:
            self.stride.setValue(tile)
        self.stride.blockSignals(False)
        self.value_changed.emit()


class _Length(QDoubleSpinBox):
    """A number of pixels, or of micrometres with four digits."""

    def __init__(self, about: str) -> None:
        super().__init__()
        self.setWhatsThis(about)
        self.setKeyboardTracking(False)
        # No buttons, and less than napari's own 70 px: four digits twice and the unit must fit in a narrow dock.
        self.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.setStyleSheet("min-width: 46px;")
        self.set_unit(PIXELS)

    def set_unit(self, unit: str) -> None:
        """Take numbers of another unit."""
        self.unit = unit
        self.setDecimals(0 if unit == PIXELS else 6)
        self.setRange(*((1, LARGEST_TILE) if unit == PIXELS else (1e-4, 1e5)))
        steps = QAbstractSpinBox.StepType
        self.setStepType(steps.DefaultStepType if unit == PIXELS else steps.AdaptiveDecimalStepType)

    def textFromValue(self, value: float) -> str:
        """Without the zeros that the decimals would give."""
        return f"{value:.0f}" if self.unit == PIXELS else self.locale().toString(value, "g", 4)
