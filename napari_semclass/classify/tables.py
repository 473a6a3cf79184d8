"""Predictions as tables and shapes: CSV, JSON and GeoJSON, in level-0 pixels with y down."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.classify.prediction import NOT_CLASSIFIED, Prediction
from napari_semclass.names import printable
from napari_semclass.writing import csv_writer, json_text, replacing

# A spreadsheet computes cells that begin with one of these instead of showing them.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_tiles_csv(prediction: Prediction, path: str | Path) -> None:
    """Write one line per computed tile.

    Columns: `row`, `col` (indices of the tile in its grid), `y0`, `x0`, `y1`, `x1` (half-open box in pixels),
    `category` (or "unknown"), `confidence`, one `prob_<Category>` per category (in [0, 1], six decimals),
    `pixel_size_m` (metres, empty when unknown), `pixel_size_source` and `strangeness` (how unlike the training, very
    above 1; empty where the model cannot tell). A category whose name begins like a spreadsheet formula gets a
    leading apostrophe in the `category` column.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    header = ["row", "col", "y0", "x0", "y1", "x1", "category", "confidence"]
    header += [*(f"prob_{name}" for name in prediction.names), "pixel_size_m", "pixel_size_source", "strangeness"]
    write_csv(path, header, _tile_lines(prediction))


def write_json(prediction: Prediction, path: str | Path) -> None:
    """Write everything the prediction holds, and the totals that follow from it.

    Probabilities of tiles that were not computed are null; tile `i` of `probabilities` lies in
    `grid.rows[i // len(grid.columns)]` and `grid.columns[i % len(grid.columns)]`.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    grid = prediction.grid
    content = {
        "source": prediction.source,
        **_scale(prediction),
        "made": prediction.made,
        "categories": [{"name": category.name, "color": category.color} for category in prediction.categories],
        "grid": {
            "shape": grid.shape,
            "tile": grid.tile,
            "stride": grid.stride,
            "rows": grid.rows,
            "columns": grid.columns,
        },
        "rejection": _rejection(prediction),
        "area_fractions": dict(
            zip((answer.name for answer in prediction.answers), prediction.area_fractions().tolist(), strict=True)
        ),
        "probabilities": [
            [round(float(value), 6) for value in tile] if done else None
            for tile, done in zip(prediction.probabilities, prediction.done, strict=True)
        ],
        "strangeness": None if prediction.strangeness is None else _finite(prediction.strangeness),
    }
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(_json(content))


def write_geojson(prediction: Prediction, path: str | Path) -> None:
    """Write one rectangle per classified cell, as a GeoJSON FeatureCollection that QuPath opens as annotations.

    Cells are what all tile edges cut, so rectangles never overlap; where tiles do, their probabilities are
    averaged. Rings are closed and hold `[x, y]` in pixels, y down; parts without a prediction are left out.
    Each rectangle says the pixel size (`pixel_size_m`, metres or null); where that comes from is said once, in the
    collection's `properties`. `objectType`, `classification` and `measurements` are what QuPath 0.4 and newer reads
    (qupath.lib.io.QuPathTypeAdapters); it takes a colon in a category's name for a class within a class.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        file.write(b'{"type":"FeatureCollection","properties":' + _json(_scale(prediction)) + b',"features":[')
        for index, feature in enumerate(_features(prediction)):
            file.write((b",\n" if index else b"\n") + _json(feature))
        file.write(b"\n]}\n")


def write_csv(path: str | Path, header: Iterable[str], lines: Iterable[Iterable[Any]]) -> None:
    """Write a UTF-8 CSV file; floats get six decimals, None and NaN an empty cell, text is safe for spreadsheets.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    with (
        replacing(Path(path)) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv_writer(file)
        writer.writerow(map(printable, header))
        writer.writerows([_cell(value) for value in line] for line in lines)


def length_cell(metres: float | None) -> str:
    """A length in metres as a cell: nanometres would vanish in the six decimals of other numbers."""
    return "" if metres is None else f"{metres:.6g}"


def _scale(prediction: Prediction) -> dict[str, Any]:
    return {"pixel_size_m": prediction.pixel_size, "pixel_size_source": prediction.pixel_size_source}


def _rejection(prediction: Prediction) -> dict[str, Any] | None:
    """What is unknown, and by which rule."""
    rule = prediction.rejection
    if rule is None:
        return None
    category = {"name": rule.category.name, "color": rule.category.color}
    return {"least_confidence": rule.confidence, "most_strangeness": rule.strangeness, "category": category}


def _finite(values: NDArray[np.float32]) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 6) for value in values]


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        value = printable(value)
        return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.6f}"
    return value


def _tile_lines(prediction: Prediction) -> Iterator[list[Any]]:
    columns = len(prediction.grid.columns)
    answers, boxes = prediction.tile_categories(), prediction.grid.boxes()
    scale = length_cell(prediction.pixel_size), prediction.pixel_size_source
    names = [answer.name for answer in prediction.answers]
    for index in np.flatnonzero(prediction.done):
        values = prediction.probabilities[index].tolist()
        name = names[answers[index]]
        strange = None if prediction.strangeness is None else float(prediction.strangeness[index])
        yield [*divmod(int(index), columns), *boxes[index].tolist(), name, max(values), *values, *scale, strange]


def _features(prediction: Prediction) -> Iterator[dict[str, Any]]:
    cells = prediction.cells()
    labels, confidence = cells.labels(), cells.confidence()
    names, answers = prediction.names, prediction.answers
    for row, column in np.argwhere(labels != NOT_CLASSIFIED):
        y0, y1 = cells.y_edges[row : row + 2].tolist()
        x0, x1 = cells.x_edges[column : column + 2].tolist()
        category = answers[labels[row, column] - 1]
        yield {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]]},
            "properties": {
                "objectType": "annotation",
                "category": category.name,
                "confidence": round(float(confidence[row, column]), 6),
                "pixel_size_m": prediction.pixel_size,
                "classification": {"name": category.name, "color": list(bytes.fromhex(category.color[1:]))},
                "measurements": _measurements(names, cells.probabilities[row, column]),
            },
        }


def _measurements(names: Iterable[str], probabilities: NDArray[np.float32]) -> dict[str, float]:
    """What QuPath (0.4 and newer) shows of an object and classifies by: numbers only."""
    shares = [round(float(value), 6) for value in probabilities]
    return {"confidence": max(shares), **{f"prob_{name}": share for name, share in zip(names, shares, strict=True)}}


def _json(content: Any) -> bytes:
    return json_text(content, allow_nan=False, separators=(",", ":")).encode()
