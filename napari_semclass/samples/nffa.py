"""A few real micrographs of the NFFA-EUROPE SEM data set, taken out of its smallest archive."""

import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

from napari_semclass.downloads import Download, fetch
from napari_semclass.errors import DownloadError

ARCHIVE = "nffa-fibres.tar"
_PICTURES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}
_LARGEST = 64 * 2**20


def nffa_examples(
    confirm: Callable[[Download], bool],
    count: int = 6,
    folder: Path | None = None,
    registry: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[str, Path]]:
    """Fetch real micrographs of fibres, downloading their archive the first time.

    Parameters
    ----------
    confirm
        Asked before the first download, see `napari_semclass.downloads.fetch`.
    count
        How many pictures to take out, the first ones in the archive.
    folder
        Where archive and pictures are kept; the user's cache folder if None.
    registry
        Another list of downloads than the one that ships with the package.
    progress
        Told the bytes received and the bytes expected (0 if unknown) while downloading.

    Returns
    -------
    list of (name, path)
        What to call a picture, and its file; CC BY 4.0, Aversa et al., Sci. Data 5, 180172 (2018).

    Raises
    ------
    DownloadError
        If the archive cannot be fetched or is damaged.
    """
    archive = fetch(ARCHIVE, confirm=confirm, folder=folder, registry=registry, progress=progress)
    target = archive.parent / archive.stem
    try:
        pictures = _extract(archive, target, count)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DownloadError(f"The archive {archive} is damaged ({error}); delete it to download it again.") from error
    except OSError as error:
        raise DownloadError(f"The pictures in {archive} could not be unpacked to {target}: {error}.") from error
    if not pictures:
        raise DownloadError(f"The archive {archive} holds no pictures; check its entry in the list of downloads.")
    return [(f"NFFA {path.stem}", path) for path in pictures]


def _extract(archive: Path, target: Path, count: int) -> list[Path]:
    """Copy the first pictures out of the archive under their bare file names, so that none can leave `target`."""
    pictures: list[Path] = []
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            if len(pictures) == count:
                break
            name = PureWindowsPath(member.name)  # knows both separators, whichever system this is
            content = tar.extractfile(member) if name.suffix.lower() in _PICTURES and member.isfile() else None
            if content is None or not 0 < member.size <= _LARGEST:
                continue
            pictures.append(target / name.name)
            with content, pictures[-1].open("wb") as copy:
                shutil.copyfileobj(content, copy)
    return pictures
