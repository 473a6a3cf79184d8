"""What is classified, by what: the choice of micrographs and of the model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QGridLayout, QLabel, QPushButton, QSizePolicy, QWidget

from napari_semclass.micrograph import length_text
from napari_semclass.model.card import Card
from napari_semclass.model.show import accuracy_line
from napari_semclass.viewer.bar_layers import BarLayers
from napari_semclass.viewer.layer_facts import metadata_of
from napari_semclass.viewer.layers import SCORE_KEY

_OPEN_FILE = "Open a model file…"


class InputPanel(QWidget):
    """Emits `micrographs_changed` and `model_changed` when the user, or the list of layers, changes the choice.

    `data_bars_changed` says that the user corrected the data bars of an open image; `card_requested` asks to see the
    model's card, `file_chosen(path)` to add a model file.
    """

    micrographs_changed = Signal()
    model_changed = Signal()
    data_bars_changed = Signal()
    card_requested = Signal()
    file_chosen = Signal(str)

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._followed: list[Image] = []
        self._cards: dict[str, Card] = {}
        self._chosen: str | None = None
        self.micrographs = _narrow(QComboBox())
        self.micrographs.setToolTip("The Image layer to classify, or all of them")
        self.about_micrographs = QLabel()
        self.about_model = QLabel()
        self.models = _narrow(QComboBox())
        self.models.addItem("loading models…")
        self.models.setEnabled(False)
        self.models.setToolTip("Models are being loaded")
        self.about = QPushButton("A&bout")
        self.about.setToolTip("Categories, how the model was tested, how good it is, licence")
        self.about.setEnabled(False)
        self.about.clicked.connect(self.card_requested)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        for row, (text, box, about) in enumerate(
            (("&Micrograph", self.micrographs, self.about_micrographs), ("M&odel", self.models, self.about_model))
        ):
            label = QLabel(text)
            label.setBuddy(box)
            about.setWordWrap(True)
            grid.addWidget(label, 2 * row, 0)
            grid.addWidget(box, 2 * row, 1, 1, 2 - row)
            grid.addWidget(about, 2 * row + 1, 0, 1, 3)
        grid.addWidget(self.about, 2, 2)
        grid.setColumnStretch(1, 1)
        self.micrographs.currentIndexChanged.connect(self._show_choice)
        self.models.activated.connect(self._model_activated)
        for event in self._list_events():
            event.connect(self._refill)
        self._refill()
        self._bars = BarLayers(viewer, self.data_bars_changed.emit)

    def layers(self) -> list[Image]:
        """The chosen Image layers."""
        chosen = self.micrographs.currentData()
        if chosen is None:
            return []
        return self.images() if chosen == "all" else [i for i in self.images() if i.unique_id == chosen]

    def pixel_size(self) -> float | None:
        """Metres per pixel of the first chosen layer; None where it is not known or its pixels are not square."""
        for layer in self.layers()[:1]:
            for first in metadata_of(layer)[:1]:
                return first.square_pixel_size
        return None

    def model(self) -> str | None:
        """Name or path of the chosen model; None while none is there."""
        return self.models.currentData() if self._cards else None

    def card(self) -> Card | None:
        """The chosen model's card."""
        name = self.model()
        return None if name is None else self._cards.get(name)

    def set_models(self, cards: Mapping[str, Card], choose: str | None = None) -> None:
        """Fill the list of models (name or path -> card) and choose one."""
        keep = choose or self.model() or "starter"
        self._cards = dict(cards)
        self.models.clear()
        for name, card in self._cards.items():
            self.models.addItem(card.title, name)
            self.models.setItemData(
                self.models.count() - 1, f"{name}: {len(card.categories)} categories", Qt.ToolTipRole
            )
        self.models.addItem(_OPEN_FILE, None)
        self.models.setEnabled(True)
        self.models.setToolTip("The model that classifies")
        self.models.setCurrentIndex(max(0, self.models.findData(keep)))
        self._show_model()

    def add_model(self, path: str, card: Card, *, choose: bool = True) -> None:
        """Add a model file to the list, or bring its card up to date, and choose it; files that are gone leave it."""
        there = {name: one for name, one in self._cards.items() if name == Path(name).name or Path(name).is_file()}
        self.set_models({**there, path: card}, choose=path if choose else None)

    def choose_model(self, name: str) -> None:
        """Choose a model by name or path, if it is there; a file that is not in the list yet is asked for."""
        if name not in self._cards and Path(name).is_file():
            self.file_chosen.emit(name)
            return
        index = self.models.findData(name)
        if index >= 0 and name in self._cards:
            self.models.setCurrentIndex(index)
            self._show_model()

    def disconnect_viewer(self) -> None:
        """Stop following the viewer's layers."""
        for event in self._list_events():
            event.disconnect(self._refill)
        self._follow([])
        self._bars.let_go()

    def _list_events(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered

    def choose_micrograph(self, image: Image) -> None:
        """Choose one of the open micrographs."""
        for index in range(self.micrographs.count()):
            if self.micrographs.itemData(index) == image.unique_id:
                self.micrographs.setCurrentIndex(index)

    def images(self) -> list[Image]:
        """All open micrographs, in the viewer's order."""
        return [layer for layer in self._viewer.layers if isinstance(layer, Image) and SCORE_KEY not in layer.metadata]

    def _follow(self, images: Sequence[Image]) -> None:
        """Hear of new names and scales of the open images, and of no others."""
        for layer in self._followed:
            for event in (layer.events.name, layer.events.scale, layer.events.units):
                event.disconnect(self._refill)
        self._followed = list(images)
        for layer in self._followed:
            for event in (layer.events.name, layer.events.scale, layer.events.units):
                event.connect(self._refill)

    def _refill(self, event: object = None) -> None:
        keep = self.micrographs.currentData()
        images = self.images()
        self._follow(images)
        self.micrographs.blockSignals(True)
        self.micrographs.clear()
        for layer in reversed(images):
            self.micrographs.addItem(layer.name, layer.unique_id)
        if len(images) > 1:
            self.micrographs.addItem(f"all {len(images)} images", "all")
        if not images:
            self.micrographs.addItem("none open", None)
        self.micrographs.setEnabled(bool(images))
        index = self.micrographs.findData(keep) if keep is not None else 0
        self.micrographs.setCurrentIndex(max(0, index))
        self.micrographs.blockSignals(False)
        self._show_choice()

    def _show_choice(self) -> None:
        self.about_micrographs.setText(_about(self.layers()))
        self.about_micrographs.setToolTip("Size; pixel size from the layer's scale and unit or its file")
        self.micrographs_changed.emit()

    def _show_model(self) -> None:
        card = self.card()
        self._chosen = self.model()
        self.about.setEnabled(card is not None)
        self.about_model.setText("" if card is None else f"{len(card.categories)} categories; {accuracy_line(card)}")
        self.about_model.setToolTip("" if card is None else f"{card.description}\nLicence: {card.licence}")
        self.model_changed.emit()

    def _model_activated(self, index: int) -> None:
        if self.models.itemText(index) != _OPEN_FILE:
            self._show_model()
            return
        path, _ = QFileDialog.getOpenFileName(self, "Open a model", "", "Models (*.safetensors)")
        self.models.setCurrentIndex(max(0, self.models.findData(self._chosen)))
        if path:
            self.file_chosen.emit(path)


def _about(layers: Sequence[Image]) -> str:
    """Size and pixel size of one image, or how many there are."""
    if len(layers) != 1:
        return ""
    layer = layers[0]
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    height, width = shape[-3:-1] if layer.rgb else shape[-2:]
    text = f"{width:,} × {height:,} px, {_pixel_text(layer)}"
    return f"{text}; finest of {len(layer.data)} levels is used" if layer.multiscale else text


def _pixel_text(layer: Image) -> str:
    """Pixel size of a layer's first plane, and where that comes from."""
    for first in metadata_of(layer)[:1]:
        if first.square_pixel_size is not None:
            return f"{length_text(first.square_pixel_size)}/px ({first.pixel_size_source})"
    return "pixel size unknown"


def _narrow(box: QComboBox) -> QComboBox:
    """Let a long name shorten the box's text instead of widening the dock."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.setIconSize(QSize(0, 0))
    return box
