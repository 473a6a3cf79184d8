"""Plans as TOML files: read strictly, written so that reading gives the same object."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import TypeAdapter, ValidationError

from napari_semclass.errors import SettingsError, brief
from napari_semclass.names import text_of_path
from napari_semclass.writing import replacing

_T = TypeVar("_T")


def read_toml(path: str | Path, kind: TypeAdapter[_T]) -> _T:
    """Read an object of `kind` from a TOML file.

    Raises
    ------
    SettingsError
        Missing, not TOML, or with a key that is unknown, missing or out of range.
    """
    path, shown = Path(path), text_of_path(path)
    try:
        # utf-8-sig: editors on Windows write a mark in front
        raw = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{shown}: the plan cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{shown}: the plan is not valid TOML ({error}).") from error
    except (RecursionError, ValueError) as error:  # numbers of too many digits, among others
        raise SettingsError(f"{shown}: the plan is no plan ({brief(error)}).") from error
    return checked(raw, kind, shown)


def checked(raw: Mapping[str, Any], kind: TypeAdapter[_T], source: str) -> _T:
    """An object of `kind` from plain values; SettingsError names the first one that is wrong."""
    try:
        # By way of JSON, in which a TOML list may stand for a tuple although types are checked strictly.
        return kind.validate_json(json.dumps(raw, default=str))
    except (RecursionError, UnicodeEncodeError) as error:
        raise SettingsError(f"{source}: the plan is no plan ({brief(error)}).") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{source}: the plan's {where!r} is wrong ({first['msg']}).") from error


def write_toml(value: Any, path: str | Path) -> None:
    """Write a dataclass so that `read_toml` gives the same; None is left out.

    Raises
    ------
    SettingsError
        When it holds text that no file in UTF-8 can hold (half of a surrogate pair).
    OutputError
        When it cannot be written.
    """
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError("only dataclasses become TOML")
    text = toml_text(asdict(value))
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        line = text[: error.start].rpartition("\n")[2][:60].strip()
        raise SettingsError(
            f"{text_of_path(path)}: {line!r} is followed by what is no text; give it as text."
        ) from error
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(content)


def toml_text(values: Mapping[str, Any]) -> str:
    """Nested values as TOML; None is left out."""
    return tomli_w.dumps(_stated(values))


def _stated(value: Any) -> Any:
    """The same without None, which TOML has no word for."""
    if isinstance(value, Mapping):
        return {key: _stated(each) for key, each in value.items() if each is not None}
    return [_stated(each) for each in value] if isinstance(value, list | tuple) else value
