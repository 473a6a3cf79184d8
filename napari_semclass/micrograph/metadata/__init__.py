"""What instruments write about a micrograph: pixel size, instrument, detector, voltage, rows of the data bar."""

from napari_semclass.micrograph.metadata.ome_zarr import ome_zarr_metadata
from napari_semclass.micrograph.metadata.pictures import picture_metadata
from napari_semclass.micrograph.metadata.record import Metadata, guarded
from napari_semclass.micrograph.metadata.sources import with_reason
from napari_semclass.micrograph.metadata.tiff import tiff_metadata, vendor_metadata

__all__ = [
    "Metadata",
    "guarded",
    "ome_zarr_metadata",
    "picture_metadata",
    "tiff_metadata",
    "vendor_metadata",
    "with_reason",
]
