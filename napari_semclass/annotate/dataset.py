"""Labelled tiles as a data set on disk: boxes of the micrographs to train with, or tiles cut out to pass on."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.annotate.collect import LabelledTiles, Source
from napari_semclass.annotate.pixels import read_box, write_tiff
from napari_semclass.errors import MicrographError, OutputError, SettingsError
from napari_semclass.learn.audit import joined
from napari_semclass.learn.dataset import MANIFEST, Box, DataSet, Picture
from napari_semclass.micrograph import GreyRange, Micrograph, grey_range, open_micrographs
from napari_semclass.model.card import Preprocessing
from napari_semclass.names import fold, paired, printable, text_of_path, trimmed
from napari_semclass.writing import csv_writer, replacing

_MICROGRAPHS = "micrographs"
_COLUMNS = (
    *("path", "class", "group", "y0", "x0", "y1", "x1", "pixel_size", "licence", "grey_low", "grey_high"),
    "source",
)
_BAND_PX = 16_000_000  # compared at a time
_USUAL = Preprocessing(mean=0.0, std=1.0)  # for its percentiles


def write_dataset(labelled: LabelledTiles, folder: str | Path, imported: DataSet | None = None) -> Path:
    """Write a data set to train with (`semclass train`), in which every tile is a box of its micrograph.

    Parameters
    ----------
    labelled : LabelledTiles
    folder : str or Path
        Gets a `manifest.csv`. A micrograph's own file is named there if it holds this plane and nothing else;
        otherwise the plane is written to `micrographs/`, in its own type.
    imported : DataSet, optional
        Labelled pictures to learn from as well; categories of equal names (whatever their case) are one. Its parts
        (train, valid) are not kept: the whole is split by group. Groups on the same file as marks join theirs.

    Returns
    -------
    Path
        The folder; `learn.dataset.read_dataset` reads it.

    Raises
    ------
    SettingsError
        When there is nothing labelled.
    OutputError
        When the folder holds a data set already or cannot be written to.
    MicrographError
        When a micrograph's pixels cannot be read.
    """
    folder = Path(folder)
    manifest = _unused(folder, labelled, imported) / MANIFEST
    groups, categories = _group_names(labelled), _names(labelled)
    pictures = []
    for index, source in enumerate(labelled.sources):
        own = _of(labelled, index)
        if not len(own):
            continue
        path, grey = _stored(source, folder / _MICROGRAPHS / f"{index + 1}_{safe_name(source.name)}.tif")
        for tile in own.tolist():
            y0, x0, y1, x1 = labelled.boxes[tile].tolist()
            pictures.append(
                Picture(
                    path,
                    categories[tile],
                    groups[tile],
                    box=(y0, x0, y1, x1),
                    pixel_size=source.micrograph.pixel_size,
                    grey=grey,
                )
            )
    write_manifest(manifest, _with_imported(pictures, imported))
    return folder


def export_tiles(labelled: LabelledTiles, folder: str | Path) -> Path:
    """Cut all tiles out into one folder per category, with a `manifest.csv`; grey values stay as they are.

    Each is a PNG (8 bit, or 16 bit grey) or a TIFF (any other type). The manifest says the grey levels that become
    0 and 1 on the tile's micrograph, so that the tiles are learned as if they were still in it.

    Parameters
    ----------
    labelled : LabelledTiles
    folder : str or Path
        Empty, or to be made.

    Raises
    ------
    SettingsError, OutputError, MicrographError
        As `write_dataset`.
    """
    folder = Path(folder)
    manifest = _unused(folder, labelled, None) / MANIFEST
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"{folder}: is not empty; choose a new folder for the tiles.")
    groups, categories = _group_names(labelled), _names(labelled)
    used = [category.name for category in labelled.used]
    folders = dict(zip(used, distinct([safe_name(name) for name in used]), strict=True))
    names = distinct([safe_name(source.name) for source in labelled.sources])
    pictures = []
    for index, source in enumerate(labelled.sources):
        own = _of(labelled, index)
        grey = _grey(source.micrograph) if len(own) else None
        for tile in own.tolist():
            y0, x0, y1, x1 = labelled.boxes[tile].tolist()
            crop = read_box(source.micrograph.pixels, (slice(y0, y1), slice(x0, x1)), source.name)
            if source.micrograph.void(y0, y1, x0, x1).any():  # nobody could tell from the tile alone
                crop = source.micrograph.read(y0, y1, x0, x1)
            elif source.micrograph.alpha:
                crop = crop[..., :-1] if source.micrograph.rgb else crop[..., 0]
            path = _save(crop, folder / folders[categories[tile]] / f"{names[index]}_y{y0}_x{x0}")
            # With its box given, nobody looks for a data bar in a tile.
            box = (0, 0, y1 - y0, x1 - x0)
            pixel_size = source.micrograph.pixel_size
            pictures.append(Picture(path, categories[tile], groups[tile], "", box, pixel_size, grey=grey))
    write_manifest(manifest, pictures)
    return folder


def _unused(folder: Path, labelled: LabelledTiles, imported: DataSet | None) -> Path:
    """The folder, if there is something to write and no data set in it."""
    if not len(labelled) and imported is None:
        raise SettingsError("nothing is marked yet, so there is no data set to write.")
    if (folder / MANIFEST).exists():
        raise OutputError(f"{folder}: holds a data set already; choose another folder.")
    return folder


def _of(labelled: LabelledTiles, source: int) -> NDArray[np.int64]:
    return np.flatnonzero((labelled.source_index == source) & labelled.grouping.kept)


def _names(labelled: LabelledTiles) -> list[str]:
    """Category of each tile."""
    used = [category.name for category in labelled.used]
    return [used[label] for label in labelled.labels.tolist()]


def _stored(source: Source, copy: Path) -> tuple[Path, GreyRange | None]:
    """A file that holds just this plane, and its grey range if a reader of that file would find another one."""
    path, opened = source.path, _own_file(source)
    if path is None or opened is None:
        own, kept = source.micrograph, _kept(source.micrograph)
        sampled = len(kept.shape) == 3
        write_tiff(kept, copy, rgb=own.rgb and sampled, alpha=own.alpha and sampled, name=source.name)
        path, opened = copy, open_micrographs(copy)[0]
    same = opened.data_bars == source.micrograph.data_bars
    return path.resolve(), None if same else _grey(source.micrograph)


def _kept(micrograph: Micrograph) -> Any:
    """The pixels as they are; where an opacity or a level says which hold no data, their grey levels with NaN there."""
    declared = micrograph.alpha or micrograph.no_data is not None
    return _GreyLevels(micrograph) if declared and micrograph.void_map is not None else micrograph.pixels


class _GreyLevels:
    """The grey levels of a micrograph, NaN where it holds no data, as an array of floating-point numbers."""

    def __init__(self, micrograph: Micrograph) -> None:
        self._micrograph = micrograph
        self.shape = micrograph.shape
        narrow = micrograph.rgb or np.dtype(micrograph.pixels.dtype).itemsize <= 2
        self.dtype = np.dtype(np.float32 if narrow else np.float64)

    def __getitem__(self, box: tuple[slice, slice]) -> NDArray[Any]:
        (y0, y1, _), (x0, x1, _) = (part.indices(n) for part, n in zip(box, self.shape, strict=True))
        return self._micrograph.read(y0, y1, x0, x1).astype(self.dtype)


def _own_file(source: Source) -> Micrograph | None:
    """What reading the source's own file gives, if that is just this plane and a manifest can name the file."""
    name = "" if source.path is None else str(source.path.resolve())
    text = text_of_path(name)
    if not text.isprintable() or text != trimmed(text):
        return None
    try:
        opened = open_micrographs(name) if name else []
        return opened[0] if len(opened) == 1 and _alike(opened[0], source.micrograph) else None
    except MicrographError:
        return None


def _alike(one: Micrograph, other: Micrograph) -> bool:
    """Whether all grey levels are equal."""
    if one.shape != other.shape:
        return False
    height, width = one.shape
    step = max(1, _BAND_PX // width)
    for top in range(0, height, step):
        first, second = (m.read(top, min(height, top + step), 0, width) for m in (one, other))
        if not np.array_equal(first, second, equal_nan=first.dtype.kind == second.dtype.kind == "f"):
            return False
    return True


def _grey(micrograph: Micrograph) -> GreyRange:
    return grey_range(micrograph, _USUAL.low_percentile, _USUAL.high_percentile)


def _group_names(labelled: LabelledTiles) -> list[str]:
    """Name of each tile's group: the specimen, the image, or the image and a number."""
    level = labelled.grouping.level
    names: dict[int, str] = {}
    for tile, group in enumerate(labelled.grouping.groups.tolist()):
        source = labelled.sources[labelled.source_index[tile]]
        if group not in names:
            base = trimmed(source.specimen) if level == "specimen" else source.name
            numbered = level in ("region", "none")
            count = 1 + sum(name.startswith(f"{base}, region ") for name in names.values())
            name = f"{base}, region {count}" if numbered else base
            names[group] = next(n for n in _spellings(name) if n not in names.values())
    return [names[group] for group in labelled.grouping.groups.tolist()]


def _with_imported(pictures: list[Picture], imported: DataSet | None) -> list[Picture]:
    """Own and imported pictures; groups that have pictures of one file on both sides become one."""
    spelled = paired(imported.categories, {picture.category for picture in pictures}) if imported else {}
    marked = {picture.path: index for index, picture in enumerate(pictures)}
    everything, pairs = list(pictures), []
    for picture in imported.pictures if imported else ():
        path, box = picture.path.resolve(), picture.box
        if path in marked:
            pairs.append((marked[path], len(everything)))
            box = box or _all_of(path)
        category = spelled.get(picture.category, picture.category)
        everything.append(replace(picture, path=path, category=category, part="", box=box))
    numbers = joined([picture.group for picture in everything], pairs)
    names: dict[int, str] = {}
    return [
        replace(picture, group=names.setdefault(number, picture.group))
        for picture, number in zip(everything, numbers, strict=True)
    ]


def _all_of(path: Path) -> Box:
    """A whole picture as a box of its file, which is what a manifest that names the file more than once needs."""
    micrograph = open_micrographs(path)[0]
    return micrograph.field


def write_manifest(path: Path, pictures: Iterable[Picture]) -> None:
    """List pictures as `learn.dataset.read_dataset` reads them; paths below the manifest are relative to it."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv_writer(file)
        writer.writerow(_COLUMNS)
        below = path.parent.resolve()
        for picture in pictures:
            inside = picture.path.is_relative_to(below)
            shown = text_of_path(picture.path.relative_to(below).as_posix() if inside else picture.path)
            grey = ("", "") if picture.grey is None else (picture.grey.low, picture.grey.high)
            box = picture.box or ("",) * 4
            size = "" if picture.pixel_size is None else picture.pixel_size
            writer.writerow(
                [shown, picture.category, printable(picture.group), *box, size, picture.licence, *grey, picture.source]
            )


def _save(crop: NDArray[Any], stem: Path) -> Path:
    """Write a crop as the simplest file that holds its values."""
    from PIL import Image

    values = crop.view(np.uint8) if crop.dtype == bool else crop
    if not (values.dtype == np.uint8 or (values.dtype == np.uint16 and values.ndim == 2)):
        path = stem.with_name(f"{stem.name}.tif")
        samples = values.shape[2] if values.ndim == 3 else 1
        write_tiff(values, path, rgb=samples > 2, alpha=samples in (2, 4), name=stem.name)
        return path.resolve()
    path = stem.with_name(f"{stem.name}.png")
    with replacing(path) as temporary:
        Image.fromarray(values).save(temporary, format="PNG")
    return path.resolve()


def safe_name(name: str) -> str:
    """A name as part of a file's name on any system."""
    return re.sub(r"[^\w.+-]+", "_", name).strip("._")[:60] or "unnamed"


def _spellings(name: str) -> Iterable[str]:
    yield name
    yield from (f"{name} ({number})" for number in range(2, 1_000_000))


def distinct(names: Sequence[str]) -> list[str]:
    """The names, later ones numbered where they would be the same file (on Windows and macOS whatever their case)."""
    taken: dict[str, str] = {}
    return [
        taken.setdefault(fold(free), free)
        for name in names
        for free in [next(n for n in _spellings(name) if fold(n) not in taken)]
    ]
