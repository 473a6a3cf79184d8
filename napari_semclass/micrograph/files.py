"""Files in: TIFF, pictures, zarr and OME-Zarr become micrographs, lazily where they are large."""

import os
from dataclasses import replace
from pathlib import Path

from napari_semclass.errors import MicrographError, brief
from napari_semclass.micrograph.arrays import as_micrographs
from napari_semclass.micrograph.formats import Image, is_tiff, read_picture, read_tiff, read_zarr
from napari_semclass.micrograph.formats.presence import ProvenPixels
from napari_semclass.micrograph.metadata import Metadata
from napari_semclass.micrograph.micrograph import Micrograph

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".jp2", ".j2k", ".pgm", ".ppm", ".pbm", ".pnm", ".zarr")
"""What is looked for in folders; files of other names are opened when they are named, whatever they are called."""


def open_micrographs(path: str | Path) -> list[Micrograph]:
    """Open an image file or zarr folder.

    Parameters
    ----------
    path : str or Path
        TIFF (any number of planes, OME, tiled), PNG, JPEG, JPEG 2000, BMP, GIF, WebP, PGM and its family, or a zarr
        array or OME-Zarr image.

    Returns
    -------
    list of Micrograph
        One, or one per plane of a stack, upright, with the pixel size and what else the file says (`metadata`). Large
        TIFFs and zarr stay on disk until a box of them is read. `note` names planes and images that are left out.

    Raises
    ------
    MicrographError
        Missing, damaged or not an image, in one sentence.
    """
    path = Path(path)
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for names too long for the disk
        raise MicrographError(f"{path}: no such file or folder.")
    if path.is_file() and path.stat().st_size == 0:
        raise MicrographError(f"{path}: is empty (0 bytes).")
    try:
        return _micrographs(_image(path), path)
    except MicrographError:
        raise
    except MemoryError as error:
        raise MicrographError(f"{path}: does not fit in memory; convert it to a tiled TIFF or zarr.") from error
    except PermissionError as error:
        raise MicrographError(f"{path}: cannot be opened ({error.strerror}).") from error
    except Exception as error:  # decoders raise anything on damaged files
        raise MicrographError(f"{path}: cannot be read as an image ({brief(error)}).") from error


def _image(path: Path) -> Image:
    if path.is_dir():
        return read_zarr(path)
    if path.is_file():
        return read_tiff(path) if is_tiff(path) else read_picture(path)
    raise MicrographError(f"{path}: is neither a file nor a folder.")


def _micrographs(image: Image, path: Path) -> list[Micrograph]:
    """One micrograph per plane of proven pixels, each with what is known of it."""
    if not isinstance(image.pixels, ProvenPixels):
        raise TypeError("a reader must prove that its pixels were in the file")
    facts = image.facts
    opened = as_micrographs(
        image.pixels.array,
        source=str(path),
        rgb=image.rgb,
        alpha=image.alpha,
        no_data=image.no_data,
        note=facts.note,
    )
    planes = facts.planes if len(facts.planes) == len(opened) else facts.planes[:1] * len(opened)
    return [_described(micrograph, known) for micrograph, known in zip(opened, planes, strict=True)]


def _described(micrograph: Micrograph, metadata: Metadata) -> Micrograph:
    """The micrograph with its metadata, its pixel size where it is the same along both axes."""
    oblong = metadata.pixel_size is not None and metadata.square_pixel_size is None
    reason = "; the pixel size is not used, because pixels are not square" if oblong else ""
    return replace(
        micrograph,
        metadata=metadata,
        pixel_size=metadata.square_pixel_size,
        note=f"{micrograph.note}{reason}".removeprefix("; "),
    )
