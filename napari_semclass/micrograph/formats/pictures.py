"""PNG, JPEG, BMP, JPEG 2000, GIF, WebP and the PNM family: decoded as a whole, with all their bits."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph.formats import orientation
from napari_semclass.micrograph.formats.forms import colours_of_inks, full, looked_up, palette_levels
from napari_semclass.micrograph.formats.image import Facts, Image, joined
from napari_semclass.micrograph.formats.jpeg import deep_jpeg, deep_pixels
from napari_semclass.micrograph.formats.pnm import is_pnm, pnm_header, pnm_pixels
from napari_semclass.micrograph.formats.presence import Inventory, proven
from napari_semclass.micrograph.metadata import Metadata, guarded, picture_metadata, with_reason
from napari_semclass.micrograph.metadata.sidecars import sidecar_metadata

PILLOW_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "JPEG2000", "TIFF")
"""What Pillow may open; for others, such as EPS, it may start programs to draw what the file says."""
_PNG_START = b"\x89PNG\r\n\x1a\n"
_CODESTREAM_SIZES = re.compile(rb"\xff\x4f\xff\x51(.{38,200})", re.DOTALL)  # SOC and SIZ of JPEG 2000


@dataclass(frozen=True)
class Decoded:
    """Samples (height, width[, samples]) as they are meant; `opacity` tells that the last one is that."""

    pixels: NDArray[Any]
    opacity: bool = False


def read_picture(path: Path) -> Image:
    """Open a picture.

    Raises
    ------
    MicrographError
        When it is none, or damaged.
    """
    if _is_pnm(path):
        header = pnm_header(path)
        decoded = Decoded(pnm_pixels(path, header), header.alpha)
        return _image(decoded, picture_facts(path), 1, (header.height, header.width), path)
    deep = deep_jpeg(path)
    if deep is not None:
        decoded = Decoded(deep_pixels(path, deep))
        return _image(decoded, picture_facts(path), 1, (deep.height, deep.width), path)
    with _opened(path) as picture:
        facts = _facts(picture, path, upright=True)
        turn = orientation.known(picture.getexif().get(orientation.TAG))
        height, width = picture.height, picture.width
        decoded = _decoded(picture, path)
    return _image(decoded, facts, turn, (height, width), path)


def picture_facts(path: Path, *, upright: bool = True) -> Facts:
    """What a picture says of itself; with `upright` False, of its rows and columns as they are stored."""
    header = pnm_header(path) if _is_pnm(path) else deep_jpeg(path)
    if header is not None:
        shape = header.height, header.width
        found = guarded(lambda: sidecar_metadata(path, shape) or Metadata())
        return Facts(shape, (guarded(partial(with_reason, found)),))
    with _opened(path) as picture:
        return _facts(picture, path, upright=upright)


def _image(decoded: Decoded, facts: Facts, turn: int, shape: tuple[int, int], path: Path) -> Image:
    pixels = decoded.pixels
    samples = pixels.shape[2:]
    proven(np.broadcast_to(0, pixels.shape), Inventory((*shape, *samples)), path)
    turned = orientation.upright(pixels, turn, 0)
    inventory = Inventory((*facts.shape, *samples))
    return Image(facts, proven(turned, inventory, path), rgb=samples in ((3,), (4,)), alpha=decoded.opacity)


def _is_pnm(path: Path) -> bool:
    with path.open("rb") as file:
        return is_pnm(file.read(3))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The picture, of which the header is read."""
    from PIL import Image as Pictures
    from PIL import UnidentifiedImageError

    if path.suffix.lower() == ".zarr":
        raise MicrographError(f"{path}: is a file; a zarr image is a folder.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pictures.DecompressionBombWarning)  # large is what micrographs are
            picture = Pictures.open(path, formats=PILLOW_FORMATS)
    except UnidentifiedImageError as error:
        raise MicrographError(
            f"{path}: cannot be read as an image; its content is not TIFF, PNG, JPEG, BMP or the like."
        ) from error
    except Pictures.DecompressionBombError as error:
        raise MicrographError(
            f"{path}: is too large for a {path.suffix[1:].upper()} picture, which cannot be read in parts; "
            "convert it to a tiled TIFF or zarr."
        ) from error
    with picture:
        yield picture


def _facts(picture: Any, path: Path, *, upright: bool) -> Facts:
    metadata = guarded(partial(picture_metadata, picture, path))
    turn = orientation.known(picture.getexif().get(orientation.TAG)) if upright else 1
    count = int(getattr(picture, "n_frames", 1))
    notes = (
        f"the first of {count:,} pictures in the file is used" if count > 1 else "",
        _depth_note(picture, path),
        orientation.described(turn),
    )
    return Facts(
        orientation.upright_shape(picture.height, picture.width, turn),
        (orientation.upright_metadata(metadata, picture.height, turn),),
        joined(notes),
    )


def _decoded(picture: Any, path: Path) -> Decoded:
    """The samples of an open picture with all their bits."""
    if picture.format == "PNG" and _png_depth(path) == 16:
        return _by_imagecodecs("png_decode", path, picture)
    if picture.format == "JPEG2000" and picture.mode != "P" and any(bits != 8 for bits in _codestream_bits(path)):
        return _by_imagecodecs("jpeg2k_decode", path, picture)
    transparency = picture.info.get("transparency")
    if picture.mode == "P":
        return _of_palette(picture, transparency)
    if picture.mode == "CMYK":
        return Decoded(colours_of_inks(np.asarray(picture)))
    if picture.mode in ("La", "RGBa", "PA"):
        picture = picture.convert({"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}[picture.mode])
    if picture.mode not in ("1", "L", "LA", "I", "F", "I;16", "I;16L", "I;16B", "I;16N", "RGB", "RGBA"):
        picture = picture.convert("RGB")
    pixels = np.asarray(picture)
    if picture.mode in ("LA", "RGBA"):
        return Decoded(pixels, opacity=True)
    if transparency is None or isinstance(transparency, bytes):
        return Decoded(pixels)
    return _without_key(pixels, transparency, picture.mode, path)


def _without_key(pixels: NDArray[Any], key: Any, mode: str, path: Path) -> Decoded:
    """Pixels of which those of one level or colour are transparent."""
    if mode == "1":
        clear = pixels == bool(key)
    elif mode == "L":
        depth = _png_depth(path)
        clear = pixels == int(key) * (255 // (2**depth - 1) if depth < 8 else 1)
    else:
        clear = (pixels == np.asarray(key)).all(axis=-1) if pixels.ndim == 3 else pixels == key
    if mode == "1":
        pixels = pixels.view(np.uint8) * np.uint8(255)
    opacity = np.where(clear, 0, full(pixels.dtype)).astype(pixels.dtype)
    return Decoded(np.concatenate([pixels if pixels.ndim == 3 else pixels[..., None], opacity[..., None]], -1), True)


def _of_palette(picture: Any, transparency: Any) -> Decoded:
    numbers = np.asarray(picture)  # this loads the palette, too
    mode = "RGBA" if picture.palette.mode == "RGBA" else "RGB"
    raw = np.array(picture.getpalette(mode), np.uint8).reshape(-1, len(mode))
    pixels = looked_up(palette_levels(raw[:, :3]))(numbers)
    opacities = np.full(256, 255, np.uint8)
    if mode == "RGBA":
        opacities[: len(raw)] = raw[:, 3]
    elif isinstance(transparency, bytes):
        opacities[: len(transparency)] = np.frombuffer(transparency, np.uint8)[:256]
    elif isinstance(transparency, int) and 0 <= transparency < 256:
        opacities[transparency] = 0
    if opacities[: len(raw)].min(initial=255) == 255:
        return Decoded(pixels)
    colours = pixels if pixels.ndim == 3 else pixels[..., None]
    return Decoded(np.concatenate([colours, opacities[numbers][..., None]], axis=-1), opacity=True)


def _by_imagecodecs(codec: str, path: Path, picture: Any) -> Decoded:
    """Decoded where Pillow would drop bits; Pillow has checked the size that the header says."""
    import imagecodecs

    pixels = np.asarray(getattr(imagecodecs, codec)(path.read_bytes()))
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.shape[:2] != (picture.height, picture.width) or samples > 4:
        raise MicrographError(
            f"{path}: is damaged ({pixels.shape} pixels are not what its header says); copy it again."
        )
    if picture.mode == "CMYK":
        return Decoded(colours_of_inks(pixels))
    return Decoded(pixels, opacity=samples in (2, 4))


def _png_depth(path: Path) -> int:
    """Bits per sample of a PNG; 8 for anything else."""
    with path.open("rb") as file:
        start = file.read(26)
    return start[24] if start[:8] == _PNG_START and len(start) == 26 else 8


def _codestream_bits(path: Path) -> tuple[int, ...]:
    """Bits of each component of a JPEG 2000, negative for signed ones; empty where they cannot be found."""
    with path.open("rb") as file:
        found = _CODESTREAM_SIZES.search(file.read(1_000_000))
    if found is None:
        return ()
    sizes = found[1]
    count = int.from_bytes(sizes[36:38], "big")
    depths = sizes[38 : 38 + 3 * count : 3]
    return tuple(-((depth & 127) + 1) if depth & 128 else depth + 1 for depth in depths)


def _depth_note(picture: Any, path: Path) -> str:
    """What to say where bits are lost: of palettes of JPEG 2000, which only Pillow reads."""
    bits = max(map(abs, _codestream_bits(path)), default=8) if picture.format == "JPEG2000" else 8
    return f"8 of {bits} bits are left" if picture.mode == "P" and bits > 8 else ""
