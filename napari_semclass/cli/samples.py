"""`semclass samples`: synthetic micrographs of three categories, sorted and unsorted, to try everything on."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semclass.cli import output
from napari_semclass.errors import OutputError
from napari_semclass.writing import replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SAMPLES = """\
Draw synthetic micrographs to practise on, where you have no pictures of your own at hand.

DIR gets labelled/ (to learn from) and test/ (to test with), each with a folder of pictures per category, and mosaics/,
larger micrographs on which all categories occur. Each picture is of a specimen of its own.
"""
_CATEGORIES = ("Fibres", "Nanowires", "Particles")
_SPECIMENS = {"labelled": range(6), "test": range(6, 9)}  # the seeds they are drawn from
_MOSAICS = 2
_SHAPE, _MOSAIC = (480, 640), (1024, 1536)


def add_samples(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `semclass samples` to the commands."""
    parser = commands.add_parser(
        "samples",
        help="draw synthetic micrographs to practise on",
        description=_SAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(func=samples)
    parser.add_argument("out", metavar="DIR", help="folder for the pictures; made when it is not there")


def samples(options: argparse.Namespace) -> int:
    """Draw them into the folder that the options name; return the exit status."""
    # Loaded when needed: --help must not wait for SciPy.
    from napari_semclass.samples import synthetic_micrograph, synthetic_mosaic

    folder = Path(options.out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is there already and not an empty folder; name another one.")
    for part, specimens in _SPECIMENS.items():
        for category in _CATEGORIES:
            for seed in specimens:
                pixels = synthetic_micrograph(category, _SHAPE, seed, data_bar=True)
                _write(pixels, folder / part / category / f"specimen_{seed + 1}.png")
    for seed in range(_MOSAICS):
        pixels, _ = synthetic_mosaic(_MOSAIC, seed=seed, categories=_CATEGORIES)
        _write(pixels, folder / "mosaics" / f"mosaic_{seed + 1}.png")
    labelled, test = (len(_CATEGORIES) * len(seeds) for seeds in _SPECIMENS.values())
    output.result(
        f"In {folder}: labelled/ ({labelled} pictures of {', '.join(_CATEGORIES)}), test/ ({test}) and mosaics/ "
        f"({_MOSAICS}). They are synthetic: figures on them say nothing about real micrographs."
    )
    return 0


def _write(pixels: "NDArray[np.uint8]", path: Path) -> None:
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG")
