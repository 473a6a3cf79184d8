"""From a project's marks to a model, with the same tiles, features and figures as in the viewer."""

import threading
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.annotate.collect import LabelledTiles, Source, collect_tiles
from napari_semclass.annotate.imported import read_examples
from napari_semclass.annotate.locate import locate_images
from napari_semclass.annotate.planes import marks_of
from napari_semclass.annotate.project import Project, read_project
from napari_semclass.annotate.tiles import mark_tiles
from napari_semclass.classify.grid import TileGrid
from napari_semclass.classify.prediction import Prediction
from napari_semclass.classify.scale import input_pixel_size
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import DataBar, GreyRange, Micrograph, open_micrographs
from napari_semclass.model.card import Card, Category

if TYPE_CHECKING:
    from napari_semclass.classify.feature_cache import FeatureCache
    from napari_semclass.learn.quick import QuickResult
    from napari_semclass.model import Model


@dataclass(frozen=True)
class Looking:
    """How many of the marked tiles the network has looked at."""

    done: int
    total: int


def labelled_of_project(project: Project, folder: str | Path, card: Card) -> LabelledTiles:
    """The tiles that a project's marks give, from the files of its images.

    Parameters
    ----------
    project : Project
    folder : str or Path
        Of the project.
    card : Card
        Of the base model, for the side of a tile where the project leaves that open.

    Raises
    ------
    SettingsError
        When an image with marks, or a folder of imported examples, is not found or has changed.
    MicrographError
        When it cannot be read.
    """
    located = locate_images(project, folder)
    settings = replace(project.settings, mode="tiles")
    marked = []
    for entry in project.images:
        layers = [layer for layer in project.layers if layer.image == entry.id]
        if not layers:
            continue
        path = located.paths.get(entry.id)
        if path is None:
            raise SettingsError(
                f"{entry.name}: its file is not found; put it back beside the project or open it there."
            )
        micrographs = open_micrographs(path)
        leading = entry.shape[:-2]
        planes = marks_of(layers, leading)
        rows = entry.data_bar
        bars = None if rows is None else tuple(DataBar(start, stop, confidence=1.0) for start, stop in rows)
        if len(micrographs) != len(planes):
            raise SettingsError(f"{path}: has {len(micrographs)} planes, the project's marks are on {len(planes)}.")
        for plane, (marks, opened) in enumerate(zip(planes, micrographs, strict=True)):
            corrected = opened if bars is None else replace(opened, known_bars=bars)
            micrograph = settings.seen(corrected)
            grid = settings.grid(micrograph, card)
            tiles = mark_tiles(marks, grid)
            if len(tiles) or tiles.mixed or tiles.unused:
                source = Source(
                    entry.id, entry.name, micrograph, path, plane, entry.specimen, tile=grid.tile, stride=grid.stride
                )
                marked.append((source, tiles))
    tile, tile_um = settings.tile or card.tile, settings.tile_length(card)
    examples = read_examples(project.imported, card, tile, tile_um) if project.imported else None
    return collect_tiles(marked, project.categories, tile, examples, tile_um=tile_um)


def learn_labelled(
    labelled: LabelledTiles,
    base: "Model",
    *,
    name: str,
    title: str,
    device: str = "auto",
    cache: "FeatureCache | None" = None,
    stop: threading.Event | None = None,
) -> Generator[Looking, None, "QuickResult | None"]:
    """Look at the marked tiles and fit a linear head on them; returns the model, or None when it was stopped.

    Raises
    ------
    SettingsError
        Fewer than two categories have tiles.
    ModelError, MicrographError, DeviceError
        A network without a linear classifier; pixels that cannot be read; a device that fails.
    """
    from napari_semclass.learn.quick import fit_quick

    if len(labelled.used) < 2:
        raise SettingsError(f"There is nothing to learn yet. {labelled.needs()}")
    features = yield from labelled_features(labelled, base, device=device, cache=cache, stop=stop)
    if features is None:
        return None
    grouping = labelled.grouping
    return fit_quick(
        features,
        labelled.labels,
        grouping.groups,
        # Of examples a picture is a group, not the stack that they are in.
        np.where(labelled.imported, len(labelled.sources) + grouping.groups, labelled.source_index),
        [Category(item.name, item.color) for item in labelled.used],
        base,
        tile=labelled.tile,
        tile_um=labelled.tile_um,
        pixel_sizes=[
            input_pixel_size(source.micrograph.pixel_size, source.tile or labelled.tile, base.card)
            for index, source in enumerate(labelled.sources)
            if source.micrograph.pixel_size is not None and (labelled.source_index == index).any()
        ],
        name=name,
        title=title,
        tested=grouping.sentence,
        testable=grouping.level != "none",
        windows=learns_windows(labelled, base),
    )


def learns_windows(labelled: LabelledTiles, base: "Model") -> bool:
    """Whether features are averaged from feature maps of the micrographs, where the network can do it.

    Only where tiles overlap much: a large map with its borders takes longer than tiles side by side. Imported examples
    have no surroundings to see, so with them every tile is looked at by itself.
    """
    from napari_semclass.classify.windows import OVERLAP
    from napari_semclass.model.windows import windows_of

    overlapping = all(0 < source.stride <= (source.tile or labelled.tile) / OVERLAP for source in labelled.sources)
    return overlapping and not labelled.imported.any() and windows_of(base.network) is not None


def labelled_features(
    labelled: LabelledTiles,
    base: "Model",
    *,
    device: str = "auto",
    cache: "FeatureCache | None" = None,
    stop: threading.Event | None = None,
) -> Generator[Looking, None, NDArray[np.float32] | None]:
    """Look at the marked tiles; returns their features (tiles, features), or None when it was stopped.

    Raises
    ------
    ModelError, MicrographError, DeviceError
        As `learn_labelled`.
    """
    from napari_semclass.classify.features import feature_steps

    stop, windows = stop or threading.Event(), learns_windows(labelled, base)
    parts: list[NDArray[np.float32]] = []
    for index, source in enumerate(labelled.sources):
        boxes = labelled.boxes[labelled.source_index == index]
        before = sum(map(len, parts))
        step = None
        tile = source.imported or source.tile or labelled.tile
        levels = GreyRange(0, 255) if source.imported else None
        for step in feature_steps(
            source.micrograph,
            base,
            boxes,
            tile=tile,
            levels=levels,
            device=device,
            cache=cache,
            stop=stop,
            windows=windows,
        ):
            yield Looking(before + step.done, len(labelled))
        if step is None or step.done < step.total:
            return None
        parts.append(step.features)
    return np.concatenate(parts)


def learn_project(
    folder: str | Path, *, model: str = "", name: str = "my-marks", title: str = "", device: str = "auto"
) -> "QuickResult":
    """Learn the marks and imported examples of a project, as `semclass learn` does.

    Parameters
    ----------
    folder : str or Path
        Of the project.
    model : str
        Name or file of the model to learn on; empty takes the one chosen in the project.
    name, title : str
        Of the new model.
    device : "auto", "cpu", "cuda" or "mps"

    Raises
    ------
    SettingsError, ModelError, MicrographError, DeviceError
        As `labelled_of_project` and `learn_labelled`.
    """
    from napari_semclass.classify.feature_cache import FeatureCache
    from napari_semclass.model import load_model

    project = read_project(folder)
    base = load_model(model or project.model or "starter")
    labelled = labelled_of_project(project, folder, base.card)
    steps = learn_labelled(labelled, base, name=name, title=title or name, device=device, cache=FeatureCache.shared())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: QuickResult = end.value
            return result


def predicted(
    features: NDArray[np.float32], grid: TileGrid, micrograph: Micrograph, model: "Model", reject: str | float
) -> Prediction:
    """What a model that was learned quickly says of a whole grid, from the features (laid, features) of its laid tiles.

    `reject` is that of the settings: when "unknown" is the answer.
    """
    from napari_semclass.classify.rejection import rejection_of
    from napari_semclass.learn.quick import predict, strangeness

    made: dict[str, Any] = {
        "model": {"name": model.card.name, "sha256": model.sha256},
        "pixel_size_m": micrograph.pixel_size,
        "pixel_size_source": micrograph.pixel_size_source,
    }
    if micrograph.void_note:
        made |= {"note": micrograph.void_note, "void": micrograph.void_map.share if micrograph.void_map else 0.0}
    strange = strangeness(features, model)
    return Prediction(
        _on_grid(predict(features, model), grid),
        grid,
        model.card.categories,
        micrograph.name,
        micrograph.pixel_size,
        made,
        None if strange is None else _on_grid(strange, grid),
        rejection_of(reject, model.card),
    )


def _on_grid(values: NDArray[np.float32], grid: TileGrid) -> NDArray[np.float32]:
    """Values (laid, …) of the laid tiles as values (tiles, …) of all; NaN for those that are left out."""
    found = np.full((len(grid), *values.shape[1:]), np.nan, dtype=np.float32)
    found[grid.laid] = values
    return found
