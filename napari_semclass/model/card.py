"""The card: everything about a classifier except its weights, as canonical JSON inside the model file."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from napari_semclass.errors import ModelError

CARD_VERSION: Literal[1] = 1
PREPROCESSING_VERSION = 1
CARD_BYTES = 1_000_000
LARGEST_TILE, LARGEST_INPUT = 16_384, 2048  # pixels
WIDEST_CONTEXT = 9.0

# Cards come from strangers: types are checked without conversion, and what is not known is refused.
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_Line = Annotated[str, Field(min_length=1, max_length=200)]
_Text = Annotated[str, Field(max_length=20_000)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Pixels = Annotated[int, Field(ge=1, le=LARGEST_TILE)]
_Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, config=_STRICT)
class Category:
    """A category's name and its colour as `#rrggbb`."""

    name: _Line
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


@dataclass(frozen=True, config=_STRICT)
class Preprocessing:
    """How grey levels become network input; the same for training and classifying.

    `low_percentile` and `high_percentile` (of the micrograph's specimen, in [0, 100]) become 0 and 1, then
    `mean` and `std` are applied. `version` names the code that does it and changes when its result does.
    """

    mean: float
    std: Annotated[float, Field(ge=1e-3)]
    low_percentile: Annotated[float, Field(ge=0, lt=50)] = 0.5
    high_percentile: Annotated[float, Field(gt=50, le=100)] = 99.5
    version: int = PREPROCESSING_VERSION


@dataclass(frozen=True, config=_STRICT)
class TestResult:
    """One test of the model: on what unit, how split, on how many, and the shares with 95 % intervals."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    unit: Literal["image", "tile"]
    protocol: _Text
    n: Annotated[int, Field(ge=1)]
    n_images: Annotated[int, Field(ge=1)]
    n_groups: Annotated[int, Field(ge=1)]
    accuracy: _Share
    accuracy_interval: tuple[_Share, _Share]
    balanced_accuracy: _Share
    balanced_accuracy_interval: tuple[_Share, _Share]
    recall: dict[str, _Share]
    data_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


@dataclass(frozen=True, config=_STRICT)
class Answered:
    """Of held-out tiles: the share answered with at least this confidence, and how many of those answers are right."""

    confidence: _Share
    coverage: _Share
    accuracy: _Share


@dataclass(frozen=True, config=_STRICT)
class Card:
    """What a classifier knows about itself.

    Parameters
    ----------
    name, title, description : str
        `name` is what the command line calls it; `title` what the viewer shows; `description` says honestly
        what it is for.
    categories : tuple of Category
        In the order of the network's outputs.
    backbone : str
        timm's name of the network.
    unit : "tile" or "image"
        What it was made to classify first of all.
    tile : int
        Side of a tile, in source pixels; of those that were resampled to `tile_um`, the median.
    tile_um : float or None
        Side of a tile in micrometres, where all were made to be of one size; then the default where the pixel size of a
        micrograph is known.
    input_size : int
        Side of the network's input, in pixels; tiles are resized to it with antialiasing.
    preprocessing : Preprocessing
    pixel_size_range : (float, float) or None
        Smallest and largest pixel size seen in training, in metres per pixel of the network's input (pixel size times
        tile over input size), so that it holds for tiles of any size; None when unknown.
    windows : bool
        Whether the head was fitted on features averaged over each tile's place in a feature map of the whole
        micrograph, so that tiles see their surroundings; then they are classified so, else each by itself.
    context : float
        Side of the area over which that average is taken, in tiles: with more than 1 the surroundings of a tile have a
        say in its answer, too. Only with `windows`.
    temperature : float
        Logits are divided by it before the softmax.
    unknown_threshold : float or None
        Confidence below which an answer should read "unknown"; None when not measured.
    familiar_kept : float or None
        Share of held-out tiles of the training whose strangeness stays below 1; None when the file holds no
        statistics to tell what is unlike the training. See `model.familiar`.
    reliability : tuple of Answered
        What it answers, and how often rightly, as the least confidence rises; empty when not measured.
    tests : tuple of TestResult
    provenance, licence, credit : str
        How it was made, what others may do with it, and whom to credit.
    card_version : int
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    title: _Line
    description: _Text
    categories: Annotated[tuple[Category, ...], Field(min_length=2, max_length=1000)]
    backbone: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,100}$")]
    unit: Literal["tile", "image"]
    tile: _Pixels
    input_size: Annotated[int, Field(ge=16, le=LARGEST_INPUT)]
    preprocessing: Preprocessing
    tile_um: _Positive | None = None
    pixel_size_range: tuple[_Positive, _Positive] | None = None
    temperature: Annotated[float, Field(ge=1e-3, le=1e3)] = 1.0
    unknown_threshold: _Share | None = None
    familiar_kept: _Share | None = None
    reliability: Annotated[tuple[Answered, ...], Field(max_length=100)] = ()
    tests: tuple[TestResult, ...] = ()
    provenance: _Text = ""
    licence: _Text = ""
    credit: _Text = ""
    windows: bool = False
    context: Annotated[float, Field(ge=1, le=WIDEST_CONTEXT)] = 1.0
    card_version: Literal[1] = CARD_VERSION

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Card":
        names = [category.name for category in self.categories]
        if len(set(names)) < len(names):
            raise ValueError("two categories have the same name")
        return self

    @model_validator(mode="after")
    def _context_is_of_windows(self) -> "Card":
        if self.context > 1 and not self.windows:
            raise ValueError("context goes with windows only")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Category names in output order."""
        return tuple(category.name for category in self.categories)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, so that equal cards have equal hashes."""
        said = asdict(self)
        # So that earlier models keep their hash, and earlier programs read those of today.
        if not self.windows:
            del said["windows"]
        if self.context == 1:
            del said["context"]
        return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


_CARDS = TypeAdapter(Card)


def card_name(stem: str) -> str:
    """A name that a card may have, from a file's name without its suffix."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem).strip("._-")
    return name[:100] or "model"


def card_from_json(text: str, source: str) -> Card:
    """Read a card and check every field.

    Raises
    ------
    ModelError
        Too large, not JSON, of an unknown version, or with a field that is missing, unknown or wrong.
    """
    if len(text.encode(errors="replace")) > CARD_BYTES:
        raise ModelError(f"{source}: its card is larger than {CARD_BYTES:,} bytes; this is not a sound model file.")
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{source}: its card is not valid JSON; this is not a sound model file.") from error
    _refuse_other_versions(raw, source)
    try:
        return _CARDS.validate_json(text)
    except UnicodeEncodeError as error:
        raise ModelError(f"{source}: its card holds characters that are not Unicode; it is not sound.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "card"
        raise ModelError(f"{source}: its card is not sound ({where}: {first['msg']}).") from error


def _refuse_other_versions(raw: Any, source: str) -> None:
    version = raw.get("card_version") if isinstance(raw, Mapping) else None
    if version != CARD_VERSION:
        raise ModelError(
            f"{source}: its card has version {version!r}, this program knows version {CARD_VERSION}; "
            "update napari-semclass or ask for the model in that version."
        )
    steps = raw.get("preprocessing")
    step_version = steps.get("version") if isinstance(steps, Mapping) else None
    if step_version != PREPROCESSING_VERSION:
        raise ModelError(
            f"{source}: it was trained with preprocessing version {step_version!r}, this program does version "
            f"{PREPROCESSING_VERSION}; update napari-semclass or train the model again."
        )
