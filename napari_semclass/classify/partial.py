"""What of a large micrograph is computed already: kept block by block, so that a killed run goes on in its middle."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.classify.grid import TileGrid
from napari_semclass.classify.prediction import Prediction
from napari_semclass.errors import OutputError, brief

# Smaller micrographs are done again: that takes seconds.
LARGE_PX = 16_000_000
_KEY = "semclass"


@dataclass(frozen=True)
class Partial:
    """A hidden zarr beside the results: probabilities of each tile and its strangeness, NaN where still to come.

    Parameters
    ----------
    path : Path
        The zarr folder.
    source : (int, int)
        Size and time of the micrograph's file; what was computed of another state of it is not used.
    """

    path: Path
    source: tuple[int, int]

    @classmethod
    def of(cls, out: Path, name: str, shape: tuple[int, int], source: tuple[int, int]) -> "Partial | None":
        """Where to keep the tiles of a micrograph with this name below `out`; None where it is small."""
        beside = out / name
        path = beside.with_name(f".{beside.name}.partial.zarr")
        return cls(path, source) if prod(shape) > LARGE_PX else None

    def restore(self, prediction: Prediction) -> None:
        """Fill in what an earlier run computed in the same way, or begin anew."""
        identity = self._identity(prediction)
        shape = *_shape(prediction.grid), prediction.probabilities.shape[1] + 1
        import zarr

        from napari_semclass.micrograph.packed import held

        try:
            array = held(zarr.open_array(str(self.path), mode="r+"), self.path)
            known = np.asarray(array[:]) if array.attrs.get(_KEY) == identity and array.shape == shape else None
        except Exception:  # none, or cut short: whatever zarr raises
            known = None
        if known is None:
            self.remove()
            # About one chunk for each block of tiles.
            chunks = max(1, LARGE_PX // max(1, prediction.grid.tile * prediction.grid.shape[1])), *shape[1:]
            options = {"shape": shape, "chunks": chunks, "dtype": "float32", "fill_value": np.nan}
            self._guarded(lambda: zarr.create_array(str(self.path), **options, attributes={_KEY: identity}))
            return
        tiles = known.reshape(-1, shape[-1])
        if prediction.strangeness is not None:
            prediction.strangeness[:] = tiles[:, -1]
        prediction.probabilities[:] = tiles[:, :-1]

    def keep(self, prediction: Prediction, tiles: NDArray[np.int64]) -> None:
        """Keep a block of tiles (their indices, all within some rows and columns of the grid).

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        across = len(prediction.grid.columns)
        rows, columns = np.unique(tiles // across), np.unique(tiles % across)
        tiles = np.add.outer(rows * across, columns).ravel()  # with those between them that are left out
        strange = np.zeros(len(tiles)) if prediction.strangeness is None else prediction.strangeness[tiles]
        block = np.column_stack([prediction.probabilities[tiles], strange]).astype(np.float32)
        where = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        self._guarded(lambda: self._array.__setitem__(where, block.reshape(len(rows), len(columns), -1)))

    def remove(self) -> None:
        """The results are complete: nothing is left to go on with."""
        shutil.rmtree(self.path, ignore_errors=True)

    @cached_property
    def _array(self) -> Any:
        import zarr

        return zarr.open_array(str(self.path), mode="r+")

    def _identity(self, prediction: Prediction) -> str:
        """Equal for predictions whose tiles are computed alike."""
        made, grid = prediction.made or {}, prediction.grid
        how = [made["settings"].get("dihedral"), made["precision"], made["runtime"]]
        said = [made["model"], made["grey_range"], *how, self.source]
        place = [grid.rows, grid.columns, grid.tile, grid.stride, grid.shape]
        return hashlib.sha256(json.dumps([said, place], sort_keys=True).encode()).hexdigest()

    def _guarded(self, write: Any) -> None:
        try:
            write()
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror or brief(error)}).") from error


def _shape(grid: TileGrid) -> tuple[int, int]:
    return len(grid.rows), len(grid.columns)
