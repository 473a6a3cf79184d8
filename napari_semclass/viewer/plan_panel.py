"""How it is trained: recipe, name of the model, stages, and a few further settings; edits the core's Plan."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_semclass.errors import SemclassError
from napari_semclass.learn.augmentation import Augmentation
from napari_semclass.learn.plan import Held, Plan, read_plan, recipes
from napari_semclass.model.card import WIDEST_CONTEXT
from napari_semclass.viewer.fold import Fold
from napari_semclass.viewer.plan_table import PlanTable, minutes_text

_USUAL = "progressive"
_FILE = "File…"
_ABOUT = {
    "quick": "The shipped model's network as it is, with a new linear head: a minute or two",
    "progressive": "A linear head first, then it and the network's last blocks, on small and then on full tiles",
    "augmented-scientist": "ResNet-50 in three sizes, after the notebook of that name; for a GPU",
    "nffa": "For the full NFFA-EUROPE set on a GPU",
}


class PlanPanel(QWidget):
    """Edits a `Plan`.

    Emits `value_changed` for the user's edits, `name_changed`, `estimate_requested`, and `refused(sentence)`.
    """

    value_changed = Signal()
    name_changed = Signal()
    estimate_requested = Signal()
    refused = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plan = read_plan(_USUAL)
        self._zoom = Augmentation().scale
        self._shown = recipes().index(_USUAL)
        self.recipe = QComboBox()
        self.recipe.setMinimumContentsLength(8)
        self.recipe.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for name in recipes():
            self.recipe.addItem(name, name)
            self.recipe.setItemData(self.recipe.count() - 1, _ABOUT.get(name, ""), Qt.ItemDataRole.ToolTipRole)
        self.recipe.addItem(_FILE)
        self.recipe.setCurrentIndex(self._shown)
        self.name = QLineEdit()
        self.name.setToolTip("How the new model will be called and found")
        self.table = PlanTable()
        self.no_stages = QLabel("No stages: only a linear head is fitted.")
        self.no_stages.setWordWrap(True)
        self.add = QPushButton("&Add stage")
        self.remove = QPushButton("Remove")
        self.estimate = QPushButton("&Estimate")
        self.minutes = QLabel()
        self.minutes.setWordWrap(True)
        self._lay_out()
        self._wire()
        self.set_value(self._plan)
        self.set_tile(None)

    def _lay_out(self) -> None:
        top = QFormLayout()
        top.setContentsMargins(0, 0, 0, 0)
        top.addRow("re&cipe", self.recipe)
        top.addRow("&name", self.name)
        row = QHBoxLayout()
        row.addWidget(self.add)
        row.addWidget(self.remove)
        row.addWidget(self.estimate)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self.table)
        layout.addWidget(self.no_stages)
        layout.addLayout(row)
        layout.addWidget(self.minutes)
        layout.addWidget(self._more())

    def _more(self) -> Fold:
        self.zoom = QCheckBox("magnify and shrink tiles a little")
        self.zoom.setToolTip("Off where physical size tells your categories apart")
        self.held = QSpinBox()
        self.held.setRange(0, 50)
        self.held.setSuffix(" %")
        self.held.setToolTip("Share of the tiles, by whole groups, to test with; 0 learns from all and tests nothing")
        self.tile = QSpinBox()
        self.tile.setRange(16, 16_384)
        self.tile.setSuffix(" px")
        self.length = QDoubleSpinBox()
        self.length.setRange(0, 100_000)
        self.length.setDecimals(3)
        self.length.setSpecialValueText("not fixed")
        self.length.setSuffix(" µm")
        self.context = QSpinBox()
        self.context.setRange(0, int(WIDEST_CONTEXT))
        self.context.setSpecialValueText("none")
        self.context.setSuffix(" tiles wide")
        self.limit = QDoubleSpinBox()
        self.limit.setRange(0, 100_000)
        self.limit.setDecimals(0)
        self.limit.setSpecialValueText("none")
        self.limit.setSuffix(" min")
        self.limit.setToolTip("End after so long, with what was learned by then")
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setToolTip("Same seed, same model; try another one to see how much is chance")
        self.device = QComboBox()
        self.device.addItems(["auto", "cpu", "cuda", "mps"])
        self.device.setToolTip("auto takes a GPU where there is one")
        inside = QWidget()
        form = QFormLayout(inside)
        form.addRow(self.zoom)
        for text, field in (
            ("held out to test", self.held),
            ("tile", self.tile),
            ("its true size", self.length),
            ("surroundings", self.context),
            ("time limit", self.limit),
            ("seed", self.seed),
            ("compute on", self.device),
        ):
            form.addRow(text, field)
        return Fold("More", inside)

    def _wire(self) -> None:
        self.recipe.activated.connect(self._recipe_chosen)
        self.name.textChanged.connect(self.name_changed)
        self.table.value_changed.connect(self._edited)
        self.table.refused.connect(self.refused)
        self.add.clicked.connect(self.table.add_stage)
        self.remove.clicked.connect(self.table.remove_stage)
        self.estimate.clicked.connect(self.estimate_requested)
        self.zoom.toggled.connect(self._edited)
        for box in (self.held, self.tile, self.length, self.context, self.limit, self.seed):
            box.setKeyboardTracking(False)
            box.valueChanged.connect(self._edited)

    def value(self) -> Plan:
        """The plan as it stands."""
        held = self.held.value() / 100
        plan = self._plan
        zoom = (plan.augmentation.scale or self._zoom) if self.zoom.isChecked() else 0.0
        length = self.length.value() or None
        if (
            length is not None
            and plan.tile_um is not None
            and abs(length - plan.tile_um) < 10 ** -self.length.decimals()
        ):
            length = plan.tile_um  # as the plan has it, to more digits than are shown
        kept = round(plan.held.share * 100) == self.held.value()
        return replace(
            plan,
            stages=self.table.value(),
            augmentation=replace(plan.augmentation, scale=zoom),
            held=plan.held if kept else Held(held),
            tile=self.tile.value(),
            stride=min(plan.stride, self.tile.value()) if plan.stride != plan.tile else self.tile.value(),
            tile_um=length,
            stride_um=None if length is None or plan.stride_um is None else min(plan.stride_um, length),
            context=plan.context if round(plan.context) == self.context.value() else float(self.context.value()),
            minutes=self.limit.value(),
            seed=self.seed.value(),
        )

    def set_value(self, plan: Plan) -> None:
        """Show a plan; what has no field here stays as it is in the plan."""
        self._plan = plan
        self.blockSignals(True)
        self.table.set_value(plan.stages)
        self.zoom.setChecked(plan.augmentation.scale > 0)
        self.held.setValue(round(plan.held.share * 100))
        self.tile.setValue(plan.tile)
        self.length.setValue(plan.tile_um or 0)
        self.context.setValue(round(plan.context))
        self.limit.setValue(plan.minutes)
        self.seed.setValue(plan.seed)
        self.blockSignals(False)
        self._show_stages()
        self.show_minutes(())

    def set_tile(self, tile: int | None) -> None:
        """Fix the tile to that of the marks; None lets it be chosen."""
        chosen = tile is None and self.tile.isEnabled()
        self.tile.setEnabled(tile is None)
        self.tile.setToolTip("Side of a tile in pixels" if tile is None else "The tiles of the marks are learned")
        self.length.setEnabled(tile is None)
        self.length.setToolTip(
            "Tiles of one physical size from pictures of any magnification, which must all say their pixel size"
            if tile is None
            else "Set it for the marks, beside the stride in the Classify tab"
        )
        self.context.setEnabled(tile is None)
        self.context.setToolTip(
            "From how wide an area a tile is answered: better where each picture shows one category, blurred borders "
            "where several meet in one"
            if tile is None
            else "Marks are of places, whose neighbours may be something else: tiles are answered alone"
        )
        if chosen:
            return  # and stays as it is
        for field, value in ((self.tile, self._plan.tile), (self.length, self._plan.tile_um or 0)):
            field.blockSignals(True)
            field.setValue(value if tile is None else tile if field is self.tile else 0)
            field.blockSignals(False)

    def set_estimating(self, reason: str) -> None:
        """Why nothing can be estimated now, as a sentence; empty when it can."""
        self.estimate.setEnabled(not reason)
        self.estimate.setToolTip(reason or "Measure a few batches on this computer and predict how long it will take")

    def show_minutes(self, minutes: Sequence[float]) -> None:
        """Predicted minutes of each stage; none when they are not known."""
        self.table.show_minutes(minutes)
        self.say(f"About {minutes_text(sum(minutes))} min in all." if minutes else "")

    def say(self, sentence: str) -> None:
        """Show how the estimate stands, in words."""
        self.minutes.setText(sentence)
        self.minutes.setVisible(bool(sentence))

    def choose_file(self, path: str) -> None:
        """Read a plan from a TOML file."""
        try:
            plan = read_plan(path)
        except SemclassError as error:
            self.refused.emit(str(error))
            return
        index = self.recipe.findData(path)
        if index < 0:
            index = self.recipe.count() - 1
            self.recipe.insertItem(index, Path(path).stem, path)
        self.recipe.setCurrentIndex(index)
        self._shown = index
        self.set_value(plan)
        self.value_changed.emit()

    def _recipe_chosen(self, index: int) -> None:
        name = self.recipe.itemData(index)
        if name is None:
            self.recipe.setCurrentIndex(self._shown)
            name, _ = QFileDialog.getOpenFileName(self, "Plan of a training", "", "Plans (*.toml)")
        if name:
            self.choose_file(name)

    def _edited(self, *_: object) -> None:
        self._show_stages()
        self.show_minutes(())
        self.value_changed.emit()

    def _show_stages(self) -> None:
        some = bool(self.table.value())
        self.table.setVisible(some)
        self.no_stages.setVisible(not some)
        self.remove.setEnabled(some)
        self.remove.setToolTip("Remove the current stage (Delete)" if some else "There is no stage to remove")
        self.add.setToolTip("Add a stage like the last one (Insert)")
