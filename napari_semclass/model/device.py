"""Where to compute: the one place that chooses a device, and the number format that pays on it."""

import torch

from napari_semclass.errors import DeviceError, SettingsError

DEVICES = ("auto", "cpu", "cuda", "mps")
OPENVINO_BATCH = 4  # tiles at once; larger ones were slower on every network and precision that was tried
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(wanted: str = "auto") -> torch.device:
    """The device to compute on: CUDA before MPS before CPU for `auto`, otherwise the one asked for.

    Raises
    ------
    SettingsError
        When `wanted` is not one of `auto`, `cpu`, `cuda`, `mps`.
    DeviceError
        When the device asked for is not there.
    """
    if wanted not in DEVICES:
        raise SettingsError(f"device {wanted!r} is unknown; use one of {', '.join(DEVICES)}.")
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present[wanted]:
        there = ", ".join(name for name, here in present.items() if here)
        raise DeviceError(f"device {wanted!r} was asked for, but torch finds only {there} here; use auto.")
    return torch.device(wanted)


def fast_precision(device: torch.device) -> torch.dtype:
    """Number format for the network's body: float16 where the hardware multiplies it faster, else float32."""
    return torch.float16 if device.type in ("cuda", "mps") else torch.float32


def lower_precisions(device: torch.device) -> tuple[str, ...]:
    """Number formats below float32 that may pay on a device; a CPU that has to emulate them is many times slower."""
    if device.type == "cuda":
        return ("fp16", "bf16") if torch.cuda.is_bf16_supported(including_emulation=False) else ("fp16",)
    if device.type == "cpu":
        return ("bf16",) if torch.backends.cpu.get_cpu_capability().startswith("AVX512") else ()
    return ("fp16",)


def default_batch(device: torch.device) -> int:
    """Tiles per batch to start from; on a CPU larger ones fall out of its cache, and smaller ones miss oneDNN."""
    return 16 if device.type == "cpu" else 128


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device or the host ran out of memory (torch has one error class for CUDA, texts for others)."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text


def describe(device: torch.device) -> str:
    """The device in a user's words."""
    if device.type == "cuda":
        return f"CUDA ({torch.cuda.get_device_name(device)})"
    return {"cpu": "CPU", "mps": "Apple GPU (MPS)"}[device.type]
