"""Plans as TOML files: read strictly, written so that reading gives the same object."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from napari_semclass.errors import SettingsError, brief

_T = TypeVar("_T")


def read_toml(path: str | Path, kind: TypeAdapter[_T]) -> _T:
    """Read an object of `kind` from a TOML file.

    Raises
    ------
    SettingsError
        Missing, not TOML, or with a key that is unknown, missing or out of range.
    """
    path = Path(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: the plan cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: the plan is not valid TOML ({error}).") from error
    except (RecursionError, ValueError) as error:  # numbers of too many digits, among others
        raise SettingsError(f"{path}: the plan is no plan ({brief(error)}).") from error
    return checked(raw, kind, str(path))


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


def to_toml(value: Any) -> str:
    """A dataclass as TOML: plain keys first, then its tables; None is left out."""
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError("only dataclasses become TOML")
    return "\n".join(table_lines(asdict(value))).strip() + "\n"


def table_lines(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Lines of TOML for nested values; None is left out."""
    lines, below = [], []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            below += ["", f"[{name}]", *table_lines(value, f"{name}.")]
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            for item in value:
                below += ["", f"[[{name}]]", *table_lines(item, f"{name}.")]
        elif value is not None:
            # Strings, numbers, booleans and lists of them are written alike in JSON and TOML.
            lines.append(f"{key} = {json.dumps(list(value) if isinstance(value, tuple) else value)}")
    return lines + below
