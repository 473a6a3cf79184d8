"""How it is classified: a form that edits the core's Settings."""

from dataclasses import replace

from magicgui.widgets import CheckBox as MagicCheckBox
from magicgui.widgets import ComboBox, Container
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QRadioButton, QSpinBox, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_semclass.classify.settings import Settings
from napari_semclass.model.card import Card
from napari_semclass.viewer.reject_panel import RejectPanel

_LARGEST = 16_384


class SettingsPanel(QWidget):
    """Edits a `Settings`; `value_changed` fires for the user's edits only.

    `reject` is a panel of its own, which stands with the results: it changes them without classifying again.
    """

    value_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card: Card | None = None
        self.reject = RejectPanel()
        self.tiles = QRadioButton("&Tiles")
        self.tiles.setToolTip("Say what is where: every tile of the micrograph gets its category")
        self.whole = QRadioButton("&Whole picture")
        self.whole.setToolTip("Say what the micrograph shows as a whole")
        self._mode = QButtonGroup(self)
        for button in (self.tiles, self.whole):
            self._mode.addButton(button)
        self.tile = _pixels("Side of a tile")
        self.stride = _pixels("Step from one tile to the next; smaller than the tile means overlap and finer detail")
        self.tiles.setChecked(True)
        modes = QHBoxLayout()
        modes.addWidget(self.tiles)
        modes.addWidget(self.whole)
        modes.addStretch(1)
        sizes = QHBoxLayout()
        for text, box in (("t&ile", self.tile), ("st&ride", self.stride)):
            label = QLabel(text)
            label.setBuddy(box)
            sizes.addWidget(label)
            sizes.addWidget(box, 1)
        sizes.addWidget(QLabel("px"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(modes)
        layout.addLayout(sizes)
        layout.addWidget(self._more())
        self._mode.buttonToggled.connect(self._edited)
        self.tile.valueChanged.connect(self._tile_edited)
        self.stride.valueChanged.connect(self._edited)
        self.set_card(None)

    def value(self) -> Settings:
        """The settings as they stand."""
        return Settings(
            mode="whole" if self.whole.isChecked() else "tiles",
            tile=self.tile.value(),
            stride=self.stride.value(),
            device=str(self.device.value),
            dihedral=bool(self.dihedral.value),
            keep_data_bar=bool(self.keep_data_bar.value),
            reject=self.reject.value(),
        )

    def set_value(self, settings: Settings) -> None:
        """Show settings; tile and stride of None become the card's."""
        tile = settings.tile or (self._card.tile if self._card else 224)
        self.blockSignals(True)
        self.whole.setChecked(settings.mode == "whole")
        self.tiles.setChecked(settings.mode == "tiles")
        self.tile.setValue(tile)
        self.stride.setMaximum(tile)
        self.stride.setValue(settings.stride or tile)
        self.device.value = settings.device
        self.dihedral.value = settings.dihedral
        self.keep_data_bar.value = settings.keep_data_bar
        self.reject.set_value(settings.reject)
        self.blockSignals(False)
        self._edited()

    def set_card(self, card: Card | None) -> None:
        """Take the model's own tile and stride."""
        self._card = card
        self.reject.set_card(card)
        self.set_value(replace(self.value(), tile=None, stride=None))

    def _more(self) -> QCollapsible:
        self.device = ComboBox(
            label="compute on", choices=("auto", "cpu", "cuda", "mps"), tooltip="auto takes a GPU where there is one"
        )
        self.dihedral = MagicCheckBox(
            text="average over flips and turns",
            tooltip="Eight views of every tile: a little better, eight times slower",
        )
        self.keep_data_bar = MagicCheckBox(
            text="classify the data bar, too",
            tooltip="For pictures in which specimen is taken for a data bar; otherwise its rows are left out",
        )
        form = Container(widgets=[self.device, self.dihedral, self.keep_data_bar], labels=True)
        form.native.layout().setContentsMargins(0, 0, 0, 0)
        form.changed.connect(self._edited)
        more = QCollapsible("More")
        more.setContent(form.native)
        more.collapse(animate=False)
        more.setDuration(0)
        more.layout().setContentsMargins(0, 0, 0, 0)
        more.content().layout().setContentsMargins(0, 0, 0, 0)
        more.toggleButton().setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        return more

    def _tile_edited(self, tile: int) -> None:
        """A stride may not pass the tile; one that was equal to it stays equal."""
        equal = self.stride.value() == self.stride.maximum()
        self.stride.blockSignals(True)
        self.stride.setMaximum(tile)
        if equal:
            self.stride.setValue(tile)
        self.stride.blockSignals(False)
        self._edited()

    def _edited(self, *_: object) -> None:
        for box in (self.tile, self.stride):
            box.setEnabled(self.tiles.isChecked())
            box.setToolTip(box.whatsThis() if self.tiles.isChecked() else "A whole picture has no tiles")
        self.value_changed.emit()


def _pixels(about: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(1, _LARGEST)
    box.setValue(_LARGEST)
    box.setWhatsThis(about)
    box.setKeyboardTracking(False)
    box.setStyleSheet("min-width: 46px;")  # napari's own 70 px would not leave room for a scroll bar beside them
    return box
