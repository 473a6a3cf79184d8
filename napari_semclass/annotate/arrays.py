"""Arrays of a project on disk: files named by what they hold, so that nothing is written twice or half replaced."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from napari_semclass.classify.grid import TileGrid
from napari_semclass.classify.prediction import Prediction
from napari_semclass.classify.rejection import Rejection
from napari_semclass.errors import SettingsError, brief
from napari_semclass.model.card import Category
from napari_semclass.writing import replacing

Arrays = Mapping[str, NDArray[Any]]
# Painted pixels are kept in blocks, so that a stroke rewrites only those it touches.
_BLOCK = 2048
_PLAIN_KINDS = "buif"
# What a file may unpack to: so much, or so many times its own size. Marks are mostly flat, and never that large.
_LARGEST_BYTES = 1 << 30
_LARGEST_RATIO = 100


@dataclass(frozen=True)
class _Grid:
    """A tile grid without its array."""

    rows: tuple[tuple[int, int], ...]
    columns: tuple[tuple[int, int], ...]
    tile: int
    stride: int
    shape: tuple[int, int]

    def with_void(self, void: NDArray[Any] | None) -> TileGrid:
        """The grid; `void` (cell rows, cell columns) are pixels without data.

        Raises
        ------
        ValueError
            When there are not as many cells.
        """
        grid = TileGrid(self.rows, self.columns, self.tile, self.stride, self.shape)
        if void is None:
            return grid
        rows, columns = grid.cells()
        if void.shape != (len(rows.lengths), len(columns.lengths)):
            raise ValueError("a prediction's tiles and pixels without data differ in number")
        return replace(grid, void=void.astype(np.float64))


@dataclass(frozen=True)
class _Said:
    """All of a prediction but its arrays. `rejection` is missing in projects of earlier versions."""

    grid: _Grid
    categories: tuple[Category, ...]
    source: str
    pixel_size: float | None
    made: dict[str, Any] | None
    rejection: Rejection | None = None


_SAID = TypeAdapter(list[_Said | None])


def save_arrays(arrays: Arrays, folder: Path) -> str:
    """Write arrays into a file of the folder, unless it is there; return the file's name.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(np.ascontiguousarray(array).data)
    file = f"{digest.hexdigest()[:40]}.npz"
    if not (folder / file).exists():
        with replacing(folder / file) as temporary, temporary.open("wb") as opened:
            _write_npz(opened, arrays)
            opened.flush()
            os.fsync(opened.fileno())
    return file


def _write_npz(file: IO[bytes], arrays: Arrays) -> None:
    """As numpy's `savez_compressed`, but four times as fast: marks are mostly flat, and saved while one works."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file.

    Raises
    ------
    SettingsError
        When it is missing, damaged, would unpack to more than 1 GiB and 100 times its size, or holds anything but
        numbers.
    """
    try:
        _refuse_bomb(path)
        with np.load(path, allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in opened.files}
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: is missing.") from error
    except SettingsError:
        raise
    except Exception as error:  # damaged archives raise anything
        raise SettingsError(f"{path}: is damaged ({brief(error)}).") from error
    # What is no array in an archive is given as its bytes.
    if any(not isinstance(a, np.ndarray) or a.dtype.kind not in _PLAIN_KINDS for a in arrays.values()):
        raise SettingsError(f"{path}: is damaged (it holds something else than numbers).")
    return arrays


def _refuse_bomb(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(_LARGEST_BYTES, _LARGEST_RATIO * path.stat().st_size):
        raise SettingsError(f"{path}: is damaged (it would unpack to {unpacked / 1e9:,.1f} GB).")


def painted_blocks(labels: NDArray[np.integer[Any]]) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
    """Corner and a copy of each block of labels (…, height, width) that has any painted pixel."""
    height, width = labels.shape[-2:]
    for plane in np.ndindex(*labels.shape[:-2]):
        for top in range(0, height, _BLOCK):
            for left in range(0, width, _BLOCK):
                block = labels[(*plane, slice(top, top + _BLOCK), slice(left, left + _BLOCK))]
                if block.any():
                    # As the user paints on: what is named by its content must not change before it is written.
                    yield (*plane, top, left), np.array(block)


def put_block(labels: NDArray[np.integer[Any]], corner: tuple[int, ...], block: NDArray[Any]) -> None:
    """Put a block back in its place.

    Raises
    ------
    ValueError
        When it does not fit there.
    """
    *plane, top, left = corner
    box: tuple[Any, ...] = (*plane, slice(top, top + block.shape[0]), slice(left, left + block.shape[1]))
    place = labels[box]
    if place.shape != block.shape:
        raise ValueError("a block lies outside its layer")
    place[...] = block


def prediction_arrays(predictions: tuple[Prediction | None, ...]) -> Arrays:
    """Predictions as arrays: probabilities and strangeness of each plane, and everything else as JSON in bytes."""
    said = [
        None
        if one is None
        else {
            "grid": asdict(replace(one.grid, void=None)),
            "categories": [asdict(category) for category in one.categories],
            "source": one.source,
            "pixel_size": one.pixel_size,
            "made": None if one.made is None else dict(one.made),
            "rejection": None if one.rejection is None else asdict(one.rejection),
        }
        for one in predictions
    ]
    text = json.dumps(said, default=plain)
    arrays: dict[str, NDArray[Any]] = {}
    for number, one in enumerate(predictions):
        if one is not None:
            arrays[f"plane{number}"] = np.array(one.probabilities)
            if one.strangeness is not None:
                arrays[f"strangeness{number}"] = np.array(one.strangeness)
            if one.grid.void is not None:
                arrays[f"void{number}"] = np.array(one.grid.void)
    return {**arrays, "said": np.frombuffer(text.encode(), dtype=np.uint8)}


def predictions_from(arrays: Arrays) -> tuple[Prediction | None, ...]:
    """Predictions from their arrays.

    Raises
    ------
    ValueError
        When they do not belong together.
    """
    try:
        said = _SAID.validate_json(arrays["said"].tobytes())
    except (KeyError, ValidationError) as error:
        raise ValueError("what it says of a prediction is not sound") from error
    found: list[Prediction | None] = []
    for number, one in enumerate(said):
        probabilities = arrays.get(f"plane{number}")
        if one is None or probabilities is None:
            found.append(None)
            continue
        grid = one.grid.with_void(arrays.get(f"void{number}"))
        if probabilities.shape != (len(grid), len(one.categories)):
            raise ValueError("a prediction's probabilities and tiles differ in number")
        strange = arrays.get(f"strangeness{number}")
        if strange is not None and strange.shape != (len(grid),):
            raise ValueError("a prediction's strangeness and tiles differ in number")
        known = grid, one.categories, one.source, one.pixel_size, one.made
        found.append(Prediction(probabilities, *known, strange, one.rejection))
    return tuple(found)


def plain(value: Any) -> Any:
    """What JSON cannot hold as what it can: numpy's numbers as numbers, anything unknown as its text."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
