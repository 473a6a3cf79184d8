"""PBM, PGM, PPM, PAM and PFM: their values as they are stored, of up to 16 bits or as floating point."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_KINDS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3, b"Pf": 1, b"PF": 3}
_PAM_SAMPLES = {b"BLACKANDWHITE": 1, b"GRAYSCALE": 1, b"RGB": 3}
_LONGEST_HEADER = 65_536
_TOKEN = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*([^\s#]+)")
_MOST_SAMPLES = 4_000_000_000


@dataclass(frozen=True)
class PnmHeader:
    """The header of a picture: its kind, size, samples per pixel, highest value (of PFM its scale), and its length."""

    kind: bytes
    height: int
    width: int
    samples: int
    most: float
    length: int
    alpha: bool = False


def is_pnm(start: bytes) -> bool:
    """Tell whether a file that starts so is of this family."""
    return start[:2] in (*_KINDS, b"P7") and start[2:3] in (b" ", b"\t", b"\n", b"\r", b"#")


def pnm_header(path: Path) -> PnmHeader:
    """Read the header.

    Raises
    ------
    ValueError
        When it is damaged.
    """
    with path.open("rb") as file:
        start = file.read(_LONGEST_HEADER)
    header = _pam_header(start) if start[:2] == b"P7" else _plain_header(start)
    if min(header.height, header.width) < 1 or header.height * header.width * header.samples > _MOST_SAMPLES:
        raise ValueError(f"its header says {header.width} x {header.height} pixels")
    if header.kind not in (b"Pf", b"PF") and not 1 <= header.most <= 65_535:
        raise ValueError(f"its highest value is {header.most:g}; 1 to 65535 are known")
    return header


def _plain_header(start: bytes) -> PnmHeader:
    kind = start[:2]
    numbers: list[float] = []
    at = 2
    for _ in range(2 if kind in (b"P1", b"P4") else 3):
        token = _TOKEN.match(start, at)
        if token is None:
            raise ValueError("its header ends early")
        numbers.append(float(token[1]) if len(numbers) == 2 else int(token[1]))
        at = token.end()
    most = numbers[2] if len(numbers) == 3 else 1
    return PnmHeader(kind, int(numbers[1]), int(numbers[0]), _KINDS[kind], most, at + 1)


def _pam_header(start: bytes) -> PnmHeader:
    end = re.search(rb"\nENDHDR[ \t\r]*\n", start)
    if end is None:
        raise ValueError("its header ends early")
    lines = [line.split(None, 1) for line in start[2 : end.start()].splitlines() if not line.startswith(b"#")]
    fields = {line[0]: line[1].strip() for line in lines if len(line) == 2}
    depth = int(fields[b"DEPTH"])
    kind = fields.get(b"TUPLTYPE", b"")
    alpha = kind.endswith(b"_ALPHA")
    colours = _PAM_SAMPLES.get(kind.removesuffix(b"_ALPHA"), depth)
    if depth < colours + alpha or (colours not in (1, 3)) or depth > colours + alpha:
        raise ValueError(f"its {depth} samples per pixel are of an unknown kind")
    return PnmHeader(
        b"P7", int(fields[b"HEIGHT"]), int(fields[b"WIDTH"]), depth, int(fields[b"MAXVAL"]), end.end(), alpha
    )


def pnm_pixels(path: Path, header: PnmHeader) -> NDArray[np.generic]:
    """The pixels (height, width[, samples]); of PBM white is True.

    Raises
    ------
    ValueError
        When some are missing.
    """
    content = path.read_bytes()[header.length :] if header.kind not in (b"P1", b"P2", b"P3") else path.read_bytes()
    count = header.height * header.width * header.samples
    if header.kind == b"P1":
        digits = re.sub(rb"#[^\n\r]*|\s", b"", content[header.length - 1 :])[:count]
        values = np.frombuffer(digits, np.uint8) - ord("0")
    elif header.kind in (b"P2", b"P3"):
        text = re.sub(rb"#[^\n\r]*", b"", content[header.length - 1 :])
        values = np.array(text.split(None, count)[:count], dtype=np.int64)
    elif header.kind == b"P4":
        row = -(-header.width // 8)
        packed = np.frombuffer(content[: row * header.height], np.uint8)
        if packed.size < row * header.height:
            raise ValueError("it is cut short")
        values = np.unpackbits(packed.reshape(header.height, row), axis=1)[:, : header.width].ravel()
    else:
        dtype = _dtype(header)
        values = np.frombuffer(content[: min(count, len(content) // dtype.itemsize) * dtype.itemsize], dtype)
    return _shaped(values, header, count)


def _dtype(header: PnmHeader) -> np.dtype[np.generic]:
    if header.kind in (b"Pf", b"PF"):
        return np.dtype("<f4" if header.most < 0 else ">f4")
    return np.dtype("u1" if header.most < 256 else ">u2")


def _shaped(values: NDArray[np.generic], header: PnmHeader, count: int) -> NDArray[np.generic]:
    if values.size < count:
        raise ValueError(f"it is cut short: it holds {values.size:,} of {count:,} values")
    if header.kind in (b"P1", b"P4"):
        values = values == 0  # 1 is black
    elif header.kind not in (b"Pf", b"PF") and (values.max() > header.most or values.min() < 0):
        raise ValueError(f"a pixel is above its highest value, {header.most:g}")
    shape = (header.height, header.width) if header.samples == 1 else (header.height, header.width, header.samples)
    native = np.float32 if header.kind in (b"Pf", b"PF") else np.uint8 if header.most < 256 else np.uint16
    pixels = values.reshape(shape)
    if pixels.dtype != bool:
        pixels = pixels.astype(native)
    return pixels[::-1] if header.kind in (b"Pf", b"PF") else pixels  # its rows go up
