"""torch.export: the network as a graph that torch loads without this program and without timm."""

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_semclass.errors import ModelError, brief
from napari_semclass.exchange.agreement import Run
from napari_semclass.exchange.runnable import GreyClassifier, boundaries
from napari_semclass.model import Model
from napari_semclass.model.file import METADATA_KEY

CARD_FILE = f"{METADATA_KEY}.json"
BOUNDARIES_FILE = "preprocessing.json"


def write_torch(model: Model, path: Path) -> None:
    """Write a model as one `.pt2` file, with its card and the steps before it as extra files.

    Raises
    ------
    ModelError
        When torch cannot export this network.
    """
    size = model.card.input_size
    example = torch.zeros(2, 1, size, size)
    try:
        program = torch.export.export(
            GreyClassifier(model), (example,), dynamic_shapes=({0: torch.export.Dim("n")},), strict=False
        )
    except RuntimeError as error:
        raise ModelError(f"{model.card.name}: torch cannot export {model.card.backbone} ({brief(error)}).") from error
    # Else the file names the folders of this computer.
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    extra = {
        CARD_FILE: model.card.to_json(),
        BOUNDARIES_FILE: json.dumps(boundaries(model.card) | {"sha256": model.sha256}, ensure_ascii=False),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, path, extra_files=extra)


def torch_runner(path: Path) -> Run:
    """What the file answers after `torch.export.load`, on the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = torch.export.load(path).module()

    def run(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            answer: NDArray[np.float32] = network(torch.from_numpy(tiles)).numpy()
        return answer

    return run
