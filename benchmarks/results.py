"""Where benchmarks keep what they found: one JSON file each, with the machine, the versions and the command."""

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
_PACKAGES = ("napari-semclass", "torch", "torchvision", "timm", "fastai", "numpy", "napari", "zarr", "tifffile")


def processor() -> str:
    """The processor in its maker's words, with what of it decides precision, as far as the system tells."""
    try:
        first, *_ = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")
    except OSError:
        return platform.processor()
    lines = (line.partition(":") for line in first.splitlines())
    said = {name.strip(): text.strip() for name, _, text in lines}
    flags = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in said.get("flags", "").split()]
    return f"{said.get('model name', 'unknown')} ({', '.join(flags)})"


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_1_min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def versions() -> dict[str, str]:
    """Installed versions of the packages that matter."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def keep(name: str, found: dict[str, Any]) -> None:
    """Print what was found as JSON and write it to `results/NAME.json`, which `plots.py` draws."""
    arguments = [part.replace(str(Path.home()), "~") for part in sys.argv[1:]]
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *arguments])
    report = {"command": command, "machine": machine(), "versions": versions(), **found}
    print(json.dumps(report))
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
