"""What the dock remembers from one session to the next: the model, the settings, the folders chosen last."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from platformdirs import user_config_path
from pydantic import TypeAdapter, ValidationError

from napari_semclass.classify.settings import Settings
from napari_semclass.errors import OutputError
from napari_semclass.writing import replacing

_NAME = "viewer.json"
_SETTINGS = TypeAdapter(Settings)


def config_folder() -> Path:
    """Where it is kept: `SEMCLASS_CONFIG`, else where the system keeps such files."""
    chosen = os.environ.get("SEMCLASS_CONFIG")
    return Path(chosen) if chosen else user_config_path("napari-semclass")


def remembered(key: str) -> str:
    """What was kept under a key; empty where nothing was, or the file is damaged."""
    value = _all().get(key)
    return value if isinstance(value, str) else ""


def remembered_settings() -> Settings | None:
    """The settings as they were when the dock was closed last; None where there are none that make sense."""
    try:
        return _SETTINGS.validate_python(_all()["settings"])
    except (KeyError, ValidationError):
        return None


def remember(settings: Settings | None = None, **words: str) -> None:
    """Keep settings and words; what cannot be written is forgotten, as nobody waits for it."""
    kept = _all() | words
    if settings is not None:
        # The pixel size is of one micrograph.
        kept["settings"] = asdict(replace(settings, pixel_size=None))
    with suppress(OutputError), replacing(config_folder() / _NAME) as temporary:
        temporary.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _all() -> dict[str, Any]:
    try:
        found = json.loads((config_folder() / _NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
