"""What a file says besides its pixels, read without them."""

from dataclasses import dataclass
from pathlib import Path

from napari_semclass.micrograph.formats import is_tiff, picture_facts, tiff_facts, zarr_facts
from napari_semclass.micrograph.metadata import Metadata


@dataclass(frozen=True)
class Header:
    """Height and width in pixels, what is known of each plane, and what a user should know, as in `Micrograph.note`."""

    shape: tuple[int, int]
    planes: tuple[Metadata, ...]
    note: str = ""


def read_header(path: str | Path, *, upright: bool = True) -> Header | None:
    """The header of an image file or zarr folder; None for what is none, is damaged or not there.

    Takes milliseconds: no pixels are read.

    Parameters
    ----------
    path : str or Path
    upright : bool
        As `open_micrographs` turns it; False: with rows and columns as they are stored, as other programs show them.
    """
    path = Path(path)
    try:
        if path.is_dir():
            facts = zarr_facts(path)
        else:
            facts = tiff_facts(path, upright=upright) if is_tiff(path) else picture_facts(path, upright=upright)
    except Exception:  # decoders raise anything on damaged files; whoever wants the pixels is told what is wrong
        return None
    return Header(facts.shape, facts.planes, facts.note)
