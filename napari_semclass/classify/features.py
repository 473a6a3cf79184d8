"""What a network's body sees in tiles, kept on disk, so that a new head costs no new look at the pixels."""

import hashlib
import json
import threading
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_semclass.classify.feature_cache import FeatureCache
from napari_semclass.classify.forward import Forward
from napari_semclass.classify.windows import SharedMaps, shared_maps
from napari_semclass.errors import ModelError
from napari_semclass.micrograph import GreyRange, Micrograph, grey_range
from napari_semclass.micrograph.micrograph import LARGEST_FIELD_PX
from napari_semclass.model import Model
from napari_semclass.model.network import overheard
from napari_semclass.model.preprocess import square

_Boxes = NDArray[np.int64]
_Features = NDArray[np.float32]

_BLOCK_PX = 16_000_000  # read at a time
_BATCH_PX = 67_000_000  # of one batch before it is resized
_SAMPLES = 64  # blocks that stand for a mosaic too large to be read whole
_SAMPLE_SIDE = 256

_IDS: "WeakKeyDictionary[Micrograph, str]" = WeakKeyDictionary()
_BODIES: "WeakKeyDictionary[nn.Module, str]" = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class FeatureStep:
    """How far it is; `features` (boxes, features) is filled in place by later steps."""

    features: _Features
    done: int
    total: int


def feature_steps(
    micrograph: Micrograph,
    model: Model,
    boxes: _Boxes,
    *,
    tile: int,
    levels: GreyRange | None = None,
    device: str = "auto",
    cache: FeatureCache | None = None,
    stop: threading.Event | None = None,
    windows: bool = False,
    context: float = 1.0,
) -> Generator[FeatureStep, None, None]:
    """Features of tiles, from the cache where it has them.

    They are what the model's linear classifier is given, so that `features @ weight.T + bias` are the scores that
    classifying these tiles gives.

    Parameters
    ----------
    micrograph : Micrograph
    model : Model
        Its network must end in one linear classifier.
    boxes : array (n, 4), int64
        `(y0, x0, y1, x1)` in level-0 pixels.
    tile : int
        Side of a full tile in pixels; smaller boxes at the edges are mirrored up to it.
    levels : GreyRange, optional
        What becomes 0 and 1; None finds it in the micrograph.
    device : str
    cache : FeatureCache
    stop : threading.Event
        When set, ends after the current batch; what was computed is cached.
    windows : bool
        Average a feature map of the micrograph over each tile's place (see `classify.windows`), in place of looking at
        each tile by itself.
    context : float
        With windows: side of the area that is averaged, in tiles.

    Raises
    ------
    ModelError
        When the network does not end in one linear classifier, or cannot do windows that are asked for.
    MicrographError, DeviceError
        Pixels that cannot be read; a device that fails.
    """
    stop = stop or threading.Event()
    forward = Forward.on(model, device, precision="fp32")  # as what they are compared with: see `classify.engine`
    width = linear_classifier(model).in_features
    steps = model.card.preprocessing
    levels = levels or grey_range(micrograph, steps.low_percentile, steps.high_percentile)
    key = "" if cache is None else _key(micrograph, model, levels, tile, forward, context if windows else None)
    known = {} if cache is None else cache.read(key)
    held = [_sound(known.get(tuple(box)), width) for box in boxes.tolist()]
    missing = np.array([index for index, one in enumerate(held) if one is None], dtype=np.int64)
    features = np.zeros((len(boxes), width), dtype=np.float32)
    for index, one in enumerate(held):
        if one is not None:
            features[index] = one
    done = len(boxes) - len(missing)
    yield FeatureStep(features, done, len(boxes))
    computed: list[NDArray[np.int64]] = []
    try:
        looks = (
            _by_window(shared_maps(micrograph, levels, forward, tile, context), boxes, missing, stop)
            if windows
            else _by_tile(micrograph, levels, boxes, missing, tile, forward, stop)
        )
        for indices, found in looks:
            features[indices] = found
            computed.append(indices)
            done += len(indices)
            yield FeatureStep(features, done, len(boxes))
    finally:
        if computed and cache is not None:
            new = np.concatenate(computed)
            cache.add(key, boxes[new], features[new])


def _sound(held: _Features | None, width: int) -> _Features | None:
    """What the cache held, or None where that cannot be features of this network."""
    return held if held is not None and held.shape == (width,) and np.isfinite(held).all() else None


def micrograph_id(micrograph: Micrograph) -> str:
    """SHA-256 of a plane's pixels; of a mosaic of more than 64 megapixels, of its shape and 64 blocks spread over it.

    Kept for as long as the micrograph is, so pixels that are changed in place go unnoticed.
    """
    known = _IDS.get(micrograph)
    if known is not None:
        return known
    height, width = micrograph.shape
    digest = hashlib.sha256(f"{micrograph.shape}".encode())
    if height * width <= LARGEST_FIELD_PX:
        block = micrograph.read(0, height, 0, width)
        digest.update(f"{block.dtype}".encode())
        digest.update(np.ascontiguousarray(block).data)
    else:
        random = np.random.default_rng(0)
        for _ in range(_SAMPLES):
            y, x = (int(random.integers(0, max(1, length - _SAMPLE_SIDE))) for length in (height, width))
            digest.update(np.ascontiguousarray(micrograph.read(y, y + _SAMPLE_SIDE, x, x + _SAMPLE_SIDE)).tobytes())
    _IDS[micrograph] = digest.hexdigest()
    return _IDS[micrograph]


def _key(
    micrograph: Micrograph, model: Model, levels: GreyRange, tile: int, forward: Forward, context: float | None
) -> str:
    """Whatever features depend on but the box; not the head, so that a new head finds them. No context: no windows."""
    parts = [
        micrograph_id(micrograph),
        _body_id(model),
        json.dumps(asdict(model.card.preprocessing), sort_keys=True),
        f"{levels.low!r} {levels.high!r} {tile} {model.card.input_size} {model.card.backbone} {forward.precision_name}",
    ]
    # What is a window's surrounding ends at a data bar.
    parts += [f"windows {context:g} {micrograph.specimen}"] if context is not None else []
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _body_id(model: Model) -> str:
    """SHA-256 over all tensors of a network but its classifier's."""
    network = model.network
    known = _BODIES.get(network)
    if known is not None:
        return known
    head = {id(tensor) for tensor in linear_classifier(model).state_dict(keep_vars=True).values()}
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict(keep_vars=True).items()):
        if id(tensor) not in head and not name.endswith("num_batches_tracked"):
            digest.update(name.encode())
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    _BODIES[network] = digest.hexdigest()
    return _BODIES[network]


def linear_classifier(model: Model) -> nn.Linear:
    """The network's last layer.

    Raises
    ------
    ModelError
        When it is anything else than one linear classifier.
    """
    classifier = model.network.get_classifier()  # type: ignore[operator]
    if not isinstance(classifier, nn.Linear):
        raise ModelError(
            f"model {model.card.name}: its network does not end in one linear classifier, so it cannot learn quickly; "
            "choose another model or train it."
        )
    return classifier


_Looks = Iterator[tuple[NDArray[np.int64], _Features]]


def _by_tile(
    micrograph: Micrograph,
    levels: GreyRange,
    boxes: _Boxes,
    wanted: NDArray[np.int64],
    tile: int,
    forward: Forward,
    stop: threading.Event,
) -> _Looks:
    """Indices of boxes and their features, a batch at a time."""
    for indices, tiles in _cut(micrograph, levels, boxes, wanted, tile, forward):
        if stop.is_set():
            return
        yield indices, _look(forward, tiles)


def _by_window(maps: SharedMaps, boxes: _Boxes, wanted: NDArray[np.int64], stop: threading.Event) -> _Looks:
    """The same from feature maps of blocks."""
    for block in maps.blocks(boxes, wanted):
        if stop.is_set():
            return
        for places, found in maps.features(maps.read(boxes[block]), boxes[block], stop):
            yield block[places], found


def _cut(
    micrograph: Micrograph, levels: GreyRange, boxes: _Boxes, wanted: NDArray[np.int64], tile: int, forward: Forward
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Indices and tiles (n, tile, tile), a batch at a time, read in blocks of neighbouring boxes."""
    for block in _blocks(boxes, wanted):
        y0, x0 = boxes[block, :2].min(axis=0)
        y1, x1 = boxes[block, 2:].max(axis=0)
        pixels = levels.normalise(micrograph.read(int(y0), int(y1), int(x0), int(x1)))
        batch = max(1, min(forward.batch, _BATCH_PX // tile**2))
        for start in range(0, len(block), batch):
            indices = block[start : start + batch]
            crops = [pixels[a - y0 : c - y0, b - x0 : d - x0] for a, b, c, d in boxes[indices]]
            yield indices, np.stack([square(crop, tile) for crop in crops])


def _blocks(boxes: _Boxes, wanted: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Indices of boxes in the same rows, as many as fit one block."""
    order = wanted[np.lexsort((boxes[wanted, 1], boxes[wanted, 2], boxes[wanted, 0]))]
    start = 0
    for end in range(1, len(order) + 1):
        first = boxes[order[start]]
        if end < len(order):
            following = boxes[order[end]]
            height = first[2] - first[0]
            together = (following[[0, 2]] == first[[0, 2]]).all() and (following[3] - first[1]) * height <= _BLOCK_PX
            if together:
                continue
        yield order[start:end]
        start = end


def _look(forward: Forward, tiles: NDArray[np.float32]) -> _Features:
    with overheard(forward.model.network) as heard:
        forward(tiles)
        if sum(map(len, heard)) > len(tiles):  # memory ran out and parts were computed twice; now the batch fits
            heard.clear()
            forward(tiles)
        return torch.cat(heard).cpu().numpy()


def scores(features: _Features, model: Model) -> NDArray[np.float64]:
    """Unscaled scores (n, categories) that the model's classifier gives features (n, features)."""
    classifier = linear_classifier(model)
    with torch.inference_mode():
        weight, bias = classifier.weight.float().cpu().numpy(), classifier.bias.float().cpu().numpy()
    return np.asarray(features @ weight.T + bias, dtype=np.float64)
