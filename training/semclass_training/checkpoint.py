"""What a run needs to go on: written whole after each epoch, read without running code."""

import io
from dataclasses import asdict
from pathlib import Path

import torch

from napari_semclass.errors import ModelError, brief
from napari_semclass.writing import replacing
from semclass_training.stages import Memory, Position


def write_memory(memory: Memory, path: Path) -> None:
    """Write a checkpoint.

    Raises
    ------
    OutputError
        When it cannot be written, such as for want of space; the one before stays.
    """
    content = {**vars(memory), "position": asdict(memory.position)}
    buffer = io.BytesIO()  # torch hides the system's error of a full disk in one of its own
    torch.save(content, buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_memory(path: Path) -> Memory | None:
    """Read a checkpoint; None where there is none.

    Raises
    ------
    ModelError
        When it is damaged.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Memory(**{**content, "position": Position(**content["position"])})
    except Exception as error:  # torch raises anything on damaged files
        raise ModelError(f"{path}: the checkpoint cannot be read ({brief(error)}); start the run anew.") from error
