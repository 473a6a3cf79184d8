"""`python -m semclass_training.convert`: safetensors of what fastai saved, opened only if its user vouches for it.

`learn.save()` writes tensors, which are read without executing anything. `learn.export()` writes a pickle, which can
run any code when it is opened: it is refused, unless the user says that the file is to be trusted.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from fastcore.foundation import L
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as dump_tensors
from torch import Tensor

from napari_semclass.errors import ModelError, OutputError, SemclassError
from napari_semclass.model import build_network
from napari_semclass.model.tensors import read_weights
from napari_semclass.process import begin_process
from napari_semclass.writing import replacing
from semclass_training.weight_files import put_weights

TRUST = "--i-trust-this-file"
_MINUTES = 10


@dataclass(frozen=True, eq=False)
class Converted:
    """Tensors that fastai saved, under timm's names where the backbone is known.

    Attributes
    ----------
    tensors
        By name.
    categories, mean, std
        In the order of the outputs, and one number a channel; empty where the file does not say.
    head_left_out
        Whether the file has a head of fastai's own making, which no timm network has.
    """

    tensors: dict[str, Tensor]
    categories: list[str] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    std: list[float] = field(default_factory=list)
    head_left_out: bool = False


def convert(
    source: str | Path, out: str | Path, *, backbone: str = "", trusted: bool = False, overwrite: bool = False
) -> Converted:
    """Write a safetensors file of what fastai saved.

    Parameters
    ----------
    source : str or Path
        Written by `learn.save()` or `learn.export()`.
    out : str or Path
        Ends in `.safetensors`.
    backbone : str
        timm's name of the network; tensors of fastai's body get timm's names then, and are checked.
    trusted : bool
        Open the file even if that runs code in it, with the rights of this user, in a process of its own.
    overwrite : bool
        Replace `out`.

    Raises
    ------
    ModelError
        When the file holds more than tensors and is not `trusted`, cannot be read, or does not fit the backbone.
    OutputError
        When `out` is there already, or cannot be written.
    """
    source, out = Path(source), Path(out)
    if out.suffix != ".safetensors":
        raise OutputError(f"--out {out}: give a file that ends in .safetensors.")
    if out.exists() and not overwrite:
        raise OutputError(f"{out}: is there already; choose another --out, or use --overwrite.")
    found = _read(source, trusted)
    if backbone:
        found = _named(found, backbone, str(source))
    with source.open("rb") as file:
        origin = hashlib.file_digest(file, "sha256").hexdigest()
    metadata = {"made_from_sha256": origin, "categories": json.dumps(found.categories, ensure_ascii=False)}
    tensors = {name: value.contiguous().clone() for name, value in found.tensors.items()}
    with replacing(out) as temporary:
        temporary.write_bytes(dump_tensors(tensors, metadata=metadata))
    return found


def main() -> int:
    """Convert what was typed; return the exit status: 0 written, 2 nothing was."""
    about = "Write a safetensors file of what fastai saved, for semclass import or as start weights of semclass train."
    parser = argparse.ArgumentParser("python -m semclass_training.convert", description=about)
    parser.add_argument("source", metavar="FILE", help="what fastai's learn.save() or learn.export() wrote")
    parser.add_argument("--out", required=True, metavar="FILE", help="safetensors file to write")
    parser.add_argument("--backbone", default="", metavar="NAME", help="timm's name of the network, such as resnet50")
    parser.add_argument(
        TRUST,
        action="store_true",
        dest="trusted",
        help="open an export.pkl although that runs any code in it, with all your rights: only for files that you "
        "made yourself or whose maker you trust",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
    options = parser.parse_args()
    try:
        found = convert(
            options.source, options.out, backbone=options.backbone, trusted=options.trusted, overwrite=options.overwrite
        )
    except SemclassError as error:
        print(f"semclass_training.convert: error: {error}", file=sys.stderr)
        return 2
    print("\n".join(_summary(found, options.out, options.backbone)))
    return 0


def _read(source: Path, trusted: bool) -> Converted:
    try:
        # learn.save() puts the optimizer's numbers into fastcore's lists, which only hold things.
        with torch.serialization.safe_globals([(L, "fastcore.foundation.L")]):
            return Converted(read_weights(source))
    except ModelError as error:
        if not source.is_file():
            raise ModelError(f"{source}: is not a file.") from error
        if not trusted:
            raise ModelError(
                f"{source}: holds more than tensors, so opening it could run any code that is in it, and it is not "
                f"opened; if you made it yourself or trust who did, say so with {TRUST}."
            ) from error
    with tempfile.TemporaryDirectory(prefix="semclass-") as folder:
        target = Path(folder) / "tensors.safetensors"
        command = [sys.executable, "-m", "semclass_training.unpickle", str(source.resolve()), str(target)]
        try:
            ended = subprocess.run(  # noqa: S603 - as its user vouched for it
                command,
                capture_output=True,
                encoding="utf-8",
                errors="backslashreplace",
                stdin=subprocess.DEVNULL,
                timeout=60 * _MINUTES,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{source}: fastai could not open it within {_MINUTES} minutes.") from error
        lines = ended.stderr.strip().splitlines()
        said = (lines or [f"exit status {ended.returncode}"])[-1][:300]
        try:  # not by its exit status: the file has had that process to itself
            with safe_open(target, framework="pt") as file:
                known: dict[str, Any] = json.loads((file.metadata() or {})["fastai"])
            return Converted(read_weights(target), **known)
        except (OSError, SafetensorError, SemclassError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{source}: fastai could not open it ({said}).") from error


def _named(found: Converted, backbone: str, source: str) -> Converted:
    """The tensors under timm's names; fastai numbers a network's layers, and puts a head of its own behind them."""
    network = build_network(backbone, 2, "--backbone")
    layers = [name for name, _ in network.named_children()]
    if not all(name.startswith(("0.", "1.")) for name in found.tensors):
        put_weights(network, found.tensors, source)
        return found
    tensors = {}
    for name, value in found.tensors.items():
        part, *rest = name.split(".")
        if part == "1":
            continue
        if rest[0].isdecimal() and int(rest[0]) < len(layers):
            rest[0] = layers[int(rest[0])]
        tensors[".".join(rest[1:] if rest[0] == "model" else rest)] = value
    put_weights(network, tensors, source)
    return Converted(tensors, found.categories, found.mean, found.std, head_left_out=True)


def _summary(found: Converted, out: str, backbone: str) -> list[str]:
    lines = [f"{out}: {len(found.tensors):,} tensors."]
    if found.categories:
        lines.append(f"Categories: {', '.join(found.categories)}.")
    if found.head_left_out:
        lines.append(
            "The last layers are fastai's own and not part of timm's network, so they were left out. Train new ones on "
            f"your pictures: semclass train DATA --out MODEL --set backbone={backbone} --set pretrained={out}"
        )
        return lines
    numbers = "".join(f" --{key} {' '.join(f'{x:g}' for x in getattr(found, key))}" for key in ("mean", "std"))
    names = f'"{",".join(found.categories)}"' if found.categories else "FILE"
    given = numbers if found.mean else ""
    command = f"semclass import {out} --backbone {backbone or 'NAME'} --categories {names}{given} --out MODEL"
    return [*lines, f"To make a model of it: {command}"]


if __name__ == "__main__":
    begin_process()
    sys.exit(main())
