"""What a project holds: categories, images, layers of marks, results, and what was chosen in the dock."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, JsonValue

from napari_semclass.annotate.categories import Categories
from napari_semclass.classify.prediction import Prediction
from napari_semclass.classify.settings import Settings

LayerKind = Literal["labels", "shapes", "points"]


@dataclass(frozen=True)
class ImageEntry:
    """One image with marks or results.

    Parameters
    ----------
    id : str
        What layers and results call it; the same in every session.
    name : str
    path : str or None
        Absolute. None for an image that has no file (yet).
    shape : tuple of int
        Of the layer's full-resolution data, all axes.
    dtype : str
    rgb : bool
    specimen : str
        Empty when unknown.
    placement : dict
        Where the layer lies (scale, translate, units, …), as plain JSON.
    data_bar : tuple of (start, stop) or None
        Rows of data bars as the user corrected them; None where they are the file's own, or to be found.
    sha256, size, mtime_ns
        What the file was when it was first saved (see `content.content_of`); `write_project` fills them in.
    """

    id: str
    name: str
    path: str | None
    shape: tuple[int, ...]
    dtype: str
    rgb: bool = False
    specimen: str = ""
    placement: dict[str, JsonValue] = field(default_factory=dict)
    data_bar: tuple[tuple[int, int], ...] | None = None
    sha256: str = ""
    size: int = 0
    mtime_ns: int = 0

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True, eq=False)
class MarkLayer:
    """One layer of marks.

    Parameters
    ----------
    image : str
        Id of its image.
    kind : "labels", "shapes" or "points"
    name : str
    data : array, or tuple of arrays
        labels: integers (…, height, width); shapes: a tuple of (corners, axes); points: (n, axes).
    numbers : tuple of int
        Category of each shape or point, 0 for none.
    shape_types : tuple of str
        napari's, one for each shape.
    placement : dict
        As in `ImageEntry`, where it is not the image's.
    extra : dict
        What else the viewer wants to find again, as plain JSON.
    """

    image: str
    kind: LayerKind
    name: str
    data: NDArray[Any] | tuple[NDArray[np.floating[Any]], ...]
    numbers: tuple[int, ...] = ()
    shape_types: tuple[str, ...] = ()
    placement: dict[str, JsonValue] = field(default_factory=dict)
    extra: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ResultEntry:
    """Predictions of an image, one per plane, by a model (its name or path, and its hash)."""

    image: str
    model: str
    sha256: str
    predictions: tuple[Prediction | None, ...]


@dataclass(frozen=True, eq=False)
class Project:
    """Everything that opening a project restores.

    Parameters
    ----------
    categories : Categories
    images : tuple of ImageEntry
    layers : tuple of MarkLayer
    model : str
        Name or path of the model that was chosen.
    settings : Settings
    results : tuple of ResultEntry
    plan_name, plan : str
        The training plan: what it is called, and its TOML.
    imported : tuple of str
        Folders of data sets that are learned from as well.
    saved : str
        When it was saved last, ISO 8601 with time zone.
    stamp : str
        Which state on disk this one follows; empty for none.
    problems : tuple of str
        What could not be read; then this is less than what is on disk, and must not be saved over it.
    """

    categories: Categories = field(default_factory=Categories)
    images: tuple[ImageEntry, ...] = ()
    layers: tuple[MarkLayer, ...] = ()
    model: str = ""
    settings: Settings = field(default_factory=Settings)
    results: tuple[ResultEntry, ...] = ()
    plan_name: str = ""
    plan: str = ""
    imported: tuple[str, ...] = ()
    saved: str = ""
    stamp: str = ""
    problems: tuple[str, ...] = ()
