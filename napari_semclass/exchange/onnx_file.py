"""ONNX: the network as a graph for onnxruntime and whatever else reads ONNX."""

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_semclass.errors import ModelError, brief
from napari_semclass.exchange.agreement import Run
from napari_semclass.exchange.runnable import INPUT_NAME, OUTPUT_NAME, GreyClassifier, boundaries
from napari_semclass.model import Model
from napari_semclass.model.file import METADATA_KEY

OPSET = 18
"""The version of ONNX's operators that is written; the one torch's exporter is made for."""


def write_onnx(model: Model, path: Path) -> None:
    """Write a model as one ONNX file, with its card and the steps before it in `metadata_props`.

    Raises
    ------
    ModelError
        When torch cannot export this network.
    """
    import onnx

    size = model.card.input_size
    example = torch.zeros(2, 1, size, size)  # two, as torch takes a batch of one for a constant
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecations
        try:
            program = torch.onnx.export(
                GreyClassifier(model),
                (example,),
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("n")},),
                verbose=False,
            )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            message = f"{model.card.name}: torch cannot export {model.card.backbone} to ONNX ({brief(error)})."
            raise ModelError(message) from error
    if program is None:
        raise ModelError(f"{model.card.name}: torch gave no ONNX program for {model.card.backbone}.")
    proto = program.model_proto
    # The exporter notes where each operator comes from, with the folders of this computer.
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del part.metadata_props[:]
    for key, text in {METADATA_KEY: model.card.to_json(), **boundaries(model.card), "sha256": model.sha256}.items():
        proto.metadata_props.add(key=key, value=text)
    proto.metadata_props.add(key="names", value=json.dumps(model.card.names, ensure_ascii=False))
    proto.producer_name, proto.doc_string = "napari-semclass", model.card.description
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())


def onnx_runner(path: Path) -> Run:
    """What the file answers in onnxruntime, on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = session.run([OUTPUT_NAME], {INPUT_NAME: tiles})[0]
        return answer

    return run
