"""JPEGs of more than 8 bits, and lossless ones, which Pillow does not know."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Markers of frames: baseline, extended, progressive, lossless.
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3)
_START, _SCAN, _END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_LONGEST_HEADER = 4_000_000
_MOST_SAMPLES = 500_000_000


@dataclass(frozen=True)
class JpegHeader:
    """Bits per sample, height, width and samples per pixel of a JPEG."""

    bits: int
    height: int
    width: int
    samples: int


def deep_jpeg(path: Path) -> JpegHeader | None:
    """The header of a JPEG that Pillow cannot decode; None for anything else."""
    with path.open("rb") as file:
        start = file.read(_LONGEST_HEADER)
    at = 2
    while start[:2] == _START and at + 10 <= len(start) and start[at] == 0xFF:
        marker, length = start[at + 1], int.from_bytes(start[at + 2 : at + 4], "big")
        if marker in _FRAMES:
            bits, samples = start[at + 4], start[at + 9]
            height, width = (int.from_bytes(start[at + i : at + i + 2], "big") for i in (5, 7))
            deep = bits > 8 or marker == _FRAMES[-1]
            return JpegHeader(bits, height, width, samples) if deep else None
        at += 2 + length
    return None


def deep_pixels(path: Path, header: JpegHeader) -> NDArray[Any]:
    """The pixels (height, width[, samples]) with all their bits.

    Raises
    ------
    ValueError
        When the file is cut short or too large.
    """
    import imagecodecs

    if header.height * header.width * header.samples > _MOST_SAMPLES:
        raise ValueError(f"its header says {header.width:,} x {header.height:,} pixels; convert it to a tiled TIFF")
    content = path.read_bytes()
    if _END not in content[max(0, content.rfind(_SCAN)) :]:
        raise ValueError("it is cut short")
    return np.asarray(imagecodecs.jpeg_decode(content, bitspersample=header.bits))
