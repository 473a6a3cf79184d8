"""`semclass info`: what files say about themselves, as a table or as JSON: pixel size, data bar, instrument."""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from napari_semclass.cli import output
from napari_semclass.errors import SemclassError, SettingsError
from napari_semclass.names import printable

if TYPE_CHECKING:
    from napari_semclass.classify.inputs import Input
    from napari_semclass.micrograph import Micrograph

_INFO = """\
Say what micrographs are: size, pixel size and where it stands, data bar, instrument.

PATH is an image file, a folder (with all below it) or a pattern such as 'a/*.tif'. What is missing or contradicts
itself is a warning.
"""
_EXIT = "Exit status: 0 all files were read, 1 some could not be, 2 nothing was found."


@dataclass(frozen=True)
class Info:
    """What is printed about one file; the fields are the keys of its JSON object.

    `pixel_size` is [y, x] in metres; `data_bar` lists the rows [start, stop) of each bar of the first plane, and
    `data_bar_confidence` is that of the least certain of them (1.0: known from metadata), None without a bar.
    """

    file: str
    width: int | None = None
    height: int | None = None
    planes: int | None = None
    dtype: str | None = None
    vendor: str = ""
    pixel_size: tuple[float, float] | None = None
    pixel_size_source: str = ""
    data_bar: list[tuple[int, int]] = field(default_factory=list)
    data_bar_confidence: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error: str | None = None


def add_info(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `semclass info` to the commands."""
    parser = commands.add_parser(
        "info",
        help="pixel size, data bar and instrument of files",
        description=_INFO,
        epilog=_EXIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(func=info)
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="image file, folder or pattern")
    add("--json", action="store_true", help="print a JSON list with one object per file")


def info(options: argparse.Namespace) -> int:
    """Print what the options' files say; return the exit status."""
    # Loaded when needed: --help must not wait for NumPy.
    from napari_semclass.classify.inputs import find_inputs
    from napari_semclass.micrograph import SUFFIXES

    inputs = find_inputs(options.paths, os.devnull)  # results of earlier runs are looked into as well
    if not inputs:
        where = ", ".join(options.paths)
        raise SettingsError(f"{where}: no images found; looked for {' '.join(SUFFIXES)} in it and below.")
    found = [info_of(each) for each in inputs]
    if options.json:
        output.result(json.dumps([asdict(each) for each in found], indent=1, allow_nan=False))
    else:
        _print_table(found)
    output.check_delivered()
    return 1 if any(each.error for each in found) else 0


def info_of(source: "Input") -> Info:
    """What a file says, or why it could not be read."""
    from napari_semclass.micrograph import open_micrographs

    try:
        micrographs = open_micrographs(source.path)
        first = micrographs[0]
        bars = first.data_bars
        more = _more_warnings(micrographs)
    except SemclassError as error:
        reason = str(error).removeprefix(f"{source.path}: ")
        return Info(source.file, error=printable(reason))
    known = first.metadata
    return Info(
        source.file,
        width=first.shape[1],
        height=first.shape[0],
        planes=len(micrographs),
        dtype=str(first.pixels.dtype),
        vendor=known.vendor,
        pixel_size=known.pixel_size,
        pixel_size_source=known.pixel_size_source,
        data_bar=[(bar.start, bar.stop) for bar in bars],
        data_bar_confidence=min((bar.confidence for bar in bars), default=None),
        metadata=known.summary(),
        warnings=[*known.warnings, *more],
    )


def _more_warnings(micrographs: "Sequence[Micrograph]") -> list[str]:
    """What the pixels and the other planes give reason to warn of."""
    import numpy as np

    from napari_semclass.micrograph import find_marks
    from napari_semclass.micrograph.micrograph import LARGEST_FIELD_PX

    first = micrographs[0]
    height, width = first.shape
    warnings = [first.note[:1].upper() + first.note[1:] + "."] if first.note else []
    if height * width > LARGEST_FIELD_PX:
        warnings.append("A mosaic: larger than one field of view, and not searched for a data bar.")
    else:
        pixels = first.read(0, height, 0, width)
        held = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
        if held.size and held.min() == held.max():
            warnings.append(f"The picture is blank: every pixel is {held.flat[0]:g}.")
    if first.void_note:
        warnings.append(f"{first.void_note[:1].upper()}{first.void_note[1:]}.")
    marks = find_marks(first)
    if marks:
        kinds = " and ".join(dict.fromkeys(mark.kind for mark in marks))
        rows = f"{min(mark.box[0] for mark in marks)}-{max(mark.box[2] for mark in marks)}"
        warnings.append(f"Marks ({kinds}) seem to be drawn over the specimen, in rows {rows}.")
    if any(other.metadata.pixel_size != first.metadata.pixel_size for other in micrographs):
        warnings.append("Planes have different pixel sizes; that of the first is given.")
    return warnings


def _print_table(found: Sequence[Info]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("file", "size", "type", "instrument", "pixel size", "from", "data bar"):
        table.add_column(title, overflow="fold")
    for each in found:
        table.add_row(*(Text(cell) for cell in _cells(each)))
    output.table_console().print(table)
    for each in found:
        for text in [each.error] if each.error else each.warnings:
            output.result(f"{each.file}: {'error: ' if each.error else ''}{text}")


def _cells(each: Info) -> list[str]:
    if each.error:
        return [each.file, *["-"] * 6]
    planes = f" x {each.planes}" if each.planes and each.planes > 1 else ""
    known = each.metadata
    volts = f"{known['voltage'] / 1e3:g} kV" if known["voltage"] else ""
    bars = ", ".join(f"{start}-{stop}" for start, stop in each.data_bar)
    certain = f" ({100 * each.data_bar_confidence:.0f} %)" if each.data_bar_confidence is not None else ""
    return [
        each.file,
        f"{each.width} x {each.height}{planes}",
        each.dtype or "",
        ", ".join(filter(None, (each.vendor, known["instrument"], known["detector"], volts))) or "-",
        _pixel_text(each.pixel_size),
        each.pixel_size_source or "-",
        f"{bars}{certain}" if bars else "none",
    ]


def _pixel_text(size: tuple[float, float] | None) -> str:
    from napari_semclass.micrograph import length_text

    if size is None:
        return "unknown"
    y, x = size
    return length_text(x) if x == y else f"{length_text(x)} x {length_text(y)}"
