"""The offline mode: where SEMCLASS_OFFLINE is set, nothing is asked of the network."""

import os

from napari_semclass.errors import DownloadError

_VARIABLE = "SEMCLASS_OFFLINE"


def offline() -> bool:
    """Whether downloads are forbidden."""
    return os.environ.get(_VARIABLE, "").strip().lower() not in ("", "0", "no", "off", "false")


def refuse_offline(name: str, url: str) -> None:
    """Say so where something would have to be downloaded that must not be.

    Raises
    ------
    DownloadError
        In the offline mode.
    """
    if offline():
        raise DownloadError(
            f"{name} is not on this computer and was not downloaded from {url}, because {_VARIABLE} is set."
        )
