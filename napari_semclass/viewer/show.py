"""Open napari with a classified micrograph, as the demo does."""

import napari

from napari_semclass.classify import Prediction
from napari_semclass.classify.layers import label_pixels
from napari_semclass.micrograph import Micrograph
from napari_semclass.viewer.dock import SemClassifier
from napari_semclass.viewer.layers import show_result, target_of


def show_prediction(micrograph: Micrograph, prediction: Prediction) -> None:
    """Open napari with the micrograph, its overlay and the dock; returns when the window is closed."""
    viewer = napari.Viewer(title="SEM classifier")
    layer = viewer.add_image(micrograph.pixels, name=micrograph.name, rgb=micrograph.rgb)
    data = label_pixels([prediction.cells()], prediction.grid.shape, (), len(prediction.categories))
    show_result(viewer, target_of(layer), [prediction], data, {}, f"{layer.name} · starter")
    viewer.window.add_dock_widget(SemClassifier(viewer), name="SEM classifier", area="right")
    napari.run()
