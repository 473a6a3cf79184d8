"""The engine: classifies a micrograph batch by batch, reading ahead while it computes."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial as partial_of
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_semclass.classify.forward import Forward
from napari_semclass.classify.grid import TileGrid, tile_grid, without_void
from napari_semclass.classify.pace import pace
from napari_semclass.classify.partial import Partial
from napari_semclass.classify.prediction import Prediction
from napari_semclass.classify.rejection import recorded, rejection_of
from napari_semclass.classify.scale import scale_note
from napari_semclass.classify.settings import Settings
from napari_semclass.classify.versions import versions
from napari_semclass.classify.whole import whole_crops
from napari_semclass.classify.windows import Ground, shared_maps, windows_note
from napari_semclass.errors import MicrographError
from napari_semclass.memory import return_freed_memory
from napari_semclass.micrograph import GreyRange, Micrograph, grey_range
from napari_semclass.model import Model
from napari_semclass.model.device import OPENVINO_BATCH, PRECISIONS, default_batch
from napari_semclass.model.folding import folded
from napari_semclass.model.network import BLANK
from napari_semclass.model.preprocess import square
from napari_semclass.model.windows import for_single_tiles

# Pixels read at a time: large enough that a chunk of a zarr is seldom read twice, small in memory.
_BLOCK_PX = 16_000_000
# Pixels of one batch before it is resized, so that large tiles do not fill the memory.
_BATCH_PX = 67_000_000
_LARGE_PX = 16_000_000  # of micrographs whose feature maps fill the memory again and again


@dataclass(frozen=True)
class Step:
    """How far a classification is. `prediction` is filled in place by later steps; NaN rows are still to come."""

    prediction: Prediction
    done: int
    total: int


def classify_micrograph(micrograph: Micrograph, model: Model, settings: Settings | None = None) -> Prediction:
    """Classify a micrograph to its end; see `classification_steps`."""
    steps = deque(classification_steps(micrograph, model, settings), maxlen=1)
    return steps[-1].prediction


def classification_steps(
    micrograph: Micrograph,
    model: Model,
    settings: Settings | None = None,
    stop: threading.Event | None = None,
    *,
    levels: GreyRange | None = None,
    partial: Partial | None = None,
    alike: int = 1,
) -> Generator[Step, None, None]:
    """Classify a micrograph, yielding after every batch.

    Parameters
    ----------
    micrograph : Micrograph
    model : Model
    settings : Settings
    stop : threading.Event
        When set, ends after the current batch; what was computed stays in the last step's prediction.
    levels : GreyRange
        The micrograph's grey range under the card's percentiles, where it is known already.
    partial : Partial
        Where tiles are kept as they come; those that an earlier run kept there are not computed again.
    alike : int
        How many micrographs are classified in a row, this one among them: whether looking for a faster way pays.

    Yields
    ------
    Step

    Raises
    ------
    MicrographError
        Nothing to classify, or pixels that cannot be read.
    SettingsError, DeviceError
        Impossible settings; a device that is not there or fails.
    """
    settings = settings or Settings()
    stop = stop or threading.Event()
    micrograph = settings.seen(micrograph).remembering()
    grid = settings.grid(micrograph, model.card)
    exact = "fp32" if settings.precision == "auto" else settings.precision
    asked = folded(for_single_tiles(model) if settings.mode == "whole" else model)
    forward = Forward.on(asked, settings.device, settings.batch, settings.dihedral, exact)
    steps = model.card.preprocessing
    levels = levels or grey_range(micrograph, steps.low_percentile, steps.high_percentile)
    if not len(grid.laid):
        raise MicrographError(
            f"{micrograph.name}: every tile of {grid.tile} px lies mostly where it holds no data (NaN, transparent or "
            "fill); take smaller tiles."
        )
    rejection = rejection_of(settings.reject, model.card)
    found = None
    if settings.runtime == "openvino":
        forward.use("openvino", PRECISIONS[exact])
        forward.batch = settings.batch or OPENVINO_BATCH
    elif settings.mode == "tiles" and settings.precision == "auto" and not stop.is_set():
        found = pace(forward, alike * len(grid.laid), lambda count: _sample(micrograph, grid, levels, count))
        if found is not None and settings.runtime not in ("auto", found.runtime):
            found = None
        if found is not None:
            forward.use(found.runtime, PRECISIONS[found.precision])
            forward.batch = settings.batch or found.batch
    top, left, bottom, right = grid.box(0)
    side = min(bottom - top, right - left) if settings.mode == "whole" else grid.tile
    made = _made(model, replace(settings, reject=recorded(rejection)), forward, levels, micrograph)
    notes = scale_note(micrograph.pixel_size, side, asked.card), windows_note(model, settings.mode, grid)
    made["note"] = "; ".join(filter(None, (micrograph.note, micrograph.void_note, *notes)))
    if found is not None:
        made["pace"] = asdict(found)
    prediction = Prediction(
        np.full((len(grid), len(model.card.categories)), np.nan, dtype=np.float32),
        grid,
        model.card.categories,
        micrograph.name,
        micrograph.pixel_size,
        made,
        None if model.familiar is None else np.full(len(grid), np.nan, dtype=np.float32),
        rejection,
    )
    if settings.mode == "whole":
        if stop.is_set():
            return
        shares, strange = forward.answers(whole_crops(micrograph, levels, forward.model.card.input_size))
        _fill(prediction, np.array([0]), shares.mean(axis=0), None if strange is None else strange.mean())
        yield Step(prediction, 1, 1)
        return
    if partial is not None:
        partial.restore(prediction)
    done = int(prediction.done.sum())
    if done:
        yield Step(prediction, done, len(grid.laid))
    known = prediction.done | grid.left_out
    together = settings.batch or default_batch(forward.device)
    answers = _by_window if model.card.windows else partial_of(_by_tile, together=together)
    with closing(answers(micrograph, grid, levels, forward, known, stop)) as batches:
        for batch, shares, strange, block in batches:
            done += int(np.count_nonzero(np.isnan(prediction.probabilities[batch, 0])))
            _fill(prediction, batch, shares, strange)
            # Both may have changed: see Forward.
            made["precision"], made["runtime"] = forward.precision_name, forward.runtime_name
            yield Step(prediction, done, len(grid.laid))
            if partial is not None and block is not None:
                partial.keep(prediction, block)


# Indices of tiles, what is found of them, and the block that is complete with them.
_Answers = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.int64] | None]


def _by_tile(
    micrograph: Micrograph,
    grid: TileGrid,
    levels: GreyRange,
    forward: Forward,
    known: NDArray[np.bool_],
    stop: threading.Event,
    *,
    together: int,
) -> Generator[_Answers, None, None]:
    """Each tile by itself; `together` are cut and answered at once, in batches as small as is fastest."""
    most = max(1, _BATCH_PX // grid.tile**2)

    def read(part: tuple[range, range]) -> tuple[NDArray[np.int64], _Cut]:
        indices = _indices(grid, *part)
        return indices[~grid.left_out[indices]], _cutter(micrograph, grid, levels, *part)

    todo = (part for part in grid.blocks(_BLOCK_PX) if not known[_indices(grid, *part)].all())
    with closing(_ahead(todo, read)) as blocks:
        for block, cut in blocks:
            indices = block
            while len(indices):
                if stop.is_set():
                    return
                batch, indices = np.split(indices, [min(max(forward.batch, together), most)])
                found = forward.answers(cut(batch))
                yield batch, *found, None if len(indices) else block


def _by_window(
    micrograph: Micrograph,
    grid: TileGrid,
    levels: GreyRange,
    forward: Forward,
    known: NDArray[np.bool_],
    stop: threading.Event,
) -> Generator[_Answers, None, None]:
    """All tiles of a block from one feature map."""
    maps, boxes = shared_maps(micrograph, levels, forward, grid.tile, forward.model.card.context), grid.boxes()
    large = micrograph.shape[0] * micrograph.shape[1] > _LARGE_PX

    def read(block: NDArray[np.int64]) -> tuple[NDArray[np.int64], Ground]:
        return block, maps.read(boxes[block])

    todo = (block for block in maps.blocks(boxes, grid.laid) if not known[block].all())
    with closing(_ahead(todo, read)) as blocks:
        for block, ground in blocks:
            left = len(block)
            for places, features in maps.features(ground, boxes[block], stop):
                shares, strange = forward.answers_of(features)
                if strange is not None:
                    for index in np.flatnonzero(strange <= 1):
                        if maps.blank(ground, boxes[block[places[index]]]):
                            strange[index] = BLANK
                left -= len(places)
                yield block[places], shares, strange, None if left else block
                if large:  # maps of many sizes leave gaps between them: 5 GB instead of 4 after 100 megapixels
                    return_freed_memory()
            if stop.is_set():
                return


def _sample(micrograph: Micrograph, grid: TileGrid, levels: GreyRange, count: int) -> NDArray[np.float32]:
    """Tiles spread over the micrograph, (n, tile, tile), at most as many as a batch may hold."""
    most = max(1, _BATCH_PX // grid.tile**2)
    if len(grid.laid) < count:  # overlapping ones, rather than too few to compare answers by
        grid = tile_grid(grid.shape, grid.tile, max(1, grid.tile // 8), micrograph.specimen)
        grid = without_void(grid, micrograph.void_map)
    places = np.linspace(0, len(grid.laid) - 1, min(count, most, len(grid.laid))).astype(int)
    boxes = [grid.box(int(index)) for index in grid.laid[places]]
    crops = [levels.normalise(micrograph.read(y0, y1, x0, x1)) for y0, x0, y1, x1 in boxes]
    return np.stack([square(crop, grid.tile) for crop in crops])


def _fill(prediction: Prediction, tiles: NDArray[np.int64], shares: Any, strange: Any) -> None:
    # Strangeness first: a tile counts as computed once it has probabilities.
    if prediction.strangeness is not None:
        prediction.strangeness[tiles] = strange
    prediction.probabilities[tiles] = shares


_Cut = Callable[[NDArray[np.int64]], NDArray[np.float32]]
_Part = TypeVar("_Part")
_Read = TypeVar("_Read")


def _cutter(micrograph: Micrograph, grid: TileGrid, levels: GreyRange, rows: range, columns: range) -> _Cut:
    """Read a block of tiles; gives some of them by their indices, (n, tile, tile), normalised.

    Each by itself, where it still lies in the processor's cache: the block at once takes five times as long.
    """
    top, left = grid.rows[rows[0]][0], grid.columns[columns[0]][0]
    bottom, right = grid.rows[rows[-1]][1], grid.columns[columns[-1]][1]
    block = micrograph.read(top, bottom, left, right)

    def cut(indices: NDArray[np.int64]) -> NDArray[np.float32]:
        tiles = np.empty((len(indices), grid.tile, grid.tile), dtype=np.float32)
        for place, index in enumerate(indices.tolist()):
            y0, x0, y1, x1 = grid.box(index)
            crop = levels.normalise(block[y0 - top : y1 - top, x0 - left : x1 - left])
            tiles[place] = square(crop, grid.tile)
        return tiles

    return cut


def _ahead(todo: Iterable[_Part], read: Callable[[_Part], _Read]) -> Generator[_Read, None, None]:
    """What is read of each part, the next one being read in a thread while this one is computed."""
    parts = iter(todo)
    first, second = next(parts, None), next(parts, None)
    if first is None:
        return
    if second is None:  # a thread takes as long as a tile
        yield read(first)
        return
    with ThreadPoolExecutor(1, "semclass-read") as pool:
        waiting = pool.submit(read, first)
        for part in chain([second], parts):
            coming = pool.submit(read, part)
            yield waiting.result()
            waiting = coming
        yield waiting.result()


def _indices(grid: TileGrid, rows: range, columns: range) -> NDArray[np.int64]:
    indices: NDArray[np.int64] = np.add.outer(np.array(rows) * len(grid.columns), np.array(columns)).ravel()
    return indices


def _made(
    model: Model, settings: Settings, forward: Forward, levels: GreyRange, micrograph: Micrograph
) -> dict[str, Any]:
    return {
        "versions": versions(),
        "device": forward.device_name,
        "precision": forward.precision_name,
        "runtime": forward.runtime_name,
        "model": {"name": model.card.name, "sha256": model.sha256, "temperature": model.card.temperature},
        "settings": asdict(settings),
        "grey_range": [levels.low, levels.high],
        "pixel_size_m": micrograph.pixel_size,
        "pixel_size_source": micrograph.pixel_size_source,
        "data_bars": [[bar.start, bar.stop] for bar in micrograph.data_bars],
        "void": 0.0 if micrograph.void_map is None else round(micrograph.void_map.share, 6),
    }
