"""`semclass export` and `semclass import`: models for other programs, and other programs' weights as models."""

import argparse
from pathlib import Path

from napari_semclass.cli import output
from napari_semclass.cli.arguments import model_file, pixel_size, positive
from napari_semclass.errors import SettingsError
from napari_semclass.names import confusable, differing, text_of_path

_EXPORT = """\
Write a model for another program's runtime, load it there, and compare its probabilities with the original's on
generated tiles. Where they differ by more than 0.001 nothing is kept.

onnx        model.onnx: grey tiles in [0, 1] to probabilities, operators of ONNX opset 18
torch       model.pt2: the same for torch.export.load, without timm and this program
bioimageio  model.zip: a package for bioimage.io, with ONNX weights
wsinfer     a folder for WSInfer and QuPath's extension for it; TorchScript, which PyTorch has deprecated
"""
_IMPORT = """\
Make a model of weights that timm or torchvision trained (a .safetensors file, or a state dict saved by torch, of
which only tensors are read) and a list of categories in the order of the network's outputs. Tensors that do not fit
the network are named. torchvision's weights are recognised, translated, and kept only where the network answers as
torchvision's does on generated pictures, within 0.0001. fastai's export.pkl is refused: see
python -m semclass_training.convert --help.
"""


def add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `semclass export` to the commands."""
    parser = commands.add_parser(
        "export",
        help="write a model for ONNX, torch.export, bioimage.io or WSInfer",
        description=_EXPORT,
        epilog="Exit status: 0 written and agreed, 2 nothing was written.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(func=export)
    add = parser.add_argument
    add("model", metavar="MODEL", help="name (see semclass models) or file of a model")
    add("--to", required=True, choices=("onnx", "torch", "bioimageio", "wsinfer"), help="the format")
    add("--out", required=True, metavar="PATH", help="file to write (.onnx, .pt2, .zip); for wsinfer a folder")
    add("--pixel-size", type=pixel_size, metavar="L", help="nanometres per pixel, for wsinfer (default: the model's)")
    add("--overwrite", action="store_true", help="replace an export that is there already")


def add_import(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `semclass import` to the commands."""
    parser = commands.add_parser(
        "import",
        help="make a model of timm's or torchvision's weights",
        description=_IMPORT,
        epilog="Exit status: 0 the model is written, 2 nothing could be imported.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(func=import_)
    add = parser.add_argument
    add("weights", metavar="WEIGHTS", help=".safetensors file, or a state dict saved by torch (.pth, .pt)")
    add("--backbone", required=True, metavar="NAME", help="network's name in timm or torchvision, such as vit_b_16")
    add("--categories", required=True, metavar="FILE|A,B,...", help="text file, one name a line; or names, with commas")
    add("--out", required=True, metavar="MODEL", help="model file to write (.safetensors), or a name to find it by")
    add("--tile", type=positive, metavar="N", help="side of a tile in pixels (default: the input size)")
    add(
        "--input-size",
        type=positive,
        metavar="N",
        help="side of the network's input (default: timm's or torchvision's)",
    )
    add("--mean", type=float, nargs="+", default=[], metavar="X", help="of grey levels in [0, 1]; one number or three")
    add("--std", type=float, nargs="+", default=[], metavar="X", help="standard deviation, in the same way")
    add("--title", default="", help="what viewers call the model (default: its name)")
    add("--overwrite", action="store_true", help="replace a model that is there already")


def export(options: argparse.Namespace) -> int:
    """Export as the options say; return the exit status."""
    # Loaded when needed: --help must not wait for torch.
    from napari_semclass.exchange import export_model
    from napari_semclass.model import load_model

    model = load_model(options.model)
    done = export_model(model, options.out, options.to, pixel_size=options.pixel_size, overwrite=options.overwrite)
    output.result(f"{done.path}: {done.about}.")
    output.result(f"Probabilities differ from the original's by at most {done.difference:.2g} on generated tiles.")
    return 0


def import_(options: argparse.Namespace) -> int:
    """Import as the options say; return the exit status."""
    from napari_semclass.exchange import import_weights

    out = model_file(options.out)
    done = import_weights(
        options.weights,
        out,
        backbone=options.backbone,
        categories=_categories(options.categories),
        tile=options.tile,
        input_size=options.input_size,
        mean=options.mean,
        std=options.std,
        title=options.title,
        overwrite=options.overwrite,
    )
    card = done.model.card
    steps = card.preprocessing
    output.result(
        f"{card.backbone} with {len(card.categories)} categories; tiles of {card.tile} px, "
        f"input {card.input_size} px, mean {steps.mean:g}, standard deviation {steps.std:g}."
    )
    if done.torchvision_difference is not None:
        output.result(
            f"Recognised as torchvision's {done.torchvision}: logits differ from its own network's by at most "
            f"{done.torchvision_difference:.2g} on generated pictures."
        )
    if done.grey_difference is not None:
        output.result(
            "Grey tiles are standardised alike in all three channels: probabilities change by at most "
            f"{done.grey_difference:.2g} on generated tiles."
        )
    for forms in confusable(card.names):
        output.result(f"{differing(forms)}, and are {len(forms)} categories; give them one name if they are the same.")
    output.result(f"Not tested here: semclass evaluate says how good it is on your pictures.\n{text_of_path(out)}")
    return 0


def _categories(text: str) -> list[str]:
    path = Path(text)
    if "," in text and not path.is_file():
        return text.split(",")
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        message = f"--categories {text}: is neither a text file nor a list of names with commas."
        raise SettingsError(message) from error
