"""One module per vendor, each with its `FORMATS`; a new module here is found by itself."""

import pkgutil
from functools import lru_cache
from importlib import import_module

from napari_semclass.micrograph.metadata.formats import Format


@lru_cache(maxsize=1)
def vendor_formats() -> tuple[Format, ...]:
    """The formats of all vendors, by module name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(entry for name in names for entry in import_module(f"{__name__}.{name}").FORMATS)
