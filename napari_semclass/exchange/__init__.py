"""Models of this program for other programs' runtimes, and other programs' weights as models of this one."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "export": ["FORMATS", "Export", "export_model"],
        "foreign": ["Imported", "import_weights"],
    },
)

if TYPE_CHECKING:
    from napari_semclass.exchange.export import FORMATS as FORMATS
    from napari_semclass.exchange.export import Export as Export
    from napari_semclass.exchange.export import export_model as export_model
    from napari_semclass.exchange.foreign import Imported as Imported
    from napari_semclass.exchange.foreign import import_weights as import_weights
