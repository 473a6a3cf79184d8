"""How it is classified: a form that edits the core's Settings."""

from magicgui.widgets import CheckBox as MagicCheckBox
from magicgui.widgets import ComboBox, Container
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QRadioButton, QVBoxLayout, QWidget

from napari_semclass.classify.settings import Settings
from napari_semclass.model.card import Card
from napari_semclass.viewer.fold import Fold
from napari_semclass.viewer.reject_panel import RejectPanel
from napari_semclass.viewer.tile_size import TileSize


class SettingsPanel(QWidget):
    """Edits a `Settings`; `value_changed` fires for the user's edits only.

    `reject` is a panel of its own, which stands with the results: it changes them without classifying again.
    """

    value_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.reject = RejectPanel()
        self.tiles = QRadioButton("&Tiles")
        self.tiles.setToolTip("Say what is where: every tile of the micrograph gets its category")
        self.whole = QRadioButton("&Whole picture")
        self.whole.setToolTip("Say what the micrograph shows as a whole")
        self._mode = QButtonGroup(self)
        for button in (self.tiles, self.whole):
            self._mode.addButton(button)
        self.size = TileSize()
        self.tile, self.stride = self.size.tile, self.size.stride
        self.tiles.setChecked(True)
        modes = QHBoxLayout()
        modes.addWidget(self.tiles)
        modes.addWidget(self.whole)
        modes.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(modes)
        layout.addWidget(self.size)
        layout.addWidget(self._more())
        self._mode.buttonToggled.connect(self._edited)
        self.size.value_changed.connect(self._edited)
        self.set_card(None)

    def value(self) -> Settings:
        """The settings as they stand."""
        settings = Settings(
            mode="whole" if self.whole.isChecked() else "tiles",
            device=str(self.device.value),
            dihedral=bool(self.dihedral.value),
            keep_data_bar=bool(self.keep_data_bar.value),
            reject=self.reject.value(),
        )
        return self.size.into(settings)

    def set_value(self, settings: Settings) -> None:
        """Show settings; tile and stride of None become the card's."""
        self.blockSignals(True)
        self.whole.setChecked(settings.mode == "whole")
        self.tiles.setChecked(settings.mode == "tiles")
        self.size.set_value(settings)
        self.device.value = settings.device
        self.dihedral.value = settings.dihedral
        self.keep_data_bar.value = settings.keep_data_bar
        self.reject.set_value(settings.reject)
        self.blockSignals(False)
        self._edited()

    def set_card(self, card: Card | None) -> None:
        """Take the model's own tile and stride."""
        self.reject.set_card(card)
        self.size.set_card(card)
        self.set_value(self.value())

    def set_pixel_size(self, metres: float | None) -> None:
        """Of the chosen micrograph: with it, tiles can be in micrometres."""
        self.size.set_pixel_size(metres)

    def _more(self) -> Fold:
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
        form.changed.connect(self._edited)
        return Fold("More", form.native)

    def _edited(self, *_: object) -> None:
        self.size.set_possible("" if self.tiles.isChecked() else "A whole picture has no tiles")
        self.value_changed.emit()
