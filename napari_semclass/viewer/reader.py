"""Opens TIFFs of electron microscopes in napari: pixels with their scale and metadata, and the data bar marked."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph import Micrograph, open_micrographs
from napari_semclass.viewer.bar_layers import PAIR_KEY, bar_keywords
from napari_semclass.viewer.layer_facts import DATA_BAR_KEY, READER_KEY

# One unit for all layers, so that napari lays pictures of different magnification over each other to scale.
_UNIT, _UNIT_M = "um", 1e-6
_SURE = 0.8  # confidence from which a bar found by its look is marked

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """Return a reader of a TIFF with an instrument's metadata; for any other file, napari's own.

    Whoever tells napari to open all TIFFs with this reader must not be refused those of other programs.

    Parameters
    ----------
    path : str or sequence of str
        Several files, to be stacked, are left to napari, too.
    """
    if isinstance(path, str):
        try:
            micrographs = open_micrographs(path)
        except MicrographError as error:  # napari's reader may know more kinds of TIFF
            return partial(_second_try, error)
        if micrographs[0].metadata.vendor:
            return partial(_layers, micrographs)
    return _own_reader(path)


def _own_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """The reader that comes with napari."""
    from napari_builtins.io import napari_get_reader

    found: Callable[[str | Sequence[str]], list[LayerData]] | None = napari_get_reader(path)
    return found


def _second_try(error: MicrographError, path: str | Sequence[str]) -> list[LayerData]:
    """The layers that napari's own reader finds in a file; where it fails, too, our sentence says what is wrong."""
    try:
        read = _own_reader(path)
        if read is not None:
            return read(path)
    except Exception:  # decoders raise anything, often without saying of which file
        raise error from None
    raise error


def _layers(micrographs: Sequence[Micrograph], _path: str | Sequence[str]) -> list[LayerData]:
    """One Image layer per plane, for planes of instruments differ in detector and pixel size; bars above them."""
    pairs = [(micrograph, uuid4().hex) for micrograph in micrographs]
    return [layer for pair in pairs for layer in (*_bars(*pair), _image(*pair))][::-1]


def _image(micrograph: Micrograph, pair: str) -> LayerData:
    known = micrograph.metadata
    said = {**_described(micrograph), PAIR_KEY: pair}
    keywords = {"name": _name(micrograph), "metadata": {READER_KEY: said}, "rgb": micrograph.rgb}
    whole = isinstance(micrograph.pixels, np.ndarray) or not hasattr(micrograph.pixels, "ndim")
    pixels = micrograph.pixels[:, :] if whole else micrograph.pixels
    if micrograph.alpha and not micrograph.rgb:  # napari knows an opacity of colours only
        pixels = pixels[..., 0]
    return pixels, {**keywords, **_placed(known.pixel_size)}, "image"


def _bars(micrograph: Micrograph, pair: str) -> list[LayerData]:
    """A rectangle around each data bar that is known or surely found; the pixels stay as they are."""
    width = micrograph.shape[1]
    bars = [bar for bar in micrograph.data_bars if bar.confidence >= _SURE]
    if not bars:
        return []
    rows = [(bar.start, bar.stop) for bar in bars]
    keywords = {
        **bar_keywords(rows, width),
        "name": f"{_name(micrograph)} data bar",
        "features": {"start": [b.start for b in bars], "stop": [b.stop for b in bars]},
        "metadata": {DATA_BAR_KEY: rows, PAIR_KEY: pair},
        **_placed(micrograph.metadata.pixel_size),
    }
    return [(keywords.pop("data"), keywords, "shapes")]


def _placed(size: tuple[float, float] | None) -> dict[str, Any]:
    """Scale and units of a layer, of whole pixels where the pixel size is unknown."""
    return {} if size is None else {"scale": [side / _UNIT_M for side in size], "units": [_UNIT, _UNIT]}


def _name(micrograph: Micrograph) -> str:
    name = Path(micrograph.source).stem
    return name if micrograph.plane is None else f"{name} #{micrograph.plane}"


def _described(micrograph: Micrograph) -> dict[str, Any]:
    """What a layer remembers: lengths in metres, voltage in volts, rows of data bars as [start, stop)."""
    known = micrograph.metadata
    return {
        "vendor": known.vendor,
        "pixel_size": known.pixel_size,
        "pixel_size_source": known.pixel_size_source,
        "data_bar": [(bar.start, bar.stop) for bar in micrograph.data_bars],
        "warnings": list(known.warnings),
        **known.summary(),
    }
