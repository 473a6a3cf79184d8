"""Which parts of a tile speak for a category: a class-activation map."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.transform import resize

from napari_semclass.errors import ModelError, SettingsError
from napari_semclass.micrograph import Micrograph, grey_range
from napari_semclass.model import Model
from napari_semclass.model.preprocess import network_input, square


def class_activation(
    model: Model,
    micrograph: Micrograph,
    box: tuple[int, int, int, int],
    category: int | None = None,
    *,
    tile: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How much each pixel of a tile speaks for a category.

    Gradients of the category's score weigh the network's last feature maps. Of a network that averages these maps
    and ends in a linear classifier, this is the class-activation map itself.

    Parameters
    ----------
    model : Model
    micrograph : Micrograph
    box : (int, int, int, int)
        `(y0, x0, y1, x1)` of the tile, in level-0 pixels.
    category : int, optional
        Index of the category; the most likely one when left out.
    tile : int, optional
        Side of a full tile in pixels, up to which a smaller box at the edge is mirrored, as classifying does; the
        model's when left out.

    Returns
    -------
    heat : array (y1 - y0, x1 - x0), float32
        0 where nothing speaks for it, 1 where most does.
    probabilities : array (categories,), float32

    Raises
    ------
    ModelError
        When the network's last features are no maps.
    SettingsError
        When there is no such category.

    Notes
    -----
    Source: Selvaraju et al., Grad-CAM, ICCV 2017; Zhou et al., Learning Deep Features for Discriminative Localization,
    CVPR 2016.
    """
    if category is not None and not 0 <= category < len(model.card.categories):
        raise SettingsError(f"there is no category number {category}; the model has {len(model.card.categories)}.")
    y0, x0, y1, x1 = box
    steps = model.card.preprocessing
    levels = grey_range(micrograph, steps.low_percentile, steps.high_percentile)
    side = max(tile or model.card.tile, y1 - y0, x1 - x0)
    pixels = square(levels.normalise(micrograph.read(y0, y1, x0, x1)), side)
    network = copy.deepcopy(model.network).cpu().eval()  # others may be classifying with it, elsewhere
    with torch.enable_grad():
        maps = network.forward_features(network_input(torch.from_numpy(pixels)[None], model.card))  # type: ignore[operator]
        if maps.ndim != 4 or str(getattr(network, "output_fmt", "NCHW")).endswith("NHWC"):
            raise ModelError(f"model {model.card.name}: its network has no feature maps to show what speaks for what.")
        maps = maps.detach().requires_grad_(True)
        logits = network.forward_head(maps)[0]  # type: ignore[operator]
        chosen = int(logits.argmax()) if category is None else category
        (gradient,) = torch.autograd.grad(logits[chosen], maps)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    heat = torch.relu((weights * maps).sum(dim=1))[0].detach().numpy()
    probabilities = torch.softmax(logits / model.card.temperature, dim=0).detach().numpy()
    whole = resize(heat, (side, side), order=1, mode="edge", anti_aliasing=False)
    top, left = (side - (y1 - y0)) // 2, (side - (x1 - x0)) // 2
    shown = whole[top : top + y1 - y0, left : left + x1 - x0]
    return (shown / max(float(shown.max()), 1e-12)).astype(np.float32), probabilities.astype(np.float32)
