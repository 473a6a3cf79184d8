"""Tables as Parquet, which keeps types and is read fast however long they are; written where pyarrow is installed."""

import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_semclass.names import printable
from napari_semclass.writing import replacing


def parquet_is_known() -> bool:
    """Whether Parquet can be written here."""
    return _pyarrow() is not None


def write_parquet(path: Path, texts: Sequence[str], header: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Write a Parquet file, whole or not at all; without pyarrow, remove the one that an earlier run wrote.

    Parameters
    ----------
    path : Path
    texts : sequence of str
        Columns that hold text; all others hold numbers, or null.
    header : sequence of str
        All columns, in order.
    lines : iterable of sequences

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    arrow = _pyarrow()
    if arrow is None:
        with suppress(OSError):  # what it says is no longer true
            path.unlink()
        return
    columns: list[list[Any]] = [[] for _ in header]
    for line in lines:
        for column, value in zip(columns, line, strict=True):
            column.append(_printable(value) if isinstance(value, str) else value)
    kinds = [arrow.string() if name in texts else arrow.float64() for name in header]
    arrays = [arrow.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    content = io.BytesIO()
    arrow.parquet.write_table(arrow.Table.from_arrays(arrays, names=list(header)), content)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())


def _printable(text: str) -> str:
    return printable(text)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return None
    return pyarrow
