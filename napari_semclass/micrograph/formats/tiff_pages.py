"""Which pages of a TIFF are its micrograph's planes: its own ones, no thumbnails, no masks, and which are missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from struct import calcsize, unpack, unpack_from
from struct import error as StructError
from typing import Any

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph.formats import ome_set
from napari_semclass.micrograph.formats.image import joined
from napari_semclass.micrograph.formats.presence import Inventory

_NEW_SUBFILE, _OLD_SUBFILE = 254, 255  # tags
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2
# An image that is a smaller copy of another, but not flagged so, has its sides in proportion to within so many pixels.
_THUMBNAIL_PX = 2
_LARGEST_THUMBNAIL = 0.5  # of the sides of its original


def is_tiff(path: Path) -> bool:
    """Tell whether the content is a TIFF; instruments and people give TIFFs other suffixes, and other files theirs."""
    with path.open("rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def page_kinds(path: Path) -> dict[int, int] | None:
    """The bits of NewSubfileType of each page in the list of pages, by its offset; None where the list never ends."""
    kinds: dict[int, int] = {}
    with path.open("rb") as file:
        start = file.read(16)
        order = "<" if start[:2] == b"II" else ">"
        big = start[2:4] in (b"+\0", b"\0+")
        # Number of tags, bytes of one, where its value is, and where the next page begins.
        count, tag, value, link = (f"{order}Q", 20, 12, f"{order}Q") if big else (f"{order}H", 12, 8, f"{order}I")
        try:
            (page,) = unpack(link, start[8:16] if big else start[4:8])
            while page and page not in kinds:
                kinds[page] = 0
                file.seek(page)
                (tags,) = unpack(count, file.read(calcsize(count)))
                entries = file.read(min(tags, 4096) * tag)
                for at in range(0, len(entries) - tag + 1, tag):
                    code, dtype = unpack_from(f"{order}HH", entries, at)
                    if code in (_NEW_SUBFILE, _OLD_SUBFILE):
                        (bits,) = unpack_from(f"{order}{'H' if dtype == 3 else 'I'}", entries, at + value)
                        kinds[page] |= bits if code == _NEW_SUBFILE else _REDUCED * (bits == _OLD_REDUCED)
                file.seek(page + calcsize(count) + tag * tags)
                (page,) = unpack(link, file.read(calcsize(link)))
        except (StructError, OSError, OverflowError, ValueError):  # it leads out of the file, which ends it
            return kinds
    return None if page else kinds


@dataclass(frozen=True)
class TiffImage:
    """The planes of a TIFF: an image series of tifffile, of which `pages` are used.

    `complete` tells that these are all pages of the series, whose axes then hold; `note` what was passed over.
    """

    tiff: Any
    series: Any
    pages: tuple[Any, ...]
    complete: bool
    note: str

    @cached_property
    def keyframe(self) -> Any:
        """The page that says what all of them are like."""
        return self.series.keyframe if self.complete else self.pages[0].keyframe

    @property
    def axes(self) -> str:
        """Letters of the axes, as tifffile names them; Y, X and S mean rows, columns and samples."""
        return str(self.series.axes) if self.complete else f"I{self.keyframe.axes}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of these axes."""
        if self.complete:
            return tuple(map(int, self.series.shape))
        return (len(self.pages), *map(int, self.keyframe.shape))

    def inventory(self, path: Path) -> Inventory:
        """What is stored of the pages' pixels."""
        size = path.stat().st_size
        blocks = lacking = ends_at = 0
        for page in self.pages:
            needed, missing, end = _stock(page)
            blocks, lacking, ends_at = blocks + needed, lacking + missing, max(ends_at, end)
        if self.complete and self.series.dataoffset is not None:  # in one piece, of which pages may tell the start only
            ends_at = max(ends_at, self.series.dataoffset + self.series.nbytes)
        return Inventory(self.shape, blocks, lacking=lacking, ends_at=ends_at, file_bytes=size)


def _stock(page: Any) -> tuple[int, int, int]:
    """Blocks that a page needs, how many of them it lacks, and where the last one ends."""
    import tifffile

    places = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    blocks = prod(page.chunked)
    stored = [(offset, count) for offset, count in places[:blocks] if offset and count]
    end = max((offset + count for offset, count in stored), default=0)
    whole = page.compression == tifffile.COMPRESSION.NONE and sum(n for _, n in stored) >= page.nbytes
    if page.compression == tifffile.COMPRESSION.NONE and not whole and len(stored) >= blocks:
        # Uncompressed strips that hold fewer bytes than their rows need.
        return blocks, 0 if _packed_bytes(page) <= sum(n for _, n in stored) else 1, end
    return blocks, 0 if whole else blocks - len(stored), end


def _packed_bytes(page: Any) -> int:
    """The least bytes that an uncompressed page takes, of samples packed without gaps between them."""
    bits = page.bitspersample if isinstance(page.bitspersample, int) else min(page.bitspersample)
    if page.is_subsampled:
        return 0
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    lines = page.imagelength * page.imagedepth * (page.samplesperpixel // samples)
    return int(lines * -(-page.imagewidth * samples * bits // 8))


def find_image(tiff: Any, path: Path, kinds: dict[int, int]) -> TiffImage:
    """The micrograph of an open TIFF.

    Raises
    ------
    MicrographError
        When it holds no image of its own.
    """
    own = [(series, _own_pages(series, tiff)) for series in tiff.series]
    full = [(series, [page for page in pages if not _kind(page, kinds) & (_REDUCED | _MASK)]) for series, pages in own]
    usable = [(series, pages) for series, pages in full if pages]
    flagged = "" if usable else "the file marks its only image as reduced or as a mask"
    usable = usable or [(series, pages) for series, pages in own if pages]
    if not usable:
        raise MicrographError(f"{path}: holds no image.")
    first = _first_full([pages[0] for _, pages in usable])
    series, pages = usable[first]
    complete = len(pages) == len(series.pages) and not _lacks_pages(series)
    levels = len(series.levels)
    passed = [other for index, (other, _) in enumerate(usable) if index != first]
    reduced = sum(len(pages) for _, pages in own) - sum(len(pages) for _, pages in usable)
    notes = (
        f"level 0 of {levels} (full resolution) is used" if levels > 1 else _others(first, passed),
        f"{reduced} reduced images or masks in the file are not used" if reduced and levels == 1 else "",
        flagged,
        ome_set.missing_planes(tiff, path, sum(len(pages) for _, pages in own)),
    )
    return TiffImage(tiff, series, tuple(pages), complete, joined(notes))


def _own_pages(series: Any, tiff: Any) -> list[Any]:
    """Pages that are in this file; tifffile follows data sets into others, and has None for those it does not find."""
    return [page for page in series.pages if page is not None and page.parent is tiff]


def _lacks_pages(series: Any) -> bool:
    """Tell whether a series claims more pixels than its pages hold; in one piece it may have a page for all of them."""
    if series.dataoffset is not None:
        return False
    return bool(prod(series.shape) > sum(prod(page.shape) for page in series.pages))


def _kind(page: Any, kinds: dict[int, int]) -> int:
    """Bits of NewSubfileType, as the list of pages says or, of pages below others, their own tags."""
    kind = kinds.get(page.offset)
    if kind is None:
        tags = getattr(page, "tags", {})
        old = tags[_OLD_SUBFILE].value if _OLD_SUBFILE in tags else 0
        kind = int(getattr(page, "subfiletype", 0)) | (_REDUCED if old == _OLD_REDUCED else 0)
    return kind


def _first_full(pages: Sequence[Any]) -> int:
    """The first of several images, unless it is a small copy of a later one."""
    first = pages[0]
    for index, other in enumerate(pages[1:], start=1):
        scale = first.imagewidth / other.imagewidth
        off = abs(first.imagelength - scale * other.imagelength)
        if scale <= _LARGEST_THUMBNAIL and off <= _THUMBNAIL_PX and first.imagelength < other.imagelength:
            return index
    return 0


def _others(first: int, passed: Sequence[Any]) -> str:
    """What to say of images of other sizes in the same file, such as an instrument's thumbnail or camera view."""
    if not passed:
        return ""
    sizes = ", ".join(" x ".join(map(str, other.shape)) for other in passed[:3])
    place = "first" if first == 0 else f"{first + 1}."
    small = "" if first == 0 else "; those before it look like thumbnails"
    return f"the {place} of {len(passed) + 1} images in the file is used (others: {sizes}{small})"


def frames(image: TiffImage) -> Iterator[Any]:
    """The pages that decode the others of an image."""
    seen: set[int] = set()
    for page in (image.keyframe, *image.pages):
        if id(page.keyframe) not in seen:
            seen.add(id(page.keyframe))
            yield page.keyframe
