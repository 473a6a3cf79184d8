"""Which of timm's networks learn at which sizes? A step of training of each family's smallest, from random weights.

    python benchmarks/backbones.py [--size 64] [--size 128] [--size 224] [--name vit_tiny_patch16_224 ...]

For each network and size: refused in a sentence, or one step (forward, backward, AdamW), saved, loaded, and the same
answers. Then whether what is learned at one size is carried to the next. Prints a Markdown table.
"""

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch

from napari_semclass.errors import SemclassError, brief
from napari_semclass.model import Card, Category, Preprocessing, build_network, save_model
from napari_semclass.model.input_sizes import network_at, refuse_sizes

NAMES = (
    *("resnet18", "resnetv2_18", "convnext_atto", "convnextv2_atto", "efficientnet_b0", "tf_efficientnetv2_b0"),
    *("mobilenetv3_small_050", "mobilenetv4_conv_small_035", "regnetx_002", "mambaout_femto", "vit_tiny_patch16_224"),
    *("deit_tiny_patch16_224", "deit3_small_patch16_224", "deit_tiny_distilled_patch16_224"),
    *("vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2", "vit_tiny_patch16_dinov3_qkvb"),
    *("convnext_tiny.dinov3_lvd1689m", "eva02_tiny_patch14_224", "swin_tiny_patch4_window7_224"),
    *("swinv2_tiny_window8_256", "swinv2_cr_tiny_224", "maxvit_pico_rw_256", "maxxvit_rmlp_nano_rw_256"),
    *("beit_base_patch16_224", "coatnet_nano_cc_224", "coatnet_nano_rw_224", "coat_lite_tiny", "vit_tiny_r_s16_p8_224"),
    *("vit_small_r26_s32_224", "mobilevit_xxs", "xcit_nano_12_p16_224", "pvt_v2_b0", "cait_xxs24_224", "levit_128s"),
    *("mixer_s32_224",),
)
SIZES = (64, 128, 224)
_CATEGORIES = tuple(Category(name, color) for name, color in (("a", "#e69f00"), ("b", "#56b4e9"), ("c", "#009e73")))


def step(network: torch.nn.Module, size: int) -> None:
    """One step of training on noise."""
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-4)
    loss = torch.nn.functional.cross_entropy(network(torch.rand(2, 3, size, size)), torch.tensor([0, 2]))
    torch.autograd.backward(loss)
    optimiser.step()
    if not torch.isfinite(loss):
        raise ValueError(f"the loss is {float(loss)}")
    network.eval()


def kept(network: torch.nn.Module, backbone: str, size: int, folder: Path) -> None:
    """Save and load; the answers must be the same."""
    card = Card(
        name="trial", title="Trial", description="", backbone=backbone, unit="tile", tile=size, input_size=size,
        categories=_CATEGORIES, preprocessing=Preprocessing(mean=0.5, std=0.25),
    )  # fmt: skip
    model = save_model(network, card, folder / "m.safetensors", half=False)
    picture = torch.rand(2, 3, size, size)
    with torch.inference_mode():
        torch.testing.assert_close(model.network(picture), network(picture), atol=1e-4, rtol=1e-3)


def outcomes(backbone: str, sizes: tuple[int, ...], folder: Path) -> tuple[list[str], str]:
    """What comes of each size, and of going through those that it can."""
    cells, possible = [], []
    for size in sizes:
        try:
            refuse_sizes(backbone, [size], "the plan")
            network = build_network(backbone, len(_CATEGORIES), size=size)
            step(network, size)
            kept(network, backbone, size, folder)
        except SemclassError as error:
            cells.append(str(error).partition("; ")[2].rstrip(".") or str(error))
        except Exception as error:  # what this is to find
            cells.append(f"FAILED: {brief(error)}")
        else:
            cells.append("yes")
            possible.append(size)
    return cells, _carried(backbone, possible) if len(possible) > 1 else ""


def _carried(backbone: str, sizes: list[int]) -> str:
    try:
        refuse_sizes(backbone, sizes, "the plan")
        network = build_network(backbone, len(_CATEGORIES), size=sizes[0])
        for old, size in pairwise(sizes):
            network = network_at(network, backbone, old, size)
            step(network, size)
    except SemclassError as error:
        return str(error).partition("; ")[2].rstrip(".")
    except Exception as error:  # what this is to find
        return f"FAILED: {brief(error)}"
    return "yes"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", action="append", help="timm's name of a network")
    parser.add_argument("--size", action="append", type=int, help="side of the pictures, px")
    options = parser.parse_args()
    sizes = tuple(options.size or SIZES)
    print("|".join(["", " backbone ", *(f" {size} px " for size in sizes), " one after another ", " s of CPU ", ""]))
    print("|" + "---|" * (len(sizes) + 3))
    with tempfile.TemporaryDirectory() as folder:
        for backbone in options.name or NAMES:
            torch.manual_seed(0)
            begun = time.process_time()
            cells, carried = outcomes(backbone, sizes, Path(folder))
            seconds = f"{time.process_time() - begun:.0f}"
            print("| " + " | ".join([f"`{backbone}`", *cells, carried, seconds]) + " |", flush=True)


if __name__ == "__main__":
    main()
