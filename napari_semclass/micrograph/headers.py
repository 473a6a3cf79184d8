"""What a file says besides its pixels, read without them."""

import logging
import warnings
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from struct import calcsize, unpack
from struct import error as StructError
from typing import Any

from napari_semclass.micrograph.metadata import (
    Metadata,
    guarded,
    picture_metadata,
    tiff_metadata,
    vendor_metadata,
    with_reason,
)

PICTURES = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "JPEG2000", "PPM", "TIFF")
"""What Pillow may open; for others, such as EPS, it may start programs to draw what the file says."""


@dataclass(frozen=True)
class Header:
    """Height and width in pixels, and what is known of each plane."""

    shape: tuple[int, int]
    planes: tuple[Metadata, ...]


def read_header(path: str | Path) -> Header | None:
    """The header of a TIFF, PNG, JPEG or BMP; None for a file that is none of them, is damaged or not there.

    Takes milliseconds: no pixels are read.
    """
    path = Path(path)
    try:
        return _tiff_header(path) if is_tiff(path) else _picture_header(path)
    except Exception:  # decoders raise anything on damaged files; whoever wants the pixels is told what is wrong
        return None


def is_tiff(path: Path) -> bool:
    """Whether the content says so; instruments and people give TIFFs other suffixes, and other files theirs."""
    with path.open("rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_endless(path: Path) -> bool:
    """Whether the list of pages of a TIFF leads back to one of them, so that it never ends."""
    with path.open("rb") as file:
        start = file.read(16)
        order = "<" if start[:2] == b"II" else ">"
        big = start[2:4] in (b"+\0", b"\0+")
        # Number of tags, bytes of one, and where the next page begins.
        count, tag, link = (f"{order}Q", 20, f"{order}Q") if big else (f"{order}H", 12, f"{order}I")
        seen: set[int] = set()
        try:
            (page,) = unpack(link, start[8:16] if big else start[4:8])
            while page and page not in seen:
                seen.add(page)
                file.seek(page)
                (tags,) = unpack(count, file.read(calcsize(count)))
                file.seek(page + calcsize(count) + tag * tags)
                (page,) = unpack(link, file.read(calcsize(link)))
        except (StructError, OSError, OverflowError, ValueError):  # it leads out of the file, which ends it
            return False
    return bool(page)


def plane_metadata(series: Any, first: Metadata) -> list[Metadata]:
    """What an instrument says about each page of a stack (a tifffile series); empty where that is all the same."""
    pages = list(series.pages) if first.vendor and len(series.pages) > 1 else []
    own = [guarded(partial(_own_metadata, page, first)) for page in pages]
    return own if any(other != first for other in own) else []


def _own_metadata(page: Any, first: Metadata) -> Metadata:
    found = vendor_metadata(page) if hasattr(page, "tags") else None
    return with_reason(found) if found else first


def _tiff_header(path: Path) -> Header | None:
    import tifffile

    if is_endless(path):
        return None
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # of what it repairs
    with tifffile.TiffFile(path) as tiff:
        if not tiff.series:
            return None
        series = tiff.series[0]
        page = series.keyframe
        first = guarded(partial(tiff_metadata, tiff, page, path))
        samples = series.shape[series.axes.index("S")] if "S" in series.axes else 1
        shape = int(page.imagelength), int(page.imagewidth)
        planes = prod(series.shape) // (prod(shape) * samples)
        own = plane_metadata(series, first)
    return Header(shape, tuple(own) if len(own) == planes else (first,) * planes)


def _picture_header(path: Path) -> Header:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large is what micrographs are
        with Image.open(path, formats=PICTURES) as picture:
            metadata = guarded(partial(picture_metadata, picture, path))
            return Header((picture.height, picture.width), (metadata,))
