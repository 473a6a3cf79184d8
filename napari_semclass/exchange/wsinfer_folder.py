"""A folder that WSInfer reads (and QuPath's extension for it): config.json and a TorchScript file."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_semclass.errors import ModelError, SettingsError, brief
from napari_semclass.exchange.agreement import Run
from napari_semclass.exchange.runnable import ColourClassifier
from napari_semclass.model import Card, Model

NETWORK_FILE = "torchscript_model.pt"
CONFIG_FILE = "config.json"


def write_wsinfer(model: Model, folder: Path, pixel_size: float | None) -> None:
    """Write config.json, torchscript_model.pt and a README.md that says what WSInfer cannot know into a folder.

    Parameters
    ----------
    model : Model
    folder : Path
        Must exist.
    pixel_size : float or None
        Metres, for which the model's tiles are meant; None takes the middle of what the card says.

    Raises
    ------
    SettingsError
        When neither says a pixel size, which WSInfer cannot do without.
    ModelError
        When torch cannot trace this network.
    """
    card = model.card
    config = wsinfer_config(card, pixel_size or _usual_pixel_size(card))
    example = torch.zeros(2, 3, card.input_size, card.input_size)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # that TorchScript is deprecated is said in README.md
        try:
            traced = torch.jit.trace(ColourClassifier(model), example)  # type: ignore[no-untyped-call]
            traced.save(folder / NETWORK_FILE)
        except RuntimeError as error:
            raise ModelError(f"{card.name}: torch cannot trace {card.backbone} ({brief(error)}).") from error
    text = json.dumps(config, indent=2, ensure_ascii=False)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_readme(model, config), encoding="utf-8")


def wsinfer_config(card: Card, pixel_size: float) -> dict[str, Any]:
    """What WSInfer is told of a model, by its schema 1.0; `pixel_size` in metres."""
    steps = card.preprocessing
    return {
        "spec_version": "1.0",
        "architecture": card.backbone,
        "num_classes": len(card.categories),
        "patch_size_pixels": card.tile,
        "spacing_um_px": float(f"{pixel_size * 1e6:.6g}"),
        "class_names": list(card.names),
        "transform": [
            {"name": "Resize", "arguments": {"size": card.input_size}},
            {"name": "ToTensor"},
            {"name": "Normalize", "arguments": {"mean": [steps.mean] * 3, "std": [steps.std] * 3}},
        ],
    }


def wsinfer_runner(folder: Path) -> Run:
    """What the folder answers after `torch.jit.load`, with the transform and the softmax that WSInfer does."""
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    normalise = config["transform"][-1]["arguments"]
    mean, std = (np.array(normalise[key], np.float32)[:, None, None] for key in ("mean", "std"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = torch.jit.load(folder / NETWORK_FILE, map_location="cpu")  # type: ignore[no-untyped-call]

    def run(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        colour = torch.from_numpy((tiles.repeat(3, axis=1) - mean) / std)
        with torch.inference_mode():
            answer: NDArray[np.float32] = torch.softmax(network(colour), dim=1).numpy()
        return answer

    return run


def _usual_pixel_size(card: Card) -> float:
    if card.pixel_size_range is None:
        raise SettingsError(
            f"{card.name}: WSInfer needs a pixel size and the model's card has none; give it with --pixel-size, "
            "in nanometres."
        )
    smallest, largest = card.pixel_size_range
    return float(np.sqrt(smallest * largest)) * card.input_size / card.tile


def _readme(model: Model, config: dict[str, Any]) -> str:
    card, steps = model.card, model.card.preprocessing
    return (
        f"# {card.title}\n\n{card.description}\n\nWritten by napari-semclass for WSInfer (config 1.0).\n\n"
        f"- {NETWORK_FILE} is TorchScript, because WSInfer reads nothing else. PyTorch has deprecated TorchScript: "
        "keep the .safetensors model, and use ONNX or torch.export where you can.\n"
        f"- WSInfer scales 8-bit pixels by 1/255. The model was made for grey levels whose "
        f"{steps.low_percentile:g}th and {steps.high_percentile:g}th percentile, over the whole micrograph without its "
        "data bar, are 0 and 1: stretch micrographs so before, or answers differ from napari-semclass.\n"
        f"- Patches are {card.tile} pixels at {config['spacing_um_px']:g} um per pixel; WSInfer rescales other images "
        "to that.\n"
        f"- Categories: {', '.join(card.names)}. One of them is always answered.\n"
        f"- SHA-256 of the model: {model.sha256}\n"
        f"- Licence: {card.licence or 'not stated'}. Credit: {card.credit or 'not stated'}.\n"
    )
