"""Open napari with a classified micrograph, as the demo does."""

from pathlib import Path

import napari

from napari_semclass.classify import Prediction
from napari_semclass.classify.layers import label_pixels
from napari_semclass.classify.prediction import Summary
from napari_semclass.micrograph import Micrograph
from napari_semclass.viewer.dock import SemClassifier
from napari_semclass.viewer.layers import Overlay, show_result, target_of


def show_prediction(micrograph: Micrograph, prediction: Prediction) -> None:
    """Open napari with the micrograph, its overlay and the dock; returns when the window is closed."""
    viewer = napari.Viewer(title="SEM classifier")
    pixels = micrograph.pixels
    if micrograph.alpha and not micrograph.rgb:  # napari knows an opacity of colours only
        pixels = pixels[:, :][..., 0]
    layer = viewer.add_image(pixels, name=Path(micrograph.name).name, rgb=micrograph.rgb)
    cells = prediction.cells()
    data = label_pixels([cells], prediction.grid.shape, (), len(prediction.answers))
    summary = Summary.of(prediction, cells)
    show_result(viewer, Overlay(target_of(layer), [prediction], [summary], data, {}, "starter"))
    viewer.window.add_dock_widget(SemClassifier(viewer), name="SEM classifier", area="right")
    napari.run()
