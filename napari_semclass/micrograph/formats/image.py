"""The image of a file: what is known of it before its pixels are read, and its proven pixels."""

from collections.abc import Iterable
from dataclasses import dataclass

from napari_semclass.micrograph.formats.presence import ProvenPixels
from napari_semclass.micrograph.metadata import Metadata


@dataclass(frozen=True)
class Facts:
    """What a file says of its image.

    Parameters
    ----------
    shape : (int, int)
        Height and width in pixels, upright.
    planes : tuple of Metadata
        One per plane that is in the file.
    note : str
        What a user should know: missing planes, other images in the file, how it was turned, what was left out.
    """

    shape: tuple[int, int]
    planes: tuple[Metadata, ...]
    note: str = ""


@dataclass(frozen=True)
class Image:
    """Facts and pixels (…, height, width[, samples]) of an image.

    `rgb` and `alpha` say what the samples are, and `no_data` which level stands for "no data", as in `as_micrographs`.
    """

    facts: Facts
    pixels: ProvenPixels
    rgb: bool = False
    alpha: bool = False
    no_data: float | None = None


def joined(notes: Iterable[str]) -> str:
    """Notes as one text."""
    return "; ".join(filter(None, notes))
