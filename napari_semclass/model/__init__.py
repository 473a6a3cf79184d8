"""What a classifier is: a network, its card, and the one file that holds both."""

from typing import TYPE_CHECKING

import lazy_loader

# Cards are read without torch, which takes seconds to load.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "backbone": ["build_network"],
        "card": ["Answered", "Card", "Category", "Preprocessing", "TestResult"],
        "device": ["choose_device"],
        "file": ["load_model_file", "save_model"],
        "network": ["Model"],
        "store": ["available_models", "find_model", "load_model", "model_folder"],
    },
)

if TYPE_CHECKING:
    from napari_semclass.model.backbone import build_network as build_network
    from napari_semclass.model.card import Answered as Answered
    from napari_semclass.model.card import Card as Card
    from napari_semclass.model.card import Category as Category
    from napari_semclass.model.card import Preprocessing as Preprocessing
    from napari_semclass.model.card import TestResult as TestResult
    from napari_semclass.model.device import choose_device as choose_device
    from napari_semclass.model.file import load_model_file as load_model_file
    from napari_semclass.model.file import save_model as save_model
    from napari_semclass.model.network import Model as Model
    from napari_semclass.model.store import available_models as available_models
    from napari_semclass.model.store import find_model as find_model
    from napari_semclass.model.store import load_model as load_model
    from napari_semclass.model.store import model_folder as model_folder
