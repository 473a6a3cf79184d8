"""What is known of an Image layer besides its pixels: from its scale, our reader, or the file it was opened from."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import isclose, prod
from pathlib import Path

from napari.layers import Image, Layer

from napari_semclass.micrograph import DataBar, Header, Metadata, Micrograph, read_header

# In the metadata of images that our reader opened: what their files say.
READER_KEY = "semclass"
# In the metadata of a Shapes layer: the rows [start, stop) of the data bars it was made to show. In that of an image:
# the rows that the user made of them.
DATA_BAR_KEY = "semclass_data_bar"
_LAYER = "the layer's scale"


def pixel_size(layer: Layer) -> float | None:
    """Metres per pixel from the layer's scale and units; None when the unit is no length or the pixel not square."""
    units = getattr(layer, "units", None)
    if units is None or len(layer.scale) < 2:
        return None
    try:
        height, width = (
            float((scale * unit).to("meter").magnitude)
            for scale, unit in zip(layer.scale[-2:], units[-2:], strict=True)
        )
    except Exception:  # pint raises its own kind for each way of not being a length
        return None
    return width if width > 0 and isclose(height, width, rel_tol=1e-6) else None


def with_facts(layer: Image, micrographs: Sequence[Micrograph]) -> tuple[Micrograph, ...]:
    """A layer's micrographs, one per plane, with pixel size, metadata and known data bars.

    The layer's own scale goes before what the file says, and the user's rows of data bars before all others.
    """
    known = metadata_of(layer)
    rows = _rows(layer)
    bars = None if rows is None else tuple(DataBar(start, stop, confidence=1.0) for start, stop in rows)
    return tuple(
        replace(micrograph, metadata=one, pixel_size=one.square_pixel_size, known_bars=bars)
        for micrograph, one in zip(micrographs, known, strict=True)
    )


def facts_state(layer: Image) -> tuple[object, ...]:
    """Changes whenever `with_facts` would say something else of the same pixels."""
    rows = _rows(layer)
    file = _file(layer)
    return pixel_size(layer), rows if rows is None else tuple(map(tuple, rows)), file and _stamp(file)


def metadata_of(layer: Image) -> list[Metadata]:
    """What is known of each plane of a layer; of its pixel size also where that comes from."""
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    *leading, height, width = shape[:-1] if layer.rgb else shape
    header, planes = _header(layer), prod(leading)
    fits = header is not None and header.shape == (height, width) and len(header.planes) == planes
    found = list(header.planes) if header is not None and fits else [Metadata()] * planes
    own = pixel_size(layer)
    if own is None and _in_pixels(layer):
        return found
    if own is None:  # oblong: the user's word, too, though it is no pixel size
        return [replace(one, pixel_size=None, pixel_size_source="") for one in found]
    said = layer.metadata.get(READER_KEY)
    source = said.get("pixel_size_source") if isinstance(said, dict) and _says(said, own) else ""
    return [replace(one, pixel_size=(own, own), pixel_size_source=source or _LAYER) for one in found]


def _in_pixels(layer: Layer) -> bool:
    """Whether a layer has no unit, as napari's reader leaves it."""
    return all(str(unit) == "pixel" for unit in getattr(layer, "units", ())[-2:])


def _says(said: dict[str, object], size: float) -> bool:
    """Whether our reader read this pixel size, or the user has set another one since."""
    read = said.get("pixel_size")
    return isinstance(read, Sequence) and all(isclose(one, size, rel_tol=1e-6) for one in read)


def _rows(layer: Image) -> Sequence[tuple[int, int]] | None:
    """Data bars that the user or our reader gave; None where they are to be found."""
    said = layer.metadata.get(READER_KEY)
    rows: Sequence[tuple[int, int]] | None = said.get("data_bar") if isinstance(said, dict) else None
    corrected: Sequence[tuple[int, int]] | None = layer.metadata.get(DATA_BAR_KEY)
    return rows if corrected is None else corrected


def _header(layer: Image) -> Header | None:
    file = _file(layer)
    stamp = file and _stamp(file)
    return _read(file, stamp) if file and stamp else None


def _file(layer: Image) -> str | None:
    """The file that napari's reader opened; a folder of zarr has its scale in the layer already, if it has any."""
    path = layer.source.path
    return path if path and READER_KEY not in layer.metadata else None


def _stamp(path: str) -> tuple[int, int] | None:
    """Size and time of change of a file that is there."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):  # an address, or a name that no disk takes
        return None
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=256)
def _read(path: str, _stamp: tuple[int, int]) -> Header | None:
    # Some milliseconds, once for each file: napari has just read all of it.
    return read_header(path, upright=False)
