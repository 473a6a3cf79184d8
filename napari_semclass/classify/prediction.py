"""The Prediction: what a model said about each tile, and the votes, areas and totals that follow from it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.classify.grid import TileGrid
from napari_semclass.classify.rejection import Rejection, recorded
from napari_semclass.model.card import Category

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from napari_semclass.micrograph import Micrograph

# A label of 0 is napari's background, and marks what was not classified.
NOT_CLASSIFIED = 0


@dataclass(frozen=True, eq=False)
class Prediction:
    """Probabilities of each tile, on its grid.

    Parameters
    ----------
    probabilities : array (tiles, categories), float32
        Rows sum to 1; a row of NaN is a tile not computed (yet), or left out of the grid.
    grid : TileGrid
    categories : tuple of Category
    source : str
        The micrograph's name.
    pixel_size : float or None
        Metres per pixel.
    made : mapping
        How it was made: versions, device, precision, model name and hash, grey range, settings, and where the pixel
        size comes from.
    strangeness : array (tiles,), float32, or None
        How unlike the training each tile is: 1 is as far as only few held-out tiles of the training are. NaN where not
        computed; None when the model cannot tell.
    rejection : Rejection or None
        What is unknown; None never says so. Replacing it changes answers, counts and areas, and computes nothing anew.
    """

    probabilities: NDArray[np.float32]
    grid: TileGrid
    categories: tuple[Category, ...]
    source: str = ""
    pixel_size: float | None = None
    made: Mapping[str, Any] | None = None
    strangeness: NDArray[np.float32] | None = None
    rejection: Rejection | None = None

    def __repr__(self) -> str:
        """What it says, as one sentence."""
        from napari_semclass.classify.show import text

        return f"<Prediction: {text(self)}>"

    def _repr_html_(self) -> str:
        from napari_semclass.classify.show import html

        return html(self)

    def plot(self, micrograph: "Micrograph | None" = None, *, opacity: float = 0.45) -> "Figure":
        """The categories as a coloured map, over the micrograph if it is given; see `classify.show.plot`."""
        from napari_semclass.classify.show import plot

        return plot(self, micrograph, opacity=opacity)

    @property
    def names(self) -> tuple[str, ...]:
        """Category names, in the order of the probability columns."""
        return tuple(category.name for category in self.categories)

    @property
    def answers(self) -> tuple[Category, ...]:
        """What a tile can be answered with: the categories, then "unknown" where it is said."""
        return self.categories if self.rejection is None else (*self.categories, self.rejection.category)

    def rejecting(self, rejection: Rejection | None) -> "Prediction":
        """The same tiles under another rule for what is unknown."""
        made = dict(self.made or {})
        made["settings"] = {**made.get("settings", {}), "reject": recorded(rejection)}
        return replace(self, rejection=rejection, made=made)

    @property
    def whole(self) -> bool:
        """Whether the picture was classified as one; then there are no tiles, and shares are probabilities."""
        return bool((self.made or {}).get("settings", {}).get("mode") == "whole")

    @property
    def pixel_size_source(self) -> str:
        """Where the pixel size comes from, such as `Zeiss AP_IMAGE_PIXEL_SIZE`; empty when that is not known."""
        return str((self.made or {}).get("pixel_size_source", ""))

    @property
    def done(self) -> NDArray[np.bool_]:
        """Which tiles are computed, (tiles,)."""
        return ~np.isnan(self.probabilities[:, 0])

    def tile_categories(self) -> NDArray[np.int64]:
        """Index of each tile's answer among `answers`, (tiles,); -1 where not computed.

        It is the most probable category, or the index after the last one where the tile is unknown.
        """
        best = np.nan_to_num(self.probabilities).argmax(axis=1)
        if self.rejection is not None:
            best[self.rejection.rejects(self.tile_confidence(), self.strangeness)] = len(self.categories)
        return np.where(self.done, best, -1)

    def tile_confidence(self) -> NDArray[np.float32]:
        """Largest probability of each tile, (tiles,), in [0, 1]; NaN where not computed."""
        largest: NDArray[np.float32] = self.probabilities.max(axis=1)
        return largest

    def cells(self) -> "Cells":
        """Votes on the cells that the tile edges cut: probabilities of all computed tiles over a cell, averaged."""
        rows, columns = self.grid.cells()
        shape = len(self.grid.rows), len(self.grid.columns)
        done = self.done
        values = self.probabilities
        if self.strangeness is not None:
            values = np.column_stack([values, self.strangeness])
        tiles = np.where(done[:, None], values, 0).astype(np.float64)
        summed = _on_cells(rows.cover, columns.cover, tiles.reshape(*shape, -1))
        votes = _on_cells(rows.cover, columns.cover, done.reshape(*shape, 1).astype(np.float64))
        with np.errstate(invalid="ignore"):
            mean = np.where(votes > 0, summed / votes, np.nan).astype(np.float32)
        void = self.grid.void
        if void is not None:  # nothing of such a cell is classified, though the tiles over it may be
            mean[void >= np.outer(rows.lengths, columns.lengths)] = np.nan
        strangeness = None if self.strangeness is None else mean[..., -1]
        return Cells(rows.edges, columns.edges, mean[..., : len(self.categories)], strangeness, self.rejection, void)

    def area_fractions(self) -> NDArray[np.float64]:
        """Share of the classified area with each of `answers`, (answers,); sums to 1."""
        return self.cells().area_fractions()

    def mean_probabilities(self) -> NDArray[np.float64]:
        """Area-weighted mean over the classified cells, (categories,); NaN when nothing is classified."""
        return self.cells().mean_probabilities()

    def counts(self) -> NDArray[np.int64]:
        """Number of tiles with each of `answers`, (answers,)."""
        return np.bincount(self.tile_categories() + 1, minlength=len(self.answers) + 1)[1:]


@dataclass(frozen=True, eq=False)
class Summary:
    """What a legend and a table say about a prediction, computed once.

    `answers` are the categories, and "unknown" after them where it is said; `counts` (answers,) tiles of each;
    `fractions` (answers,) area shares; `mean` (categories,) area-weighted probabilities; `void` the share of
    the picture that holds no data. All but that are of what was classified when the summary was made.
    """

    source: str
    answers: tuple[Category, ...]
    whole: bool
    counts: NDArray[np.int64]
    fractions: NDArray[np.float64]
    mean: NDArray[np.float64]
    void: float = 0.0

    @classmethod
    def of(cls, prediction: Prediction, cells: "Cells") -> "Summary":
        """Summarise a prediction whose cells are at hand."""
        return cls(
            prediction.source,
            prediction.answers,
            prediction.whole,
            prediction.counts(),
            cells.area_fractions(),
            cells.mean_probabilities(),
            float((prediction.made or {}).get("void") or 0),
        )

    @property
    def answer(self) -> int:
        """Index among `answers` of the one for the whole micrograph: "unknown" where more than half of it is."""
        unknown = len(self.mean)
        if unknown < len(self.answers) and self.fractions[unknown] > 0.5:
            return unknown
        return int(np.nan_to_num(self.mean).argmax())


@dataclass(frozen=True, eq=False)
class Cells:
    """Averaged probabilities on a rectilinear grid.

    `y_edges` (rows + 1) and `x_edges` (columns + 1) in level-0 pixels; `probabilities`
    (rows, columns, categories), NaN where no tile was computed or none lies (a data bar, no data). `strangeness`
    (rows, columns) is averaged alike, None where the model cannot tell; `rejection` is the prediction's. `void`
    (rows, columns) are pixels without data, which areas leave out; None where there are none.
    """

    y_edges: NDArray[np.int64]
    x_edges: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    strangeness: NDArray[np.float32] | None = None
    rejection: Rejection | None = None
    void: NDArray[np.float64] | None = None

    @cached_property
    def _labels(self) -> NDArray[np.uint16]:
        known = ~np.isnan(self.probabilities[..., 0])
        best = np.nan_to_num(self.probabilities).argmax(axis=-1) + 1
        if self.rejection is not None:
            best[self.rejection.rejects(self.confidence(), self.strangeness)] = self.probabilities.shape[-1] + 1
        return np.where(known, best, NOT_CLASSIFIED).astype(np.uint16)

    def labels(self) -> NDArray[np.uint16]:
        """Index of the most probable category plus 1, (rows, columns); 0 where nothing was classified.

        What is unknown has the number after the last category's.
        """
        return self._labels

    def confidence(self) -> NDArray[np.float32]:
        """Largest averaged probability, (rows, columns); NaN where nothing is known."""
        largest: NDArray[np.float32] = self.probabilities.max(axis=-1)
        return largest

    def areas(self) -> NDArray[np.float64]:
        """Area of each cell in square pixels that hold data, (rows, columns)."""
        areas = np.outer(np.diff(self.y_edges), np.diff(self.x_edges)).astype(np.float64)
        return areas if self.void is None else np.maximum(areas - self.void, 0)

    def area_fractions(self) -> NDArray[np.float64]:
        """As `Prediction.area_fractions`."""
        answers = self.probabilities.shape[-1] + (self.rejection is not None)
        area, labels = self.areas(), self.labels()
        covered = area[labels != NOT_CLASSIFIED].sum()
        sums = np.bincount(labels.ravel(), weights=area.ravel(), minlength=answers + 1)[1:]
        return sums / covered if covered else np.zeros(answers)

    def mean_probabilities(self) -> NDArray[np.float64]:
        """As `Prediction.mean_probabilities`."""
        classified = (self.labels() != NOT_CLASSIFIED) & (self.areas() > 0)
        if not classified.any():
            return np.full(self.probabilities.shape[-1], np.nan)
        mean: NDArray[np.float64] = np.average(
            self.probabilities[classified].astype(np.float64), axis=0, weights=self.areas()[classified]
        )
        return mean

    def expand(self, values: NDArray[Any], y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[Any]:
        """Values of the cells under the pixels at rows `y` and columns `x`, (len(y), len(x)); 0 outside."""
        # A border of zeros stands for everything outside: before the first edge is row 0, after the last the last row.
        bordered = np.pad(values, 1)
        rows = np.take(bordered, np.searchsorted(self.y_edges, y, side="right"), axis=0)
        return np.take(rows, np.searchsorted(self.x_edges, x, side="right"), axis=1)


def _on_cells(rows: Any, columns: Any, tiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the tiles that cover each cell: rows @ tiles @ columns^T for every last-axis entry."""
    n_rows, n_columns, depth = tiles.shape
    along_y = rows @ tiles.reshape(n_rows, n_columns * depth)
    along_y = along_y.reshape(rows.shape[0], n_columns, depth).transpose(1, 0, 2)
    both = columns @ along_y.reshape(n_columns, rows.shape[0] * depth)
    return np.asarray(both.reshape(columns.shape[0], rows.shape[0], depth).transpose(1, 0, 2))
