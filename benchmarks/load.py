"""Far more than a day's work: a million tiles, and hundreds of layers of marks; seconds and memory of each step.

    python benchmarks/load.py [--tiles 1000000] [--layers 300]

Tiles: a prediction of so many tiles with overlap (random answers) becomes areas, an overlay, CSV and GeoJSON. Layers:
so many layers of marks of 200 categories become a project, which is saved and read.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil

from napari_semclass.annotate import Categories, ImageEntry, MarkLayer
from napari_semclass.annotate.categories import MarkCategory
from napari_semclass.annotate.project import Project, read_project, write_project
from napari_semclass.classify.grid import tile_grid
from napari_semclass.classify.layers import label_pixels
from napari_semclass.classify.prediction import Prediction, Summary
from napari_semclass.classify.tables import write_geojson, write_tiles_csv
from napari_semclass.model import Category

_T = TypeVar("_T")


def timed(what: str, do: Callable[[], _T]) -> _T:
    """Do it; print seconds, and the memory of the process afterwards."""
    begun = time.perf_counter()
    found = do()
    print(
        f"{what:44} {time.perf_counter() - begun:8.2f} s  {psutil.Process().memory_info().rss / 1e6:8,.0f} MB",
        flush=True,
    )
    return found


def tiles(count: int, folder: Path) -> None:
    """A prediction of so many tiles, and everything that is made of it."""
    side = round(count**0.5)
    grid = timed(
        f"grid of {side * side:,} tiles, stride half a tile", lambda: tile_grid((16 * (side + 1),) * 2, 32, 16)
    )
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.full(10, 0.3), len(grid)).astype(np.float32)
    categories = tuple(Category(f"c{number}", "#d55e00") for number in range(10))
    found = Prediction(shares, grid, categories)
    cells = timed("votes on cells", found.cells)
    timed("areas", lambda: Summary.of(found, cells))
    timed("overlay (lazy), and one screen of it", lambda: np.asarray(label_pixels([cells], grid.shape, (), 10)[-1]))
    timed("CSV", lambda: write_tiles_csv(found, folder / "a.csv"))
    timed("GeoJSON", lambda: write_geojson(found, folder / "a.geojson"))
    for name in ("a.csv", "a.geojson"):
        print(f"  {name}: {(folder / name).stat().st_size / 1e6:,.0f} MB")


def layers(count: int, folder: Path) -> None:
    """A project with so many layers of 200 points and as many boxes each."""
    categories = Categories(tuple(MarkCategory(n, f"category {n}", "#d55e00", None) for n in range(1, 201)))
    random = np.random.default_rng(0)
    marks, images = [], []
    for number in range(count):
        images.append(ImageEntry(f"i{number}", f"i{number}", str(folder / f"{number}.tif"), (4096, 4096), "uint8"))
        owners = tuple(int(n) for n in random.integers(1, 201, 200))
        marks.append(MarkLayer(f"i{number}", "points", "points", random.uniform(0, 4096, (200, 2)), owners))
        corners = random.uniform(0, 3900, (200, 1, 2)) + np.array([[0, 0], [0, 150], [150, 150], [150, 0]])
        marks.append(MarkLayer(f"i{number}", "shapes", "boxes", list(corners), owners, ("rectangle",) * 200))
    project = Project(categories=categories, images=tuple(images), layers=tuple(marks))
    there = folder / "p.semclass"
    saved = timed(f"project of {2 * count} layers, {400 * count:,} marks saved", lambda: write_project(project, there))
    timed("saved again, nothing changed", lambda: write_project(saved, there))
    timed("read", lambda: read_project(there))


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tiles", type=int, default=1_000_000)
    arguments.add_argument("--layers", type=int, default=300)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tiles(options.tiles, Path(scratch))
        layers(options.layers, Path(scratch))


if __name__ == "__main__":
    main()
