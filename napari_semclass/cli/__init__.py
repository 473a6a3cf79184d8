"""The command line, `semclass …`: reads what was typed, calls the core, and turns its errors into sentences."""

import argparse
from collections.abc import Sequence

import napari_semclass
from napari_semclass.cli import output
from napari_semclass.cli.arguments import auto_off_or_share, micrometres, pixel_size, positive
from napari_semclass.cli.audit import add_audit
from napari_semclass.cli.evaluate import add_evaluate
from napari_semclass.cli.exchange import add_export, add_import
from napari_semclass.cli.info import add_info
from napari_semclass.cli.learn import add_learn
from napari_semclass.cli.models import add_models
from napari_semclass.cli.samples import add_samples
from napari_semclass.cli.train import add_train
from napari_semclass.errors import SemclassError
from napari_semclass.memory import keep_freed_memory
from napari_semclass.names import printable
from napari_semclass.process import CTRL_C, StopSignal, begin_process, on_ending_signals, stop_here, unfailing_streams

_CLASSIFY = """\
Classify SEM micrographs, tile by tile or as a whole.

For each micrograph DIR gets an overlay (.overlay.png) and, unless --whole, a table of its tiles (.tiles.csv) and
their areas as shapes (.geojson); for all together summary.csv, summary.parquet (where pyarrow is installed) and
run.json. Outputs mirror the folders given.
Running the same command again goes on where it stopped and classifies what is new, changed or failed.
"""
_EXIT = """\
Exit status: 0 all well, 1 some files failed (see summary.csv), 2 nothing could be done, 130 stopped with Ctrl-C,
143 ended by SIGTERM.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `semclass` with these arguments (default: those of the process); return its exit status.

    Where stdout or stderr cannot be written to, the work goes on, and the status is that of the work.
    """
    if arguments is not None:
        with unfailing_streams():
            return _main(arguments)
    # The process is the command's own.
    begin_process()
    on_ending_signals(stop_here)
    keep_freed_memory()
    return _main(None)


def _main(arguments: Sequence[str] | None) -> int:
    again = ""
    try:
        options = _options(arguments)
        if options.continues:
            again = "; run the same command again to go on from there"
        status: int = options.func(options)
        output.mention_loss()
        return status
    except SemclassError as error:
        output.message(f"semclass: error: {printable(str(error))}")
        return 2
    except KeyboardInterrupt as stop:
        output.message(f"semclass: stopped{again}.")
        return stop.status if isinstance(stop, StopSignal) else CTRL_C


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    try:
        return _parser().parse_args(arguments)
    except SystemExit as end:
        if not end.code:  # --help or --version, which were printed and are all there is
            output.check_delivered()
        raise


def _classify(options: argparse.Namespace) -> int:
    from napari_semclass.cli.classify import classify  # loaded when needed: --help must not wait for torch

    return classify(options)


def _demo(options: argparse.Namespace) -> int:
    from napari_semclass.cli.demo import demo

    return demo(options.out, viewer=not options.no_viewer)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("semclass", description="Classify SEM micrographs and their tiles.")
    parser.set_defaults(continues=False)
    parser.add_argument("--version", action="version", version=f"semclass {napari_semclass.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_classify(commands)
    add_info(commands)
    add_audit(commands)
    add_learn(commands)
    add_train(commands)
    add_evaluate(commands)
    add_export(commands)
    add_import(commands)
    add_models(commands)
    add_samples(commands)
    demo = commands.add_parser("demo", help="classify a synthetic mosaic and show the result in napari")
    demo.add_argument("--out", metavar="DIR", default="semclass-demo", help="output folder (default: %(default)s)")
    demo.add_argument("--no-viewer", action="store_true", help="do not open napari")
    demo.set_defaults(func=_demo)
    return parser


def _add_classify(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "classify",
        help="classify files and folders",
        description=_CLASSIFY,
        epilog=_EXIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(func=_classify, continues=True)
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="image file, folder (with all below it) or pattern such as 'a/*.tif'")
    add("--out", required=True, metavar="DIR", help="folder for the results; made when it is not there")
    add("--model", default="starter", metavar="NAME|FILE", help="name (see semclass models) or file of a model")
    add("--tile", type=positive, metavar="N", help="side of a tile in pixels (default: the model's)")
    add("--stride", type=positive, metavar="N", help="pixels from one tile to the next (default: the tile)")
    add("--tile-um", type=micrometres, metavar="L", help="side of a tile in micrometres, where pixel sizes are known")
    add("--stride-um", type=micrometres, metavar="L", help="micrometres from one tile to the next (default: the tile)")
    add(
        "--pixel-size",
        type=pixel_size,
        metavar="L",
        help="size of a pixel in nanometres, or with a unit, of pictures that do not say it",
    )
    add("--whole", action="store_true", help="classify each picture as a whole instead of its tiles")
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help="where to compute (default: auto)")
    add(
        "--precision",
        default="auto",
        choices=("auto", "fp32", "bf16", "fp16"),
        help="number format of the network (default: auto: float32, or lower where faster here with the same answers)",
    )
    add(
        "--runtime",
        default="auto",
        choices=("auto", "torch", "openvino"),
        help="what computes the network (default: auto: torch, or OpenVINO where installed and faster with the same "
        "answers)",
    )
    add("--dihedral", action="store_true", help="average over flips and turns of each tile: eight times the work")
    add("--keep-data-bar", action="store_true", help="classify the data bar, too, instead of leaving it out")
    add(
        "--reject",
        default="auto",
        type=auto_off_or_share,
        metavar="auto|off|C",
        help="when to answer unknown: below the confidence C (0 to 1) or unlike the model's training; auto: by the "
        "model's own measure; off: never (default: auto)",
    )
    add("--batch", type=positive, metavar="N", help="tiles computed at once; halved by itself when memory runs out")
    add("--workers", type=positive, metavar="N", help="share the files among N processes on this computer")
    add("--cluster", metavar="ADDRESS", help="share the files among the workers of a Dask scheduler (docs/cluster.md)")
    add("--overwrite", action="store_true", help="classify again what is done, also with another model or settings")
