"""Files as images: one module per family of containers, each giving pixels that were proven to be there."""

from napari_semclass.micrograph.formats.image import Facts, Image
from napari_semclass.micrograph.formats.pictures import picture_facts, read_picture
from napari_semclass.micrograph.formats.tiff import read_tiff, tiff_facts
from napari_semclass.micrograph.formats.tiff_pages import is_tiff
from napari_semclass.micrograph.formats.zarr_folders import read_zarr, zarr_facts

READERS = (read_tiff, read_picture, read_zarr)
"""Each takes a path and gives an `Image`, whose pixels only `presence.proven` can make."""

__all__ = [
    "READERS",
    "Facts",
    "Image",
    "is_tiff",
    "picture_facts",
    "read_picture",
    "read_tiff",
    "read_zarr",
    "tiff_facts",
    "zarr_facts",
]
