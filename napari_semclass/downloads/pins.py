"""Hashes of files that a user trusted once: from then on the same address must give the same file."""

import contextlib
import hashlib
import json
import secrets
from pathlib import Path

from napari_semclass.errors import DownloadError

PINS = "pins.json"
"""What the list of them is called, in the folder of what was downloaded."""


def read_pins(folder: Path) -> dict[str, str]:
    """Return address -> SHA-256 of what this user trusted before.

    Raises
    ------
    DownloadError
        If the list cannot be read.
    """
    path = folder / PINS
    if not path.exists():
        return {}
    try:
        pins = json.loads(path.read_text(encoding="utf-8"))
        return {str(url): str(sha256) for url, sha256 in pins.items()}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        # Forgetting the pins silently would trust anything again.
        raise DownloadError(f"The pinned hashes in {path} cannot be read ({error}); repair or delete it.") from error


def add_pin(folder: Path, url: str, sha256: str) -> None:
    """Keep the hash of what an address gave.

    Raises
    ------
    DownloadError
        If the list cannot be read or written.
    """
    pins = read_pins(folder) | {url: sha256}
    draft = folder / f".{secrets.token_hex(8)}.part"  # another process may be writing one, too
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(pins, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        draft.replace(folder / PINS)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise DownloadError(f"The hash of the download could not be pinned in {folder}: {error}.") from error


def hold_to_pin(path: Path, url: str, folder: Path) -> str:
    """Pin the hash of a file the first time, hold the file to it from then on, and return it.

    For files that another library downloads and keeps.

    Raises
    ------
    DownloadError
        If it is not the file that this address gave the first time, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DownloadError(
            f"{path} cannot be read ({error.strerror or error}); delete it to fetch it again."
        ) from error
    pinned = read_pins(folder).get(url)
    if pinned is None:
        add_pin(folder, url, sha256)
    elif pinned != sha256:
        raise DownloadError(
            f"{path} is not the file that was first used from {url}: it has changed, is damaged or was tampered with; "
            f"delete it to fetch it again, or, if the change is meant, delete the address from {folder / PINS}."
        )
    return sha256
