"""Fetches what the registry lists, once, and holds every file to a known hash."""

import contextlib
import logging
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
import pooch
import requests

from napari_semclass.downloads.offline import refuse_offline
from napari_semclass.downloads.pins import PINS, add_pin, read_pins
from napari_semclass.errors import DownloadError

_REGISTRY = Path(__file__).with_name("registry.toml")
_TIMEOUT_S = 30


@dataclass(frozen=True)
class Download:
    """One entry of the registry.

    Attributes
    ----------
    name
        What the file is called in the cache folder.
    url
        Where it comes from.
    licence, credit
        Under which terms, and whom to name.
    size_bytes
        Its size, None if not known.
    sha256
        Its hash, empty if not known.
    checked
        Whether the developers fetched this address and found this hash.
    """

    name: str
    url: str
    licence: str
    credit: str
    size_bytes: int | None = None
    sha256: str = ""
    checked: bool = False

    def __post_init__(self) -> None:
        """Refuse entries that could write elsewhere or cannot be held to their hash."""
        if not self.name or Path(self.name).name != self.name or "\\" in self.name or self.name == PINS:
            raise ValueError(f"name {self.name!r} is not a plain file name")
        if urlsplit(self.url).scheme not in {"http", "https"}:
            raise ValueError(f"url {self.url!r} does not start with http:// or https://")
        if not re.fullmatch(r"([0-9a-f]{64})?", self.sha256):
            raise ValueError(f"sha256 {self.sha256!r} is not 64 hexadecimal digits")


def registered(registry: Path | None = None) -> tuple[Download, ...]:
    """Return everything that can be fetched.

    Parameters
    ----------
    registry
        Another TOML file than the one that ships with the package.

    Raises
    ------
    DownloadError
        If the file cannot be read or an entry is wrong.
    """
    path = registry or _REGISTRY
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("download", [])
        downloads = tuple(Download(**entry) for entry in entries)
    except (OSError, ValueError, TypeError) as error:
        raise DownloadError(f"The list of downloads {path} cannot be used: {error}.") from error
    return downloads


def fetch(
    name: str,
    *,
    confirm: Callable[[Download], bool],
    folder: Path | None = None,
    registry: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Return the file of an entry, downloading it if it is not there yet.

    A file whose hash the registry does not know is trusted once, after `confirm`; its hash is then written to
    `pins.json` in the folder, and from then on the same address must give the same file.

    Parameters
    ----------
    name
        An entry of the registry.
    confirm
        Asked before a file without a known hash is downloaded; show source, size, licence and whether it was checked.
    folder
        Where files are kept; the user's cache folder if None.
    registry
        Another list of downloads than the one that ships with the package.
    progress
        Told the bytes received and the bytes expected (0 if unknown) while downloading.

    Returns
    -------
    Path
        The complete file, with the right hash.

    Raises
    ------
    DownloadError
        If the name is unknown, `confirm` said no, `SEMCLASS_OFFLINE` forbids it, the server cannot be reached or breaks
        off, or the hash differs.
    """
    download = _entry(name, registry)
    folder = folder or platformdirs.user_cache_path("napari-semclass", appauthor=False) / "downloads"
    known = download.sha256 or read_pins(folder).get(download.url, "")
    path = folder / name
    if known and path.is_file() and pooch.file_hash(str(path)) == known:
        return path
    refuse_offline(name, download.url)
    if not known and not confirm(download):
        raise DownloadError(f"{name} was not downloaded from {download.url} because you did not agree to it.")
    sha256 = _retrieve(download, known, path, progress)
    if not known:
        add_pin(folder, download.url, sha256)
    return path


def _retrieve(download: Download, known: str, path: Path, progress: Callable[[int, int], None] | None) -> str:
    """Download one file, held to its hash if that is known, and return its SHA-256."""
    with _explained(download), _quiet():
        path.unlink(missing_ok=True)  # Spoilt, or of unknown origin: pooch would keep the latter.
        pooch.retrieve(
            download.url,
            known_hash=f"sha256:{known}" if known else None,
            fname=path.name,
            path=path.parent,
            downloader=pooch.HTTPDownloader(
                progressbar=_Progress(progress) if progress else False, chunk_size=2**17, timeout=_TIMEOUT_S
            ),
        )
        return str(pooch.file_hash(str(path)))


def _entry(name: str, registry: Path | None) -> Download:
    downloads = {download.name: download for download in registered(registry)}
    if name not in downloads:
        raise DownloadError(f"There is no download {name!r}; choose one of {', '.join(downloads)}.")
    return downloads[name]


@contextlib.contextmanager
def _explained(download: Download) -> Iterator[None]:
    """Say in one sentence why a download failed; pooch has removed the partial file by then."""
    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "an error"
        raise DownloadError(f"{download.name} could not be downloaded: {download.url} answered {status}.") from error
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise DownloadError(
            f"{download.name} could not be downloaded from {download.url}: the server cannot be reached or broke off; "
            "check the network and try again."
        ) from error
    except (requests.RequestException, OSError) as error:
        raise DownloadError(f"{download.name} could not be downloaded from {download.url}: {error}.") from error
    except ValueError as error:  # How pooch reports a wrong hash.
        raise DownloadError(
            f"{download.name} from {download.url} does not match its known SHA-256, so it was thrown away; "
            "the file on the server has changed or was tampered with."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep pooch from printing the hash and address; reporting is the caller's business."""
    logger = pooch.get_logger()
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


class _Progress:
    """What pooch wants a progress bar to be, passing the numbers on to a callback."""

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self.total = 0
        self._report = report
        self._done = 0

    def update(self, amount: int) -> None:
        """Count what came in."""
        # pooch counts whole chunks, also for the last one.
        self._done = min(self._done + amount, self.total or self._done + amount)
        self._report(self._done, self.total)

    def reset(self) -> None:
        """Start over; pooch resets before its last update, which repeats the total."""
        self._done = 0

    def close(self) -> None:
        """Nothing is open."""
