"""TVIPS cameras of TEMs: TIFF tag 37706, which is named and not read."""

from collections.abc import Mapping
from typing import Any

from napari_semclass.micrograph.metadata.formats import Format, Shape
from napari_semclass.micrograph.metadata.record import Metadata, not_read

TVIPS_TAG = 37706


def _read(values: Mapping[int, Any], shape: Shape) -> Metadata:
    return not_read("tvips", "metadata of a TVIPS camera (TIFF tag 37706)")


FORMATS = (
    Format(
        vendor="tvips",
        models="EM-MENU",
        where="TIFF tag 37706",
        keys="named, not read: what its pixel size is depends on the TEM's mode",
        units="-",
        source="tifffile `read_tvips_header`; rosettasciio's TIFF reader",
        read=_read,
        texts=(TVIPS_TAG,),
    ),
)
