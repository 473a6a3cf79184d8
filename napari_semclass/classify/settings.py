"""The settings of a classification: the same object from the viewer, the command line and Python."""

from dataclasses import dataclass
from typing import Literal

from napari_semclass.classify.grid import TileGrid, tile_grid, whole_grid
from napari_semclass.micrograph import Micrograph
from napari_semclass.model.card import Card


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
    """

    mode: Literal["tiles", "whole"] = "tiles"
    tile: int | None = None
    stride: int | None = None
    device: str = "auto"
    batch: int | None = None
    dihedral: bool = False

    def grid(self, micrograph: Micrograph, card: Card) -> TileGrid:
        """The tiles that these settings lay on a micrograph.

        Raises
        ------
        SettingsError
            When tile and stride are impossible.
        """
        if self.mode == "whole":
            return whole_grid(micrograph.shape, micrograph.specimen)
        return tile_grid(micrograph.shape, self.tile or card.tile, self.stride, micrograph.specimen)
