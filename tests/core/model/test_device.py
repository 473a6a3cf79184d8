"""The device is chosen in one place; GPUs are faked, since the machine that tests may have none."""

import pytest
import torch

from napari_semclass.errors import DeviceError, SettingsError
from napari_semclass.model.device import choose_device, default_batch, fast_precision, is_out_of_memory


@pytest.fixture
def machine(monkeypatch):
    def with_devices(cuda=False, mps=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return with_devices


@pytest.mark.parametrize(
    ("devices", "chosen"),
    [({}, "cpu"), ({"mps": True}, "mps"), ({"cuda": True}, "cuda"), ({"cuda": 1, "mps": 1}, "cuda")],
)
def test_auto_takes_the_fastest_device_there_is(machine, devices, chosen):
    machine(**devices)
    assert choose_device("auto").type == chosen
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("wanted", ["cuda", "mps"])
def test_a_missing_device_is_said_and_not_replaced_in_silence(machine, wanted):
    machine()
    with pytest.raises(DeviceError, match=f"'{wanted}' was asked for, but torch finds only cpu"):
        choose_device(wanted)


def test_an_unknown_device_is_a_usage_error():
    with pytest.raises(SettingsError, match="'tpu' is unknown; use one of auto, cpu, cuda, mps"):
        choose_device("tpu")


def test_gpus_multiply_in_half_precision_and_take_larger_batches():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert (fast_precision(cpu), fast_precision(cuda)) == (torch.float32, torch.float16)
    assert default_batch(cuda) > default_batch(cpu)


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried…"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
    ],
)
def test_out_of_memory_is_told_from_other_failures(error, memory):
    assert is_out_of_memory(error) is memory
