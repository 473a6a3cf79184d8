"""Which runtime, number format and batch are fastest for a model on this machine: tried once and remembered."""

import hashlib
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from napari_semclass.classify.feature_cache import cache_folder
from napari_semclass.classify.forward import Forward
from napari_semclass.errors import DeviceError, SettingsError
from napari_semclass.model.device import PRECISIONS, lower_precisions
from napari_semclass.model.runtime import can_use_openvino, openvino_name
from napari_semclass.writing import replacing

WORTH_TILES = 2000
"""A trial is made for at least so many tiles; fewer are done before it would have paid."""
AGREEMENT = 0.995
"""Least share of tiles that a lower precision has to answer as float32 does."""

_BUDGET_S = 1.5  # a trial ends with the first measurement after it
_MOMENT_S = 0.1  # what is over sooner is measured again, and the shortest time taken: others disturb it
_GAIN = 1.1  # what is not faster by this is not worth another number format or batch
_TILES = 256
_LEAST_TILES = 64  # on fewer, agreement says nothing
_BATCHES = {"cpu": (4, 8, 16), "mps": (32, 128), "cuda": (32, 128, 256)}

_Tiles = NDArray[np.float32]


@dataclass(frozen=True)
class Pace:
    """What a trial found.

    Parameters
    ----------
    precision : "fp32", "bf16" or "fp16"
    batch : int
        Tiles per batch.
    tiles_per_s : float
        At this precision and batch, in the trial.
    gain : float
        The same over the rate at float32 and the usual batch.
    agreement : float
        Share of `tiles` trial tiles that it answers as torch does in float32.
    runtime : "torch" or "openvino"
        What computes the network's body.
    """

    precision: str
    batch: int
    tiles_per_s: float
    gain: float = 1.0
    agreement: float = 1.0
    tiles: int = 0
    runtime: str = "torch"


_PACES = TypeAdapter(dict[str, Pace])


def pace(forward: Forward, work: int, sample: Callable[[int], _Tiles], path: Path | None = None) -> Pace | None:
    """The pace for a model on its device: as remembered, else tried if there are enough tiles, else None.

    Parameters
    ----------
    forward : Forward
    work : int
        Tiles to classify.
    sample : callable
        Gives up to so many of them (n, side, side), normalised.
    path : Path
        JSON file to remember it in; None takes one where features are kept.
    """
    path = path or cache_folder() / "pace.json"
    known = _read(path)
    if not known and work < WORTH_TILES:
        return None
    key = _key(forward)
    if key in known and known[key].precision in PRECISIONS:
        return known[key]
    if work < WORTH_TILES:
        return None
    found = _try(forward, sample)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            paces = {**_read(path), key: found}
            text = json.dumps({name: asdict(each) for name, each in paces.items()}, indent=1)
            temporary.write_text(text, encoding="utf-8")
    except (OSError, ValueError):
        pass  # only costs another trial
    return found


def _read(path: Path) -> dict[str, Pace]:
    try:
        return _PACES.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {}


def _key(forward: Forward) -> str:
    """Whatever speed and agreement depend on: the machine, torch and the model."""
    card = forward.model.card
    processor = forward.device_name if forward.device.type == "cuda" else _processor()
    parts = [processor, forward.device.type, f"torch {torch.__version__}", f"{torch.get_num_threads()} threads"]
    model = hashlib.sha256(forward.model.sha256.encode()).hexdigest()[:16]
    if can_use_openvino(forward.model, forward.device):  # a new one is tried anew
        parts.append(openvino_name())
    return ", ".join([*parts, card.backbone, f"{card.input_size} px", model])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or an ARM that does not say
        return platform.processor() or platform.machine()


def _try(forward: Forward, sample: Callable[[int], _Tiles]) -> Pace:
    """Float32 at a few batches, then what may be faster at the best of them.

    For lower precisions only as long as the budget lasts; OpenVINO, where it is installed, is worth its seconds.
    """
    end, usual, tiles = time.perf_counter() + _BUDGET_S, forward.batch, sample(_TILES)
    try:
        _rate(forward, tiles[:1], "fp32", 1)  # the first pass prepares memory and kernels
        best = before = _rate(forward, tiles[:usual], "fp32", usual)
        for batch in _BATCHES[forward.device.type]:
            if batch != usual and batch <= len(tiles) and time.perf_counter() < end:
                other = _rate(forward, tiles[:batch], "fp32", batch)
                best = other if other.tiles_per_s > _GAIN * best.tiles_per_s else best
        lower = lower_precisions(forward.device)
        others = [("torch", name) for name in lower if time.perf_counter() < end]
        if can_use_openvino(forward.model, forward.device):
            others += [("openvino", name) for name in ("fp32", *lower)]
        expected = None
        for runtime, name in others:
            if len(tiles) < _LEAST_TILES:
                break
            found = _faster(forward, tiles, name, runtime, best)
            if found is None:
                continue
            if expected is None:
                forward.use("torch", torch.float32)
                expected = forward(tiles).argmax(axis=1)
            best = _if_alike(forward, tiles, found, expected) or best
    finally:
        forward.use("torch", torch.float32)
        forward.batch = usual
    return replace(best, gain=round(best.tiles_per_s / before.tiles_per_s, 3))


def _faster(forward: Forward, tiles: _Tiles, name: str, runtime: str, best: Pace) -> Pace | None:
    """Its pace where it is clearly faster than the best so far."""
    some = tiles[: best.batch]
    try:
        _rate(forward, some[:1], name, 1, runtime)
        found = _rate(forward, some, name, best.batch, runtime)
    except (SettingsError, DeviceError):  # not every runtime can compute every network
        return None
    return found if found.tiles_per_s > _GAIN * best.tiles_per_s else None


def _if_alike(forward: Forward, tiles: _Tiles, found: Pace, expected: NDArray[np.int64]) -> Pace | None:
    """The pace where it answers as expected of torch and float32."""
    forward.use(found.runtime, PRECISIONS[found.precision])
    forward.batch = found.batch
    agreement = float((forward(tiles).argmax(axis=1) == expected).mean())
    went_back = forward.precision != PRECISIONS[found.precision]  # to float32, on its own
    return None if agreement < AGREEMENT or went_back else replace(found, agreement=agreement, tiles=len(tiles))


def _rate(forward: Forward, tiles: _Tiles, name: str, batch: int, runtime: str = "torch") -> Pace:
    forward.use(runtime, PRECISIONS[name])
    forward.batch = batch
    begun = time.perf_counter()
    spent: list[float] = []
    while not spent or sum(spent) < _MOMENT_S:
        forward(tiles)
        spent.append(max(time.perf_counter() - begun - sum(spent), 1e-9))
    return Pace(name, batch, round(len(tiles) / min(spent), 2), runtime=runtime)
