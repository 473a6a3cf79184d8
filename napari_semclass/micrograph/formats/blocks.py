"""How much a file may make us unpack at once."""

from math import prod
from pathlib import Path
from typing import Any

from napari_semclass.errors import MicrographError

LARGEST_BLOCK_BYTES = 1 << 30
"""What a file may make us unpack at once: so much, or as much as the file itself is long."""


def refuse_huge_blocks(array: Any, path: Path, size: int = 0) -> None:
    """Refuse blocks of which a single one would fill the memory; `size` (bytes) is the file's own length."""
    first = [edge[0] if isinstance(edge, tuple) else edge for edge in array.chunks]
    block = prod(int(length) for length in first) * array.dtype.itemsize
    if block > max(LARGEST_BLOCK_BYTES, size):
        raise MicrographError(
            f"{path}: is stored in blocks of {block / 1e9:,.1f} GB, too large to unpack one; save it in smaller chunks."
        )
