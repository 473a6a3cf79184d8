"""The plan: everything that decides a training run, as one dataclass and one TOML file."""

from dataclasses import asdict, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from napari_semclass.errors import SettingsError
from napari_semclass.learn.augmentation import Augmentation
from napari_semclass.learn.toml import checked, read_toml, write_toml
from napari_semclass.model.card import WIDEST_CONTEXT
from napari_semclass.names import printable

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_Share = Annotated[float, Field(ge=0, lt=1)]
_Pixels = Annotated[int, Field(ge=16, le=16_384)]
_Length = Annotated[float, Field(gt=0, le=1e6)]
_Size = Annotated[int, Field(ge=16, le=2048)]
_Count = Annotated[int, Field(ge=0, le=10_000)]

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True, config=_STRICT)
class Stage:
    """One step of progressive resizing.

    Parameters
    ----------
    size : int
        Side of the network's input in pixels: the same tile area resized, never a smaller crop.
    epochs, frozen_epochs : int
        Epochs of the whole network, after epochs in which only the classifier learns.
    lr : float
        Highest learning rate of the one-cycle schedule, of the classifier; frozen epochs take it, too.
    batch : int
        Tiles per step; halved by itself when memory runs out.
    """

    size: _Size
    epochs: _Count = 1
    frozen_epochs: _Count = 0
    lr: Annotated[float, Field(gt=0, le=10)] = 1e-3
    batch: Annotated[int, Field(ge=1, le=4096)] = 32

    @model_validator(mode="after")
    def _has_work(self) -> "Stage":
        if not self.epochs and not self.frozen_epochs:
            raise ValueError("a stage needs at least one epoch")
        return self


@dataclass(frozen=True, config=_STRICT)
class Held:
    """What is held out for validation, by whole groups.

    Parameters
    ----------
    share : float
        Share of the tiles of each category, in [0, 1); 0 learns from everything and measures nothing.
    folds, fold : int
        With `folds` of at least 2, stratified group k-fold instead: fold number `fold` is held out.
    """

    share: _Share = 0.2
    folds: Annotated[int, Field(ge=0, le=100)] = 0
    fold: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _fold_exists(self) -> "Held":
        if self.folds == 1 or self.fold >= max(1, self.folds):
            raise ValueError("folds must be 0 or at least 2, and fold less than folds")
        return self


@dataclass(frozen=True, config=_STRICT)
class Plan:
    """How a model is trained.

    Parameters
    ----------
    backbone : str
        timm's name of the network, or "starter" for the shipped model's.
    pretrained : str
        Start weights: "starter", "imagenet", "micronet", "none", or a file.
    unit : "tile" or "image"
        Learn what tiles show, or what whole pictures show.
    tile, stride : int
        Side of a tile and step to the next, in source pixels. An axis shorter than 1.5 tiles holds one tile.
    tile_um, stride_um : float or None
        Micrometres in place of `tile` and `stride`: tiles of one physical size, each resampled to the network's
        input. All pictures must say their pixel size. The step is the tile where it is not given.
    context : float
        Of tiles: side of the area, in tiles, that a tile is answered from in the end, 1 to 9; 0 shows the network each
        tile alone. Where each picture shows one category, what surrounds a tile says something of it, too; where
        several meet in one, it blurs their borders. Not for boxes of files, nor for networks that cannot do it.
    fields : tuple of float
        With unit "image": square crops to learn from, as shares of the picture's shorter side, in (0, 1].
    stages : tuple of Stage
        In order; none keeps the backbone as it is and fits a linear head only.
    head : "linear" or "random"
        Start the classifier as a logistic regression on the start weights' features, or at random.
    regularisation : float
        scikit-learn's C of that regression.
    learned_groups : int
        How many groups of layers learn, counted from the classifier (1 would be the classifier alone); 0 is all. With
        few specimens, a network whose first layers learn, too, remembers the specimens.
    body_rate : float
        Learning rate of the network's first layers, as a share of the classifier's, in (0, 1]; between them it
        rises evenly on a log scale (discriminative learning rates).
    norm : "frozen" or "learned"
        Whether BatchNorm keeps the statistics of the start weights.
    label_smoothing, mixup : float
        In [0, 1) and [0, 1]; mixup is the beta distribution's parameter, 0 turns it off.
    balance : "none", "sampling" or "weights"
        Against uneven categories: draw them equally often, or weigh the loss.
    weight_decay, clip : float
        Of AdamW; largest norm of the gradient (0 does not clip).
    ema : float
        Decay per step of the running average of weights that is validated and saved, in [0, 1); 0 turns it off.
    start_share : float
        Share of the start weights (with their linear head) blended into the final ones, in [0, 1]. What a network
        knew before it saw few specimens helps on others. Source: Wortsman et al., Robust fine-tuning, CVPR 2022.
    early_stop : int
        End a stage after so many epochs without a better validation macro-F1; 0 never.
    minutes : float
        End after so long, with what was learned; 0 never.
    seed : int
    augmentation : Augmentation
    held : Held
    """

    backbone: str = "starter"
    pretrained: str = "starter"
    unit: Literal["tile", "image"] = "tile"
    tile: _Pixels = 224
    stride: _Pixels = 224
    tile_um: _Length | None = None
    stride_um: _Length | None = None
    context: Annotated[float, Field(ge=0, le=WIDEST_CONTEXT)] = 0.0
    fields: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (1.0,)
    stages: tuple[Stage, ...] = ()
    head: Literal["linear", "random"] = "linear"
    regularisation: Annotated[float, Field(gt=0)] = 0.01
    learned_groups: Annotated[int, Field(ge=0, le=1000)] = 0
    body_rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    norm: Literal["frozen", "learned"] = "frozen"
    label_smoothing: _Share = 0.1
    mixup: Annotated[float, Field(ge=0, le=1)] = 0.0
    balance: Literal["none", "sampling", "weights"] = "sampling"
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    clip: Annotated[float, Field(ge=0)] = 1.0
    ema: _Share = 0.0
    start_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    early_stop: _Count = 0
    minutes: Annotated[float, Field(ge=0)] = 0.0
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    held: Held = field(default_factory=Held)

    @model_validator(mode="after")
    def _tiles_leave_no_gaps(self) -> "Plan":
        if self.stride > self.tile:
            raise ValueError(f"stride {self.stride} px is larger than tile {self.tile} px and would leave gaps")
        if self.stride_um is not None and (self.tile_um is None or self.stride_um > self.tile_um):
            raise ValueError("stride_um needs a tile_um that is at least as large")
        if 0 < self.context < 1:
            raise ValueError("context is 0 (tiles alone) or at least 1 tile")
        return self

    def _repr_html_(self) -> str:
        from napari_semclass.learn.show import plan_html

        return plan_html(self)

    @property
    def size(self) -> int:
        """Side of the trained network's input in pixels: the last stage's; 224 without stages."""
        return self.stages[-1].size if self.stages else 224


_PLANS = TypeAdapter(Plan)


def recipes() -> list[str]:
    """Names of the recipes that ship."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def read_plan(name_or_path: str | Path) -> Plan:
    """Read a recipe by name, or a plan from a TOML file.

    Raises
    ------
    SettingsError
        No such recipe or file, not TOML, or with a key that is unknown or out of range.
    """
    if str(name_or_path) in recipes():
        return read_toml(RECIPES / f"{name_or_path}.toml", _PLANS)
    if not Path(name_or_path).suffix and not Path(name_or_path).exists():
        raise SettingsError(f"recipe {str(name_or_path)!r} is unknown; use {', '.join(recipes())} or a plan file.")
    return read_toml(name_or_path, _PLANS)


def write_plan(plan: Plan, path: str | Path) -> None:
    """Write a plan that `read_plan` reads as the same.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    write_toml(plan, path)


def changed(plan: Plan, assignments: list[str]) -> Plan:
    """The plan with values set by `path.to.key=value` strings, such as `stages.0.epochs=3`.

    Values are read as TOML; what is not TOML is taken as text.

    Raises
    ------
    SettingsError
        A path that does not exist or a value that does not fit.
    """
    raw: dict[str, Any] = asdict(plan)
    for assignment in assignments:
        path, equals, text = printable(assignment).partition("=")
        *parents, key = path.strip().split(".")
        try:
            place: Any = raw
            for part in parents:
                place = place[int(part)] if isinstance(place, list | tuple) else place[part]
            if not equals or key not in place:
                raise KeyError(key)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise SettingsError(
                f"{assignment[:200]!r} changes nothing: the plan has no {path.strip()[:200]!r}; "
                "write key=value, for example stages.0.epochs=3 or seed=1."
            ) from error
        place[key] = _value(text.strip())
    return checked(raw, _PLANS, "the changed plan")


def refuse_unfit_backbone(plan: Plan) -> None:
    """Refuse a plan whose network cannot be built, or cannot compute pictures of all sizes of its stages.

    Raises
    ------
    ModelError
        When timm does not know the backbone.
    SettingsError
        When it does not end in one linear classifier or cannot compute one of the sizes; says which are possible.
    """
    if plan.backbone == "starter":
        return
    # Loaded when needed, as it brings torch.
    from napari_semclass.model.input_sizes import refuse_sizes

    refuse_sizes(plan.backbone, {plan.size, *(stage.size for stage in plan.stages)}, "the plan")


def _value(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
