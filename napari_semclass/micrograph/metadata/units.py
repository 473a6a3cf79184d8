"""Units of length and voltage as instruments and programs spell them, each as its size in metres or volts."""

import re
import unicodedata
from functools import lru_cache
from typing import Any

# The micro sign where an encoding was mistaken: cp932 read as cp1252 or Latin-1, UTF-8 read as cp1252, as
# Latin-1 or as cp932, GB 2312 and EUC-JP read as cp1252, and ImageJ's escapes.
_GARBLED = ("ƒÊ", "\x83Ê", "Âµ", "Î¼", "ÃŽÂ¼", "Ã‚Âµ", "ﾂｵ", "ﾎｼ", "¦Ì", "\\u00b5", "\\u03bc", "&micro;", "&mu;")
# One unreadable character before m can only have been a micro sign: no other prefix is outside of ASCII.
_UNREADABLE = re.compile(r"[�?ｵ]{1,2}(?=(m|met|mm)$)", re.IGNORECASE)
_PER_PIXEL = re.compile(r"\s*(?:/|per|·)\s*(?:px|pix|pixels?|dots?)$|\s+(?:px|pixel)(?:\^?-1)$", re.IGNORECASE)
_NAME = re.compile(r"[^\W\d_]{1,24}")
_SPELLINGS = {
    '"': "inch",
    "''": "inch",
    "in": "inch",
    "inches": "inch",
    "å": "angstrom",
    "ang": "angstrom",
    "ångström": "angstrom",
    "ångstrøm": "angstrom",
    "ångstrom": "angstrom",
    "angström": "angstrom",
    "mil": "thou",
    "mils": "thou",
    "microns": "micron",
    "microm": "micrometer",
    "kv": "kilovolt",
    "kvolt": "kilovolt",
    "kvolts": "kilovolt",
}
_BASES = {"[length]": ("meter", "angstrom", "inch", "micron", "thou"), "[voltage]": ("volt",)}
_PREFIXES = ("", "atto", "femto", "pico", "nano", "micro", "milli", "centi", "deci", "kilo")


def metres_per(unit: Any) -> float | None:
    """The size of a unit of length in metres; None for all that is none, reciprocal lengths among them."""
    return _size(str(unit)[:60], "[length]")


def volts_per(unit: Any) -> float | None:
    """The size of a unit of voltage in volts; None for all that is none."""
    return _size(str(unit)[:60], "[voltage]")


def unified(text: str) -> str:
    """The text with one micro sign (u), one kind of space and one kind of minus, whatever its encoding did to them."""
    for sign in _GARBLED:
        text = re.sub(re.escape(sign), "u", text, flags=re.IGNORECASE) if sign[0] in "\\&" else text.replace(sign, "u")
    # NFKC writes both micro signs as mu, no-break and thin spaces as spaces, full-width letters as plain ones.
    text = unicodedata.normalize("NFKC", text)
    return text.replace("μ", "u").replace("−", "-").replace("\0", "").replace("\ufeff", "")


@lru_cache(maxsize=1024)
def _size(written: str, dimension: str) -> float | None:
    plain = _UNREADABLE.sub("u", unified(written).strip())
    plain = _PER_PIXEL.sub("", plain).strip(" .;[]()")
    name = _SPELLINGS.get(plain.casefold(), plain)
    if not _NAME.fullmatch(name):
        return None
    # Instruments write NM, UM and KV. Capitals that mean another prefix (Pm, Mm, M) stay what they are.
    spellings = (name, name.lower()) if _may_lose_case(name) else (name,)
    return next((size for size in (_known(spelling, dimension) for spelling in spellings) if size), None)


def _may_lose_case(name: str) -> bool:
    return len(name) > 3 or (len(name) == 2 and (name.isupper() or name[0] in "NUCFK"))


def _known(name: str, dimension: str) -> float | None:
    """The size by pint, which is only ever given one bare word: it would compute what a file's author writes."""
    registry = _registry()
    for prefix, base, _ in registry.parse_unit_name(name):
        if base in _BASES[dimension] and prefix in _PREFIXES:
            scale = registry.Quantity(1.0, f"{prefix}{base}")
            return float(scale.to_base_units().magnitude if base == "volt" else scale.to("meter").magnitude)
    return None


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint  # takes a second, which `semclass --help` must not wait for

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=False)
