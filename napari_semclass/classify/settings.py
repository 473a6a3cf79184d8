"""The settings of a classification: the same object from the viewer, the command line and Python."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from napari_semclass.classify.grid import TileGrid, tile_grid, whole_grid
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import Micrograph
from napari_semclass.model.card import Card

Mode = Literal["tiles", "whole"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
_REJECT = "auto, off or the least confidence, 0 to 1"


@dataclass(frozen=True)
class Settings:
    """What to classify and how.

    Parameters
    ----------
    mode : "tiles" or "whole"
        Every tile of the micrograph, or the whole picture as one.
    tile, stride : int or None
        Pixels; None takes the card's tile, and the tile as stride. Not used for whole pictures.
    device : "auto", "cpu", "cuda" or "mps"
    batch : int or None
        Tiles per batch to start from; None chooses. Halved by itself when memory runs out.
    dihedral : bool
        Average over the eight flips and right-angle turns of each tile: slower by eight, a little better.
    precision : "auto", "fp32", "bf16" or "fp16"
        Number format of the network's body; its last layer and the probabilities are always float32. "auto" takes a
        lower one than float32 where a short trial on this machine found it faster and its answers the same.
    keep_data_bar : bool
        Take data bars for specimen: their rows are classified, too, and count for the grey range.
    reject : "auto", "off" or float
        When to answer "unknown". A number is the least confidence, in [0, 1]; "auto" takes the model's own, if it has
        one. Both also call unknown what is unlike the model's training, where the model can tell. "off" never does.
    """

    mode: Mode = "tiles"
    tile: int | None = None
    stride: int | None = None
    device: str = "auto"
    batch: int | None = None
    dihedral: bool = False
    keep_data_bar: bool = False
    reject: str | float = "auto"
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Refuse what no micrograph or device could make sense of."""
        if self.mode not in get_args(Mode):
            raise SettingsError(f"mode {self.mode!r} is unknown; use {' or '.join(get_args(Mode))}.")
        if self.precision not in get_args(Precision):
            raise SettingsError(
                f"precision {self.precision!r} is unknown; use one of {', '.join(get_args(Precision))}."
            )
        if self.batch is not None and self.batch < 1:
            raise SettingsError(f"batch {self.batch} is impossible; use at least 1 tile per batch.")
        if isinstance(self.reject, str) and self.reject not in ("auto", "off"):
            raise SettingsError(f"reject {self.reject!r} is unknown; use {_REJECT}.")
        if not isinstance(self.reject, str) and not 0 <= self.reject <= 1:
            raise SettingsError(f"reject {self.reject:g} is impossible; use {_REJECT}.")

    def seen(self, micrograph: Micrograph) -> Micrograph:
        """The micrograph as it is classified: without data bars where these are to be kept."""
        return replace(micrograph, known_bars=()) if self.keep_data_bar and micrograph.known_bars != () else micrograph

    def grid(self, micrograph: Micrograph, card: Card) -> TileGrid:
        """The tiles that these settings lay on a micrograph.

        Raises
        ------
        SettingsError
            When tile and stride are impossible.
        """
        micrograph = self.seen(micrograph)
        if self.mode == "whole":
            return whole_grid(micrograph.shape, micrograph.specimen)
        return tile_grid(micrograph.shape, self.tile or card.tile, self.stride, micrograph.specimen)
