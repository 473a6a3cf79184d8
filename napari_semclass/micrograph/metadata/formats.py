"""The Format that each vendor's module declares: where its metadata stand and how they are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from napari_semclass.micrograph.metadata.record import Metadata

Shape = tuple[int, int]  # of the picture: height and width in pixels

IMAGE_DESCRIPTION, MAKE, MODEL, USER_COMMENT, MAKER_NOTE = 270, 271, 272, 37510, 37500  # tags of TIFF and EXIF


@dataclass(frozen=True)
class Format:
    """Metadata of one vendor in one kind of place.

    Parameters
    ----------
    vendor : str
        As in `Metadata.vendor`.
    models : str
        Instruments or programs that write it, for the table in the documentation.
    where, keys, units, source : str
        For that table, too: the tag or file, the entries that are read, their units, and where this is known from.
    read : callable
        Takes the values of the tags that are there (code -> value) and the picture's shape; gives a `Metadata`, or
        None when they are not this vendor's.
    tags : tuple of int
        Codes of TIFF or EXIF, with the values that tifffile or Pillow parse.
    texts : tuple of int
        Codes of which the raw bytes are wanted.
    sidecars : tuple of str
        Names of files beside the picture: `{stem}` is its name without ending, `{ending}` that without the dot.
    read_sidecar : callable or None
        Takes the bytes of such a file and the picture's shape; gives a `Metadata` or None.
    """

    vendor: str
    models: str
    where: str
    keys: str
    units: str
    source: str
    read: Callable[[Mapping[int, Any], Shape], Metadata | None] | None = None
    tags: tuple[int, ...] = ()
    texts: tuple[int, ...] = ()
    sidecars: tuple[str, ...] = ()
    read_sidecar: Callable[[bytes, Shape], Metadata | None] | None = None
