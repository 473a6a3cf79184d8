"""Which versions made a result."""

import platform
from functools import cache
from importlib.metadata import version

import napari_semclass


def versions() -> dict[str, str]:
    """Versions of what results depend on."""
    return dict(_versions())


@cache  # looking them up takes as long as classifying a small micrograph
def _versions() -> dict[str, str]:
    libraries = {name: version(name) for name in ("torch", "timm", "numpy", "pillow", "tifffile")}
    return {"napari-semclass": napari_semclass.__version__, "python": platform.python_version(), **libraries}
