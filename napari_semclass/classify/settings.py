"""The settings of a classification: the same object from the viewer, the command line and Python."""

from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal, get_args

from napari_semclass.classify.grid import TileGrid, tile_grid, whole_grid, without_void
from napari_semclass.classify.scale import tile_pixels
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import Micrograph
from napari_semclass.model.card import Card

Mode = Literal["tiles", "whole"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Runtime = Literal["auto", "torch", "openvino"]
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
    tile_um, stride_um : float or None
        Micrometres, in place of pixels: on every micrograph, whose pixel size must then be known, tiles of this size.
    pixel_size : float or None
        Metres per pixel of micrographs that do not say it themselves.
    device : "auto", "cpu", "cuda" or "mps"
    batch : int or None
        Tiles per batch to start from; None chooses. Halved by itself when memory runs out.
    dihedral : bool
        Average over the eight flips and right-angle turns of each tile: slower by eight, a little better.
    precision : "auto", "fp32", "bf16" or "fp16"
        Number format of the network's body; its last layer and the probabilities are always float32. "auto" takes a
        lower one than float32 where a short trial on this machine found it faster and its answers the same.
    runtime : "auto", "torch" or "openvino"
        What computes the network's body. "auto" is torch, or with precision "auto" OpenVINO where it is installed and
        the same trial found it faster with the same answers. OpenVINO asked for computes in fp32 unless told otherwise.
    keep_data_bar : bool
        Take data bars for specimen: their rows are classified, too, and count for the grey range.
    reject : "auto", "off" or float
        When to answer "unknown". A number is the least confidence, in [0, 1]; "auto" takes the model's own, if it has
        one. Both also call unknown what is unlike the model's training, where the model can tell. "off" never does.
    """

    mode: Mode = "tiles"
    tile: int | None = None
    stride: int | None = None
    tile_um: float | None = None
    stride_um: float | None = None
    pixel_size: float | None = None
    device: str = "auto"
    batch: int | None = None
    dihedral: bool = False
    keep_data_bar: bool = False
    reject: str | float = "auto"
    precision: Precision = "auto"
    runtime: Runtime = "auto"

    def __post_init__(self) -> None:
        """Refuse what no micrograph or device could make sense of."""
        if self.mode not in get_args(Mode):
            raise SettingsError(f"mode {self.mode!r} is unknown; use {' or '.join(get_args(Mode))}.")
        if self.precision not in get_args(Precision):
            known = ", ".join(get_args(Precision))
            raise SettingsError(f"precision {self.precision!r} is unknown; use one of {known}.")
        if self.runtime not in get_args(Runtime):
            raise SettingsError(f"runtime {self.runtime!r} is unknown; use one of {', '.join(get_args(Runtime))}.")
        if (self.runtime, self.precision) == ("openvino", "fp16"):
            raise SettingsError("runtime openvino computes in fp32 and bf16 only; use one of these, or runtime torch.")
        self._check_lengths()
        if self.batch is not None and self.batch < 1:
            raise SettingsError(f"batch {self.batch} is impossible; use at least 1 tile per batch.")
        if isinstance(self.reject, str) and self.reject not in ("auto", "off"):
            raise SettingsError(f"reject {self.reject!r} is unknown; use {_REJECT}.")
        if not isinstance(self.reject, str) and not 0 <= self.reject <= 1:
            raise SettingsError(f"reject {self.reject:g} is impossible; use {_REJECT}.")

    def _check_lengths(self) -> None:
        for name in ("tile_um", "stride_um", "pixel_size"):
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value > 0):
                raise SettingsError(f"{name} {value:g} is impossible; use a length above 0.")
        if (self.tile or self.stride) and (self.tile_um or self.stride_um):
            raise SettingsError("tile and stride are given in pixels and in micrometres; use one of the two.")
        if self.tile_um and self.stride_um and self.stride_um > self.tile_um:
            raise SettingsError(
                f"stride {self.stride_um:g} µm is larger than tile {self.tile_um:g} µm and would leave gaps; use at "
                "most the tile."
            )

    def seen(self, micrograph: Micrograph) -> Micrograph:
        """The micrograph as it is classified: with data bars that are to be kept, and the pixel size that was given."""
        if self.keep_data_bar and micrograph.known_bars != ():
            micrograph = replace(micrograph, known_bars=())
        known = micrograph.metadata
        if self.pixel_size is not None and micrograph.pixel_size is None and known.pixel_size is None:
            given = replace(known, pixel_size=(self.pixel_size, self.pixel_size), pixel_size_source="given")
            micrograph = replace(micrograph, pixel_size=self.pixel_size, metadata=given)
        return micrograph

    def tile_length(self, card: Card) -> float | None:
        """Side of a tile in micrometres, where it is laid so and the pixel size is known; else None."""
        return self.tile_um if self.tile_um is not None or self.tile is not None else card.tile_um

    def sides(self, micrograph: Micrograph, card: Card) -> tuple[int, int]:
        """Tile and stride in pixels on a micrograph as `seen`.

        Without any given, the card's: in micrometres, if it was trained so and the pixel size is known.

        Raises
        ------
        SettingsError
            Micrometres on a micrograph whose pixel size is not known, or of which too few or too many pixels are.
        """
        length = self.tile_length(card)
        if length is None or (self.tile_um is None and micrograph.pixel_size is None):
            tile = self.tile or card.tile
        else:
            tile = tile_pixels(length, micrograph)
        return tile, (self.stride or tile) if self.stride_um is None else tile_pixels(self.stride_um, micrograph, 1)

    def grid(self, micrograph: Micrograph, card: Card) -> TileGrid:
        """The tiles that these settings lay on a micrograph.

        Raises
        ------
        SettingsError
            When tile and stride are impossible, or in micrometres on a micrograph whose pixel size is not known.
        """
        micrograph = self.seen(micrograph)
        if self.mode == "whole":
            y0, x0, y1, x1 = micrograph.field
            return whole_grid(micrograph.shape, [(y0, y1)], (x0, x1))
        grid = tile_grid(micrograph.shape, *self.sides(micrograph, card), micrograph.specimen)
        return without_void(grid, micrograph.void_map)
