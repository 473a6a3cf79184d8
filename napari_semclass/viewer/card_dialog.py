"""The model's card, for people: what it knows, how it was tested, how good it is, who may use it."""

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from napari_semclass.model.card import Card
from napari_semclass.model.show import card_html


class CardDialog(QDialog):
    """Shows one card; text from the file is escaped, links are not followed."""

    def __init__(self, card: Card, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(card.title)
        self.resize(460, 560)
        text = QTextBrowser()
        text.setOpenLinks(False)
        text.setHtml(card_html(card))
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(text)
        layout.addWidget(close)
