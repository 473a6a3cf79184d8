"""Which versions made a result."""

import platform
from importlib.metadata import version

import napari_semclass


def versions() -> dict[str, str]:
    """Versions of what results depend on."""
    libraries = {name: version(name) for name in ("torch", "timm", "numpy", "pillow", "tifffile")}
    return {"napari-semclass": napari_semclass.__version__, "python": platform.python_version(), **libraries}
