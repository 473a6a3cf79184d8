"""OME-TIFF data sets of several files: which planes the set has besides those in the file itself."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_LONGEST = 16_000_000  # characters
_DECLARATION = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_MOST_NAMES = 3


@dataclass(frozen=True)
class Claim:
    """What OME-XML says of a data set: its planes, and the names of the files that hold them."""

    planes: int
    files: tuple[str, ...]


def missing_planes(tiff: Any, path: Path, own: int) -> str:
    """What to say of planes that an open TIFF's OME-XML names but that are not in it; empty when it names no others."""
    claim = _claim(tiff.ome_metadata) if tiff.is_ome else None
    if claim is None or claim.planes <= own:
        return ""
    text = f"the file holds {own:,} of the {claim.planes:,} planes of its OME data set"
    others = [name for name in claim.files if name.lower() != path.name.lower()]
    absent = [name for name in others if not (path.parent / name).is_file()]
    if not others:
        missing = claim.planes - own
        return f"{text}; {missing:,} {'is' if missing == 1 else 'are'} missing"
    if not absent:
        return f"{text}; the others are in {_listed(others)}"
    return f"{text}; missing: {_listed(absent)}"


def _claim(text: Any) -> Claim | None:
    if not isinstance(text, str) or len(text) > _LONGEST or _DECLARATION.search(text):
        return None
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - declarations, which attacks need, were refused
        images = root.findall(".//{*}Image/{*}Pixels")
        planes = sum(_planes(pixels) for pixels in images)
    except (ElementTree.ParseError, ValueError):
        return None
    names = [uuid.get("FileName", "") for uuid in root.iter() if uuid.tag.rpartition("}")[2] == "UUID"]
    plain = [name for name in dict.fromkeys(names) if name and Path(name).name == name]  # names that stay in the folder
    return Claim(planes, tuple(plain))


def _planes(pixels: Any) -> int:
    """Planes of an image, of which a page holds all samples of a pixel."""
    channel = pixels.find("{*}Channel")
    samples = 1 if channel is None else max(1, int(channel.get("SamplesPerPixel", 1)))
    sizes = [int(pixels.get(f"Size{axis}", 1)) for axis in "ZCT"]
    return sizes[0] * max(1, sizes[1] // samples) * sizes[2]


def _listed(names: list[str]) -> str:
    """The first of several names, and how many there are besides."""
    shown = ", ".join(name[:80] if name.isprintable() else repr(name[:80]) for name in names[:_MOST_NAMES])
    more = len(names) - _MOST_NAMES
    return f"{shown} and {more:,} more files" if more > 0 else shown
