"""Looks at every file of a data set once: can it be read, what is it like, by what would it be recognised."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_semclass.errors import MicrographError
from napari_semclass.learn.dataset import Box, DataSet
from napari_semclass.learn.duplicates import Fingerprint, fingerprint
from napari_semclass.micrograph import Micrograph, grey_range, open_micrographs

_PERCENTILES = (1.0, 99.0)  # of the grey levels that are compared
_TINT = 0.015  # mean difference of the channels, of full scale: more than JPEG makes of grey
_TINT_WINDOW = 1024  # pixels


@dataclass(frozen=True, eq=False)
class Seen:
    """What looking at a picture gave.

    `fingerprint` is None where it cannot be read, and `unreadable` says why. `shape` is (height, width); `coloured`
    tells that its channels differ, `planes` how many the file has, `barred` that all of them have a data bar (never of
    a box), `instrument` what took it, as the file says (the vendor where it names no instrument).
    """

    unreadable: str = ""
    fingerprint: Fingerprint | None = None
    shape: tuple[int, int] = (0, 0)
    coloured: bool = False
    planes: int = 1
    barred: bool = False
    instrument: str = ""


def look_at_all(dataset: DataSet, progress: Callable[[int, int], None] | None = None) -> list[Seen]:
    """Look at each picture, in order; every file is decoded once, however many boxes of it are pictures."""
    by_file: dict[Path, list[int]] = defaultdict(list)
    for index, picture in enumerate(dataset.pictures):
        by_file[picture.path].append(index)
    seen = [Seen()] * len(dataset.pictures)
    for done, (path, indices) in enumerate(by_file.items(), start=1):
        boxes = [dataset.pictures[index].box for index in indices]
        for index, look in zip(indices, _look_at_file(path, boxes), strict=True):
            seen[index] = look
        if progress is not None:
            progress(done, len(by_file))
    return seen


def _look_at_file(path: Path, boxes: list[Box | None]) -> list[Seen]:
    try:
        micrographs = open_micrographs(path)
        levels = [grey_range(micrograph, *_PERCENTILES) for micrograph in micrographs]
        coloured = any(_is_coloured(micrograph) for micrograph in micrographs)
    except MicrographError as error:
        return [Seen(unreadable=str(error))] * len(boxes)
    instrument = micrographs[0].metadata.instrument or micrographs[0].metadata.vendor
    seen = []
    for box in boxes:
        try:
            parts = [_part(micrograph, box) for micrograph in micrographs]
            barred = box is None and all(part.data_bars for part in parts)
            looks = fingerprint(parts, levels)
            seen.append(Seen("", looks, parts[0].shape, coloured, len(parts), barred, instrument))
        except MicrographError as error:
            seen.append(Seen(unreadable=str(error)))
    return seen


def _part(micrograph: Micrograph, box: Box | None) -> Micrograph:
    """The box of a micrograph as one of its own."""
    if box is None:
        return micrograph
    y0, x0, y1, x1 = box
    height, width = micrograph.shape
    if y1 > height or x1 > width:
        raise MicrographError(
            f"{micrograph.name}: the box of rows {y0}-{y1} and columns {x0}-{x1} lies outside its "
            f"{width:,} x {height:,} px."
        )
    return replace(
        micrograph, pixels=micrograph.read(y0, y1, x0, x1), known_bars=(), rgb=False, alpha=False, no_data=None
    )


def _is_coloured(micrograph: Micrograph) -> bool:
    """Whether the channels differ in the middle of a colour picture."""
    if not micrograph.rgb:
        return False
    y0, x0 = (max(0, (side - _TINT_WINDOW) // 2) for side in micrograph.shape)
    window = np.asarray(micrograph.pixels[y0 : y0 + _TINT_WINDOW, x0 : x0 + _TINT_WINDOW])[..., :3]
    full = np.iinfo(window.dtype).max if window.dtype.kind in "ui" else float(np.abs(window).max())
    spread = np.ptp(window.astype(np.float32), axis=-1).mean()
    return bool(spread > _TINT * full)
