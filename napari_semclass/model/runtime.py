"""A network computed by OpenVINO: on processors often several times as fast as torch. An extra, never needed."""

import copy
import importlib.util
import sys
import threading
import warnings
from functools import cache
from importlib.metadata import version
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from napari_semclass.errors import SettingsError, brief
from napari_semclass.model.card import Preprocessing
from napari_semclass.model.network import Model, changes

_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}

# What a conversion depends on beside the network: changes to its weights, and the card.
_State = tuple[int, Preprocessing, int, bool]
# By network: its state when it was converted, and what was made of it. Converting takes seconds.
_CONVERTED: "WeakKeyDictionary[nn.Module, tuple[_State, Any]]" = WeakKeyDictionary()
_COMPILED: "WeakKeyDictionary[nn.Module, dict[tuple[_State, torch.dtype, int], Any]]" = WeakKeyDictionary()
_one_at_a_time = threading.Lock()


def can_use_openvino(model: Model, device: torch.device) -> bool:
    """Whether OpenVINO is installed, and computes on this device a network of this kind."""
    linear = isinstance(model.network.get_classifier(), nn.Linear)  # type: ignore[operator]
    return device.type == "cpu" and linear and importlib.util.find_spec("openvino") is not None


@cache  # looking it up takes as long as computing a tile
def openvino_name() -> str:
    """Name and version, for people and records."""
    return f"OpenVINO {version('openvino')}"


def need_openvino(model: Model, device: torch.device) -> None:
    """Refuse what OpenVINO cannot do.

    Raises
    ------
    SettingsError
        When it is not installed, or does not compute this network on this device.
    """
    if not can_use_openvino(model, device):
        raise SettingsError(
            "runtime openvino: must be installed (pip install 'napari-semclass[openvino]'), and computes on the CPU "
            f"(here: {device.type}) networks that end in a linear classifier; use runtime torch."
        )


class OpenVinoBody:
    """A network up to its linear classifier, which is left to torch and float32; for one thread at a time.

    `precision` is float32 or bfloat16. Of a model of windows it is the network up to its last feature map.

    Raises
    ------
    SettingsError
        When OpenVINO is not installed, or cannot compute this network on this device.
    """

    def __init__(self, model: Model, device: torch.device, precision: torch.dtype) -> None:
        need_openvino(model, device)
        try:
            self._request, self._maps = _compiled(model, precision).create_infer_request(), model.card.windows
        except Exception as error:  # whatever it raises at a network that it does not know
            raise SettingsError(
                f"runtime openvino: cannot compute {model.card.backbone} ({brief(error)}); use runtime torch."
            ) from error

    def __call__(self, batch: Tensor) -> Tensor:
        """Features (n, features), float32, of grey tiles (n, 1, side, side) in [0, 1]."""
        found = self._found(batch)
        return found.mean(dim=(2, 3)) if self._maps else found

    def feature_map(self, grey: Tensor) -> Tensor:
        """Of windows: the last feature map (channels, y, x), float32, of a grey picture (height, width) in [0, 1]."""
        return self._found(grey[None, None])[0]

    def _found(self, batch: Tensor) -> Tensor:
        found = self._request.infer([batch.contiguous().numpy()], share_inputs=True, share_outputs=False)
        return torch.from_numpy(found[0])


def _openvino() -> Any:
    """The package, without its telemetry: each import and each conversion would be reported over the internet."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if it were not installed
    import openvino

    return openvino


def _compiled(model: Model, precision: torch.dtype) -> Any:
    openvino, network, threads = _openvino(), model.network, torch.get_num_threads()
    with _one_at_a_time:
        state = changes(network), model.card.preprocessing, model.card.input_size, model.card.windows
        known = _COMPILED.setdefault(network, {})
        key = state, precision, threads
        if key not in known:
            if network not in _CONVERTED or _CONVERTED[network][0] != state:
                _CONVERTED[network] = state, _converted(model)
            hints = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "INFERENCE_NUM_THREADS": threads}
            known[key] = openvino.Core().compile_model(_CONVERTED[network][1], "CPU", hints)
        return known[key]


class _Grey(nn.Module):
    """A network without its classifier, from grey tiles: it standardises them itself.

    Of three equal channels the first convolution's kernels are summed, which is exact; where it is not a plain one,
    the channels are repeated.
    """

    def __init__(self, network: nn.Module, mean: float, std: float) -> None:
        super().__init__()
        body = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
        classifier = body.get_classifier()  # type: ignore[operator]
        name = next(name for name, part in body.named_modules() if part is classifier)
        parent, _, last = name.rpartition(".")
        setattr(body.get_submodule(parent), last, nn.Identity())
        self.body, self.mean, self.std = body.float().eval(), mean, std
        self.channels = 1 if _takes_grey(self.body) else 3

    def forward(self, tiles: Tensor) -> Tensor:
        found: Tensor = self.body(self.standardised(tiles))
        return found

    def standardised(self, tiles: Tensor) -> Tensor:
        """What the body is given."""
        return ((tiles - self.mean) / self.std).expand(-1, self.channels, -1, -1)


class _GreyMap(_Grey):
    """A network up to its last feature map, from grey pictures of any size."""

    def forward(self, tiles: Tensor) -> Tensor:
        found: Tensor = self.body.forward_features(self.standardised(tiles))  # type: ignore[operator]
        return found


def _takes_grey(network: nn.Module) -> bool:
    """Whether the network could be changed to take one channel for three equal ones."""
    from timm.layers import Conv2dSame

    name = getattr(network, "pretrained_cfg", {}).get("first_conv")
    first = network.get_submodule(name) if isinstance(name, str) else None
    # Of other kinds, because they may change their weights before they use them.
    if not isinstance(first, nn.Conv2d) or type(first) not in (nn.Conv2d, Conv2dSame):
        return False
    if first.in_channels != 3 or first.groups != 1:
        return False
    first.weight, first.in_channels = nn.Parameter(first.weight.sum(dim=1, keepdim=True)), 1
    return True


def _converted(model: Model) -> Any:
    """The graph of the network without its classifier; of a model of windows, up to its last feature map."""
    steps, side, windows = model.card.preprocessing, model.card.input_size, model.card.windows
    kind = _GreyMap if windows else _Grey
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # OpenVINO calls what torch is about to give up
        return _openvino().convert_model(
            kind(model.network, steps.mean, steps.std),
            example_input=torch.zeros(1, 1, side, side),
            input=[-1, 1, -1, -1] if windows else [-1, 1, side, side],
        )
