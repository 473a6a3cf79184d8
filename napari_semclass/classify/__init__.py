"""Micrograph x Model -> Prediction: the tile grid, the engine, votes on cells, and what results turn into."""

from typing import TYPE_CHECKING

import lazy_loader

# The dock shows grids and results without torch, which takes seconds to load: the engine comes when it is used.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "batch": ["Batch"],
        "engine": ["Step", "classification_steps", "classify_micrograph"],
        "grid": ["TileGrid", "tile_grid"],
        "overlay": ["write_overlay"],
        "pipeline": ["BatchStep"],
        "prediction": ["Prediction"],
        "settings": ["Settings"],
        "tables": ["write_geojson", "write_json", "write_tiles_csv"],
    },
)

if TYPE_CHECKING:
    from napari_semclass.classify.batch import Batch as Batch
    from napari_semclass.classify.engine import Step as Step
    from napari_semclass.classify.engine import classification_steps as classification_steps
    from napari_semclass.classify.engine import classify_micrograph as classify_micrograph
    from napari_semclass.classify.grid import TileGrid as TileGrid
    from napari_semclass.classify.grid import tile_grid as tile_grid
    from napari_semclass.classify.overlay import write_overlay as write_overlay
    from napari_semclass.classify.pipeline import BatchStep as BatchStep
    from napari_semclass.classify.prediction import Prediction as Prediction
    from napari_semclass.classify.settings import Settings as Settings
    from napari_semclass.classify.tables import write_geojson as write_geojson
    from napari_semclass.classify.tables import write_json as write_json
    from napari_semclass.classify.tables import write_tiles_csv as write_tiles_csv
