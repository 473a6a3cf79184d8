"""The "SEM folder" widget: classify a folder, look through what was found, correct it, and take it to train on."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import napari
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_semclass.annotate.findings import Finding, read_corrections, write_corrections
from napari_semclass.errors import SemclassError
from napari_semclass.model.card import Card
from napari_semclass.names import matching, trimmed
from napari_semclass.viewer.calm_bar import CalmBar
from napari_semclass.viewer.classify_job import Update, classify_job, models_job
from napari_semclass.viewer.findings_list import ALL, CORRECTED, FAILED, UNKNOWN, FindingsList, FindingsModel
from napari_semclass.viewer.folder_job import Progress, export_job, findings_job, folder_job, pictures_job
from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.layers import target_of
from napari_semclass.viewer.project_layers import open_file
from napari_semclass.viewer.remembered import remember, remembered, remembered_settings
from napari_semclass.viewer.settings_panel import SettingsPanel
from napari_semclass.viewer.showing import Showing
from napari_semclass.viewer.state import problem_style
from napari_semclass.viewer.tempo import Tempo

_KINDS = ((ALL, "all pictures"), (UNKNOWN, "unknown"), (FAILED, "failed"), (CORRECTED, "corrected"))
_PAUSE_MS = 500  # between two counts while results come in
_IS: dict[str, Callable[[Finding], bool]] = {
    UNKNOWN: lambda one: not one.label and not one.error,
    FAILED: lambda one: bool(one.error),
    CORRECTED: lambda one: bool(one.correction),
}
_RESULTS = "{} results"  # beside the folder of pictures, where nothing else is chosen


class FolderBrowser(QWidget):
    """Classifies a folder as `semclass classify FOLDER --out RESULTS` does, and shows its results as a grid.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari when it opens the widget; pictures are opened in it.
    """

    _gone = True  # until there is something to let go of

    def __init__(self, napari_viewer: "napari.viewer.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = napari_viewer
        self._cards: dict[str, Card] = {}
        self.board = JobBoard(partial(self.say, problem=True), self)
        self._tempo = Tempo()
        self._showing = Showing(napari_viewer, self)
        self.source, self.out = QPushButton(), QPushButton()
        self.models = QComboBox()
        self.models.addItem("loading models…")
        self.settings = SettingsPanel()
        self.classify, self.stop = QPushButton("&Classify folder"), QPushButton("&Stop")
        self.progress: QProgressBar = CalmBar()
        self.kind, self.most = QComboBox(), QSpinBox()
        self.findings = FindingsModel(self)
        self.list = FindingsList(self.findings)
        self.category, self.correct = QComboBox(), QPushButton("Co&rrect")
        self.export, self.message = QPushButton("Copy into &folders…"), QLabel()
        self._source = Path(remembered("source")) if remembered("source") else None
        self._out = Path(remembered("out")) if remembered("out") else None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._lay_out()
        self._wire()
        settings = remembered_settings()
        if settings is not None:
            self.settings.set_value(settings)
        self._show_state()
        self.board.start("models", models_job, self._models_news)
        if self._out is not None and self._out.is_dir():
            self.board.start("findings", partial(findings_job, self._out), self._read, lambda _: None)
        self._gone = False

    def _lay_out(self) -> None:
        grid = QGridLayout()
        for row, (text, widget) in enumerate(
            (("&Pictures", self.source), ("Resu&lts", self.out), ("M&odel", self.models))
        ):
            label = QLabel(text)
            label.setBuddy(widget)
            grid.addWidget(label, row, 0)
            grid.addWidget(widget, row, 1)
        grid.setColumnStretch(1, 1)
        for box in (self.models, self.kind, self.category):
            box.setMinimumContentsLength(8)
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.category.setEditable(True)
        self.category.setToolTip("What the selected pictures show; type a new name if need be")
        self.most.setRange(0, 100)
        self.most.setValue(100)
        self.most.setPrefix("≤ ")
        self.most.setSuffix(" %")
        self.most.setToolTip("Show only answers that the model is at most so sure of")
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 4)
        layout.addLayout(grid)
        layout.addWidget(self.settings)
        layout.addLayout(_row((self.classify, 2), (self.progress, 3), (self.stop, 1)))
        layout.addLayout(_row((self.kind, 3), (self.most, 2)))
        layout.addWidget(self.list, 1)
        layout.addLayout(_row((self.category, 3), (self.correct, 1)))
        layout.addWidget(self.export)
        layout.addWidget(self.message)
        self.setMinimumWidth(320)

    def _wire(self) -> None:
        self.source.clicked.connect(self._ask_source)
        self.out.clicked.connect(self._ask_out)
        self.models.activated.connect(self._show_card)
        self.classify.clicked.connect(self.start)
        self.stop.clicked.connect(lambda: self.board.stop("folder"))
        self.kind.activated.connect(self._filter)
        self.most.valueChanged.connect(self._filter)
        self.findings.wanted.connect(self._draw)
        self.findings.rowsInserted.connect(self._some_came)
        self.findings.modelReset.connect(self._count)
        self._pause.timeout.connect(self._count_again)
        self.list.opened.connect(self.open)
        self.list.selectionModel().selectionChanged.connect(self._selected)
        self.correct.clicked.connect(self.correct_chosen)
        self.export.clicked.connect(self._ask_export)

    def closeEvent(self, event: Any) -> None:
        """Stop all work."""
        self._let_go()
        super().closeEvent(event)

    def event(self, event: Any) -> bool:
        """As any widget; napari closes a dock by taking its content out, which is the end of this one, too."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None and not self._gone:
            self._let_go()
        return bool(super().event(event))

    def _let_go(self) -> None:
        self._gone = True
        self._pause.stop()
        self._showing.let_go()
        self.board.let_go()

    def say(self, sentence: str, *, problem: bool = False) -> None:
        """Say what happened last."""
        self.message.setText(sentence)
        self.message.setStyleSheet(problem_style(self._viewer.theme) if problem else "")
        self.message.setVisible(bool(sentence))

    # -- folders and the run --------------------------------------------------------------------------------------

    def choose(self, source: Path, out: Path | None = None) -> None:
        """Take a folder of pictures, and one for results; what lies in that already is shown."""
        self._source = source
        self.choose_results(out or source.with_name(_RESULTS.format(source.name)))

    def choose_results(self, out: Path) -> None:
        """Take a folder for results; what lies in it already is shown."""
        self._out = out
        remember(source=str(self._source or ""), out=str(out))
        self.findings.show([])
        self._show_state()
        if (out / "run.json").exists():
            self.board.start("findings", partial(findings_job, out), self._read)

    def start(self) -> None:
        """Classify what is not classified yet."""
        model = self.models.currentData()
        if self._source is None or self._out is None or model is None:
            return
        settings = self.settings.value()
        remember(settings, model=model)
        self._busy(True)
        self.say(f"Classifying {self._source.name}…")
        work = partial(folder_job, self._source, self._out, model, settings)
        self.board.start("folder", work, self._progressed, self._ended)

    def _progressed(self, news: Progress) -> None:
        self.progress.setRange(0, news.total)
        self.progress.setValue(news.done)
        self.findings.add(news.found)

    def _ended(self, failure: str | None) -> None:
        self._busy(False)
        if failure:
            self.say(failure, problem=True)
        elif self._out is not None:
            # What was classified before is part of it.
            self.board.start("findings", partial(findings_job, self._out), self._read)

    def _busy(self, busy: bool) -> None:
        self.progress.setVisible(busy)
        self.stop.setVisible(busy)
        self.progress.setRange(0, 0)
        self._show_state()
        self.classify.setEnabled(self.classify.isEnabled() and not busy)

    def _read(self, found: list[Finding]) -> None:
        self.findings.show(found)
        failed = sum(bool(one.error) for one in found)
        self.say(
            f"{len(found):,} picture{'' if len(found) == 1 else 's'}" + (f", {failed:,} failed." if failed else ".")
        )

    # -- looking, correcting, exporting ---------------------------------------------------------------------------

    def open(self, finding: Finding) -> None:
        """Open a picture in the viewer, and classify it once more to draw its overlay."""
        model = self.models.currentData()
        try:
            layer = open_file(self._viewer, str(finding.path))
            target = target_of(layer)
        except SemclassError as error:
            self.say(str(error), problem=True)
            return
        self._viewer.reset_view()
        if model is not None and not finding.error:
            work = partial(classify_job, [target], model, self.settings.value(), self._tempo)
            self.board.start("open", work, partial(self._opened, model), self._open_ended)

    def _opened(self, model: str, update: Update) -> None:
        if update.target is not None and update.target.layer in self._viewer.layers:
            self._tempo.drawing()
            self._showing.show(update.overlay(update.target, {}, model), self._tempo.drawn)

    def _open_ended(self, failure: str | None) -> None:
        self._showing.finish()
        if failure:
            self.say(failure, problem=True)

    def correct_chosen(self) -> None:
        """Say that the selected pictures show the category that is chosen; it is kept with the results at once."""
        typed = trimmed(self.category.currentText())
        # As it is written in the list, where it is there in another Unicode form.
        category = matching(typed, map(self.category.itemText, range(self.category.count()))) or typed
        chosen = self.list.chosen()
        if self._out is None or not chosen:
            return
        try:
            said = read_corrections(self._out) | dict.fromkeys([one.key for one in chosen], category)
            write_corrections(self._out, {key: value for key, value in said.items() if value})
        except SemclassError as error:
            self.say(str(error), problem=True)
            return
        self.findings.correct([one.name for one in chosen], category)
        if category and self.category.findText(category) < 0:
            self.category.addItem(category)
        self._count()
        self.say(f"{len(chosen):,} corrected to {category}." if category else f"{len(chosen):,} as the model said.")

    def export_to(self, folder: Path) -> None:
        """Copy the pictures that are shown into one folder per category."""
        shown = self.list.visible_findings()
        self.board.start("export", partial(export_job, shown, folder), self.say)

    # -- what is shown --------------------------------------------------------------------------------------------

    def _models_news(self, news: Mapping[str, Card] | tuple[str, float]) -> None:
        if isinstance(news, tuple):
            return
        self._cards = dict(news)
        self.models.clear()
        for name, card in self._cards.items():
            self.models.addItem(card.title, name)
        self.models.setCurrentIndex(max(0, self.models.findData(remembered("model") or "starter")))
        self._show_card()
        self._show_state()

    def _show_card(self) -> None:
        card = self._cards.get(str(self.models.currentData()))
        self.settings.set_card(card)
        self.category.clear()
        self.category.addItems(card.names if card is not None else [])

    def _show_state(self) -> None:
        for button, folder, tip in (
            (self.source, self._source, "The folder of micrographs to classify"),
            (self.out, self._out, "Where results go, and are read from"),
        ):
            button.setText("choose…" if folder is None else folder.name or str(folder))
            button.setToolTip(tip if folder is None else f"{tip}: {folder}")
        missing = "" if self._cards else "Models are being loaded…"
        missing = "Choose a folder of pictures first" if self._source is None else missing
        self.classify.setEnabled(not missing)
        self.classify.setToolTip(missing or "Classify what is not classified yet, into the folder of results")
        if not self.progress.isVisible():
            self.progress.setVisible(False)
            self.stop.setVisible(False)
        if self._source is None and not self.findings.rowCount():
            self.say("Choose a folder of micrographs: each gets its category, and a picture here.")
        self._count()
        self._selected()

    def _count(self) -> None:
        found = self.findings.findings
        labels = dict.fromkeys(one.label for one in found if one.label)
        kept = self.kind.currentData()
        self.kind.clear()
        for kind, words in _KINDS:
            number = len(found) if kind == ALL else sum(_IS[kind](one) for one in found)
            self.kind.addItem(f"{words} ({number:,})", kind)
        for label in sorted(labels):
            self.kind.addItem(f"{label} ({sum(one.label == label for one in found):,})", label)
        self.kind.setCurrentIndex(max(0, self.kind.findData(kept)))
        self.export.setEnabled(any(one.label for one in found))
        self.export.setToolTip(
            "Copy the pictures shown into one folder per category, with a manifest.csv, to train on"
            if found
            else "Nothing is classified yet"
        )
        self._filter()

    def _some_came(self) -> None:
        # Counting goes through all of them, and would close the list that the user is choosing from.
        if not self._pause.isActive():
            self._pause.start()

    def _count_again(self) -> None:
        if self.kind.view().isVisible():
            self._pause.start()
        else:
            self._count()

    def _filter(self) -> None:
        self.list.shown.choose(self.kind.currentData() or ALL, self.most.value() / 100)

    def _selected(self) -> None:
        chosen = len(self.list.selectedIndexes())
        self.correct.setEnabled(chosen > 0)
        self.correct.setToolTip(f"Say what {chosen:,} selected show" if chosen else "Select pictures first")

    def _draw(self, wanted: list[tuple[str, Path]]) -> None:
        self.board.start("pictures", partial(pictures_job, wanted), lambda news: self.findings.show_picture(*news))

    # -- dialogs --------------------------------------------------------------------------------------------------

    def _ask_source(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Classify the pictures in", str(self._source or ""))
        if folder:
            self.choose(Path(folder))

    def _ask_out(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Keep results in", str(self._out or ""))
        if folder:
            self.choose_results(Path(folder))

    def _ask_export(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Copy pictures into one folder per category in")
        if folder:
            self.export_to(Path(folder))


def _row(*widgets: tuple[QWidget, int]) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget, stretch in widgets:
        row.addWidget(widget, stretch)
    return row
