"""A known crash kept away: torch's triton and Mesa's OpenGL driver each bring an LLVM, and the second one dies."""

import sys
from pathlib import Path

_LOADED_LIBRARIES = Path("/proc/self/maps")


def keep_triton_out() -> None:
    """Hide triton from torch when Mesa's LLVM is in this process already; importing both is a segmentation fault.

    It happens on Linux with OpenGL in software (virtual and remote desktops) or on an AMD GPU, beside a CUDA build
    of torch. triton serves `torch.compile` only, which is not used in the viewer's process.
    """
    if "triton" in sys.modules or not _LOADED_LIBRARIES.exists():
        return
    if "libLLVM" in _LOADED_LIBRARIES.read_text(encoding="utf-8", errors="replace"):
        sys.modules["triton"] = None  # type: ignore[assignment]
