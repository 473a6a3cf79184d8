"""Pixels in: a file or an array becomes micrographs (lazy grey pixels, pixel size, data bars)."""

from napari_semclass.micrograph.arrays import as_micrographs
from napari_semclass.micrograph.databar import DataBar, find_data_bars, specimen_rows
from napari_semclass.micrograph.files import SUFFIXES, open_micrographs
from napari_semclass.micrograph.grey import GreyRange, grey_range
from napari_semclass.micrograph.headers import Header, read_header
from napari_semclass.micrograph.marks import Mark, find_marks
from napari_semclass.micrograph.metadata import Metadata
from napari_semclass.micrograph.metadata.quantities import length_text
from napari_semclass.micrograph.micrograph import Micrograph
from napari_semclass.micrograph.shrink import shrink

__all__ = [
    "SUFFIXES",
    "DataBar",
    "GreyRange",
    "Header",
    "Mark",
    "Metadata",
    "Micrograph",
    "as_micrographs",
    "find_data_bars",
    "find_marks",
    "grey_range",
    "length_text",
    "open_micrographs",
    "read_header",
    "shrink",
    "specimen_rows",
]
