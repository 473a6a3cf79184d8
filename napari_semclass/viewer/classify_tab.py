"""The Classify tab: settings, start and progress, results; wires its panels to background jobs and result layers."""

from functools import partial
from typing import Any, Literal

from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QGuiApplication, QKeySequence
from qtpy.QtWidgets import QFileDialog, QShortcut, QVBoxLayout, QWidget

from napari_semclass.classify.layers import LayerData
from napari_semclass.classify.rejection import rejection_of
from napari_semclass.classify.settings import Settings
from napari_semclass.errors import SemclassError
from napari_semclass.learn.units import time_text
from napari_semclass.viewer.classify_job import Redrawn, Update, classify_job, estimate_job, reject_job, score_job
from napari_semclass.viewer.command import command, python
from napari_semclass.viewer.copy_button import COMMAND, PYTHON
from napari_semclass.viewer.export_job import export_job
from napari_semclass.viewer.input_panel import InputPanel
from napari_semclass.viewer.job_board import JobBoard
from napari_semclass.viewer.layers import (
    Targets,
    image_of,
    leading_of,
    model_of,
    predictions_of,
    redraw,
    results,
    show_only,
    show_scores,
    target_of,
)
from napari_semclass.viewer.results_panel import ResultsPanel
from napari_semclass.viewer.run_panel import RunPanel
from napari_semclass.viewer.settings_panel import SettingsPanel
from napari_semclass.viewer.showing import Showing
from napari_semclass.viewer.state import DockState, Phase
from napari_semclass.viewer.tempo import Tempo

# Typing a tile size fires an edit per key; tiles are counted once the user pauses.
_PAUSE_MS = 250
_WAYS = {COMMAND: command, PYTHON: python}


class ClassifyTab(QWidget):
    """Classifies what is chosen above the tabs, and shows what came out."""

    def __init__(self, viewer: ViewerModel, inputs: InputPanel, state: DockState, board: JobBoard) -> None:
        super().__init__()
        self._viewer, self._inputs, self._board = viewer, inputs, board
        self.state = state
        self.targets = Targets()
        self._tempo = Tempo()
        self.showing = Showing(viewer, self)
        self._speed: tuple[str, float] | None = None
        self._problems: list[str] = []
        self._last: dict[str, str] = {}
        self.settings = SettingsPanel()
        self.run = RunPanel(state)
        self.results = ResultsPanel(viewer)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        for widget in (self.settings, self.run, self.settings.reject, self.results):
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.setStretch(layout.indexOf(self.results), 10)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._wire()
        self._choice_changed()

    def _wire(self) -> None:
        self._inputs.micrographs_changed.connect(self._choice_changed)
        self._inputs.data_bars_changed.connect(self._choice_changed)
        self._inputs.model_changed.connect(lambda: self.settings.set_card(self._inputs.card()))
        self.settings.value_changed.connect(self._settings_changed)
        self.settings.reject.value_changed.connect(self._reject)
        self.run.classify_requested.connect(self.classify)
        self.run.stop_requested.connect(self.stop)
        self.results.export_requested.connect(self._ask_where_to_export)
        self.results.copy_requested.connect(self._copy)
        self.results.map_requested.connect(self.add_map)
        self._pause.timeout.connect(self._estimate)
        self._viewer.layers.events.removed.connect(self._layer_removed)
        shortcut = QShortcut(QKeySequence("Ctrl+Return"), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(self.run.classify.click)

    def set_speed(self, device: str, tiles_per_second: float) -> None:
        """What the automatic device was measured to do, for the estimate."""
        self._speed = (device, tiles_per_second)
        self._estimate()

    def let_go(self) -> None:
        """Let go of the viewer."""
        self._pause.stop()
        self.showing.let_go()
        self._viewer.layers.events.removed.disconnect(self._layer_removed)
        self.results.disconnect_viewer()

    def _layer_removed(self, event: Any) -> None:
        self.targets.forget(event.value)

    # -- intentions -----------------------------------------------------------------------------------------------

    def classify(self) -> None:
        """Classify the chosen micrographs with the chosen model and settings."""
        model, layers, settings = self._inputs.model(), self._inputs.layers(), self.settings.value()
        if model is None or not layers or self.state.phase is not Phase.IDLE:
            return
        try:
            targets = [target_of(layer) for layer in layers]
        except SemclassError as error:
            self.state.say(str(error), problem=True)
            return
        for layer in layers:
            show_only(self._viewer, layer, model)
        self._problems = []
        self._last = {way: write(layers, model, settings) for way, write in _WAYS.items()}
        self.state.done = self.state.total = 0
        self.state.phase = Phase.RUNNING
        self.state.say(f"Classifying {targets[0].name if len(targets) == 1 else f'{len(targets)} images'}…")
        work = partial(classify_job, targets, model, settings, self._tempo)
        self._board.start(
            "classify", work, partial(self._classified_some, model), partial(self._classify_ended, settings)
        )

    def stop(self) -> None:
        """Stop after the present batch; what is classified so far stays."""
        if self.state.phase is Phase.RUNNING:
            self.state.phase = Phase.STOPPING
            self._board.stop("classify")

    def add_map(self, category: int | Literal["tiles"] | None) -> None:
        """Show a category's probability, or the confidence for None, of the chosen result; or its tiles as points."""
        chosen = self.results.chosen()
        if chosen is None:
            return
        labels = chosen[0]
        work = partial(score_job, predictions_of(labels), leading_of(labels), category)
        self._board.start("map", work, partial(self._map_drawn, labels))

    def _reject(self) -> None:
        """Say "unknown" of what is shown by the rule chosen now; nothing is classified again."""
        self.targets.settings = self.settings.value()
        if self.state.phase is not Phase.IDLE:
            return  # taken up when the run ends
        model, card = self._inputs.model(), self._inputs.card()
        shown = [layer for layer in results(self._viewer) if model_of(layer) == model]
        if card is None or not shown:
            return
        rejection = rejection_of(self.settings.reject.value(), card)
        work = partial(reject_job, [(layer, predictions_of(layer), leading_of(layer)) for layer in shown], rejection)
        self._board.start("reject", work, self._rejected)

    def _rejected(self, update: Redrawn) -> None:
        if update.labels in self._viewer.layers:
            redraw(update.labels, update.predictions, update.summaries, update.data, self.results.shown_colors())
            self.results.refresh()

    def export(self, folder: str) -> None:
        """Write overlay, CSV, GeoJSON and JSON of every result into a folder, in the background."""
        work = [(layer, image_of(self._viewer, layer)) for layer in results(self._viewer)]
        targets = [(layer, target_of(image)) for layer, image in work if image is not None]
        if not targets:
            self.state.say("Nothing to save: the images of these results are closed.", problem=True)
            return
        closed = len(work) - len(targets)
        self.state.say("Saving…")
        pairs = [(layer.metadata, target) for layer, target in targets]
        left_out = f" {closed} left out: the image is closed." if closed else ""
        work_to_do = partial(export_job, pairs, folder, self.results.colors)
        self._board.start(
            "export", work_to_do, lambda sentence: self.state.say(sentence + left_out, problem=bool(closed))
        )

    # -- news from jobs -------------------------------------------------------------------------------------------

    def _classified_some(self, model: str, update: Update) -> None:
        self.state.total, self.state.rate = update.total, update.rate
        self.state.done = update.done
        if update.problem:
            self._problems.append(update.problem)
        if update.data is not None and update.target is not None:
            colors = self.results.shown_colors()
            self._tempo.drawing()
            self.showing.show(update.overlay(update.target, colors, model), self._shown)

    def _shown(self) -> None:
        self.results.refresh()
        self._tempo.drawn()

    def _classify_ended(self, settings: Settings, failure: str | None) -> None:
        self.showing.finish()
        stopped = self.state.phase is Phase.STOPPING
        self.state.phase = Phase.IDLE
        if self.settings.reject.value() != settings.reject:
            self._reject()
        done, total, rate = self.state.done, self.state.total, self.state.rate
        if failure or (self._problems and not done):
            self.state.say(failure or self._problems[0], problem=True)
        elif stopped:
            self.state.say(f"Stopped after {done:,} of {total:,}; what is classified is kept.")
        else:
            if settings.mode == "tiles" and not settings.dihedral and self._speed is not None and rate:
                self._speed = (self._speed[0], rate)  # better than the trial: measured on the work itself
            units = ("picture" if settings.mode == "whole" else "tile") + ("" if done == 1 else "s")
            seconds = time_text(done / rate) if rate else "no time"
            skipped = f" {len(self._problems)} left out: {self._problems[0]}" if self._problems else ""
            self.state.say(f"Done: {done:,} {units} in {seconds}.{skipped}", problem=bool(self._problems))

    def _map_drawn(self, labels: Labels, layer: LayerData) -> None:
        if labels in self._viewer.layers:
            self.state.say(f"Added {show_scores(self._viewer, labels, layer).name}.")

    # -- what is shown --------------------------------------------------------------------------------------------

    def _settings_changed(self) -> None:
        self.targets.settings = self.settings.value()
        self._choice_changed()

    def _choice_changed(self) -> None:
        self.settings.set_pixel_size(self._inputs.pixel_size())
        missing = ""
        if not self._inputs.layers():
            missing = "Open a micrograph: drop a file on the canvas, or File > Open Sample > SEM classifier."
        elif self._inputs.model() is None:
            missing = "Models are being loaded…"
        self.run.set_missing(missing)
        self.run.estimate.setText(missing)
        if not missing:
            self._pause.start()

    def _estimate(self) -> None:
        card, layers = self._inputs.card(), self._inputs.layers()
        if card is None or not layers:
            return
        try:
            targets = self.targets.of(layers)
        except SemclassError as error:
            self.run.set_missing(str(error))
            self.run.estimate.setText(str(error))
            return
        work = partial(estimate_job, targets, card, self.settings.value())
        self._board.start("estimate", work, self._show_estimate, self._estimate_ended)

    def _show_estimate(self, found: tuple[int, str]) -> None:
        tiles, caution = found
        settings = self.settings.value()
        unit = ("picture" if settings.mode == "whole" else "tile") + ("" if tiles == 1 else "s")
        text = f"{tiles:,} {unit}"
        if self._speed is not None and settings.device == "auto":
            device, speed = self._speed
            views = 8 if settings.dihedral else 1
            crops = 2 if settings.mode == "whole" else 1
            text += f", about {time_text(tiles * views * crops / speed)} on {device}"
        self.run.estimate.setText(f"{text}\n{caution}" if caution else text)

    def _estimate_ended(self, failure: str | None) -> None:
        if failure:
            self.run.estimate.setText(failure)

    def _ask_where_to_export(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Save results in this folder")
        if folder:
            self.export(folder)

    def _copy(self, way: str) -> None:
        if self._last:
            QGuiApplication.clipboard().setText(self._last[way])
            self.state.say(f"Copied: {self._last[way]}")
