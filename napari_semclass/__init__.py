"""Classify SEM micrographs and their tiles: the public names, loaded when first used."""

from typing import TYPE_CHECKING

import lazy_loader

__version__ = "0.1.0"

# napari reads this package at start-up: nothing heavy is loaded before it is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "classify": ["Prediction", "Settings", "TileGrid", "classification_steps", "classify_micrograph"],
        "errors": ["SemclassError"],
        "micrograph": ["Micrograph", "as_micrographs", "open_micrographs"],
        "model": ["Card", "Model", "available_models", "load_model", "save_model"],
    },
)

if TYPE_CHECKING:
    from napari_semclass.classify import Prediction as Prediction
    from napari_semclass.classify import Settings as Settings
    from napari_semclass.classify import TileGrid as TileGrid
    from napari_semclass.classify import classification_steps as classification_steps
    from napari_semclass.classify import classify_micrograph as classify_micrograph
    from napari_semclass.errors import SemclassError as SemclassError
    from napari_semclass.micrograph import Micrograph as Micrograph
    from napari_semclass.micrograph import as_micrographs as as_micrographs
    from napari_semclass.micrograph import open_micrographs as open_micrographs
    from napari_semclass.model import Card as Card
    from napari_semclass.model import Model as Model
    from napari_semclass.model import available_models as available_models
    from napari_semclass.model import load_model as load_model
    from napari_semclass.model import save_model as save_model
