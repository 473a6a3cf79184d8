"""What a user marked on one plane of one micrograph: painted pixels, outlined regions and points."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import SettingsError

_ELLIPSE_CORNERS = 64


@dataclass(frozen=True, eq=False)
class Region:
    """An outlined region of the category `number`.

    `polygon` (corners, 2) are `(y, x)` in level-0 pixels as napari counts them: whole numbers are pixel centres, so
    pixel `(0, 0)` reaches from -0.5 to 0.5. Where it crosses itself, the even-odd rule says what is inside.
    """

    number: int
    polygon: NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        """Refuse what outlines nothing."""
        shape = np.shape(self.polygon)
        if len(shape) != 2 or shape[0] < 3 or shape[1] != 2 or not np.isfinite(self.polygon).all():
            raise SettingsError("a marked region needs three or more corners of two finite coordinates each.")


@dataclass(frozen=True)
class Point:
    """A point of the category `number`, at `(y, x)` in level-0 pixels as in `Region`; it stands for its whole tile."""

    number: int
    y: float
    x: float


@dataclass(frozen=True, eq=False)
class Marks:
    """All marks on one plane, whatever layers they are in.

    Parameters
    ----------
    painted : array (height, width) of integers, or None
        Category numbers, 0 where nothing is painted; numpy, or a lazy array that gives rows when sliced.
    regions : tuple of Region
    points : tuple of Point
    """

    painted: NDArray[np.integer[Any]] | None = None
    regions: tuple[Region, ...] = ()
    points: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        """Refuse pixels that cannot be category numbers."""
        if self.painted is not None and (self.painted.ndim != 2 or self.painted.dtype.kind not in "ui"):
            raise SettingsError(
                f"painted marks must be whole numbers on one plane, not {self.painted.dtype} values with "
                f"{self.painted.ndim} axes."
            )


def box_corners(box: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Corners (4, 2) of the box `(y0, x0, y1, x1)`, half-open in pixels, as in `Region`: half a pixel up and left."""
    y0, x0, y1, x1 = (edge - 0.5 for edge in box)
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]])


def ellipse(corners: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Polygon (64, 2) of the ellipse in a rectangle or parallelogram whose four corners (4, 2) are given in turn."""
    corners = np.asarray(corners, dtype=np.float64)
    centre = corners.mean(axis=0)
    along, across = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angles = np.linspace(0, 2 * np.pi, _ELLIPSE_CORNERS, endpoint=False)[:, None]
    return np.asarray(centre + np.cos(angles) * along + np.sin(angles) * across)
