"""A network computed by OpenVINO: on processors often several times as fast as torch. An extra, never needed."""

import copy
import importlib.util
import threading
import warnings
from importlib.metadata import version
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from napari_semclass.errors import SettingsError, brief
from napari_semclass.model.network import Model

_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}

# By network: its state when it was converted, and what was made of it. Converting takes seconds.
_CONVERTED: "WeakKeyDictionary[nn.Module, tuple[int, Any]]" = WeakKeyDictionary()
_COMPILED: "WeakKeyDictionary[nn.Module, dict[tuple[int, torch.dtype, int], Any]]" = WeakKeyDictionary()
_one_at_a_time = threading.Lock()


def can_use_openvino(model: Model, device: torch.device) -> bool:
    """Whether OpenVINO is installed, and computes on this device a network of this kind."""
    linear = isinstance(model.network.get_classifier(), nn.Linear)  # type: ignore[operator]
    # The maps that windows are averaged from are torch's.
    alone = linear and not model.card.windows
    return device.type == "cpu" and alone and importlib.util.find_spec("openvino") is not None


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
            f"(here: {device.type}) networks that end in a linear classifier and see each tile alone; use runtime "
            "torch."
        )


class OpenVinoBody:
    """A network up to its linear classifier, which is left to torch and float32; for one thread at a time.

    `precision` is float32 or bfloat16.

    Raises
    ------
    SettingsError
        When OpenVINO is not installed, or cannot compute this network on this device.
    """

    def __init__(self, model: Model, device: torch.device, precision: torch.dtype) -> None:
        need_openvino(model, device)
        try:
            self._request = _compiled(model, precision).create_infer_request()
        except Exception as error:  # whatever it raises at a network that it does not know
            raise SettingsError(
                f"runtime openvino: cannot compute {model.card.backbone} ({brief(error)}); use runtime torch."
            ) from error

    def __call__(self, batch: Tensor) -> Tensor:
        """Features (n, features), float32, of prepared tiles (n, 3, side, side)."""
        found = self._request.infer([batch.contiguous().numpy()], share_inputs=True, share_outputs=False)
        return torch.from_numpy(found[0])


def _compiled(model: Model, precision: torch.dtype) -> Any:
    import openvino

    network, threads = model.network, torch.get_num_threads()
    with _one_at_a_time:
        state = sum(tensor._version for tensor in network.state_dict().values() if not tensor.is_inference())
        known = _COMPILED.setdefault(network, {})
        key = state, precision, threads
        if key not in known:
            if network not in _CONVERTED or _CONVERTED[network][0] != state:
                _CONVERTED[network] = state, _converted(network, model.card.input_size)
            hints = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "INFERENCE_NUM_THREADS": threads}
            known[key] = openvino.Core().compile_model(_CONVERTED[network][1], "CPU", hints)
        return known[key]


def _converted(network: nn.Module, side: int) -> Any:
    """The graph of the network without its classifier."""
    import openvino

    body = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
    classifier = body.get_classifier()  # type: ignore[operator]
    name = next(name for name, part in body.named_modules() if part is classifier)
    parent, _, last = name.rpartition(".")
    setattr(body.get_submodule(parent), last, nn.Identity())
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # OpenVINO calls what torch is about to give up
        return openvino.convert_model(
            body.float().eval(), example_input=torch.zeros(1, 3, side, side), input=[-1, 3, side, side]
        )
