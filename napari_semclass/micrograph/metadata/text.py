"""Text and XML in whatever encoding an instrument wrote them, decoded without trusting it."""

import re
from typing import Any
from xml.etree import ElementTree

MOST_XML = 16_000_000  # characters; a mosaic of thousands of tiles is described in a few million
_DECLARATION = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_COMMENT_CODES = (b"ASCII\0\0\0", b"UNICODE\0", b"JIS\0\0\0\0\0", b"\0" * 8)  # before EXIF's UserComment
_HALF_WIDTH_OR_PRIVATE = re.compile("[\uff61-\uff9f\ue000-\uf8ff]")


def decoded(value: Any) -> str:
    """The text of bytes in UTF-8, UTF-16, cp932 (Japanese Windows) or cp1252; text as it is; else empty.

    NULs and byte order marks are left out.
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, bytes | bytearray):
        text = _decoded_bytes(bytes(value))
    else:
        return ""
    return text.replace("\0", "").replace("\ufeff", "")


def _decoded_bytes(data: bytes) -> str:
    for code in _COMMENT_CODES:
        data = data.removeprefix(code)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    head = data[:400].rstrip(b"\0")
    if head.count(0) > len(head) // 4:  # UTF-16 without a byte order mark: every other byte of plain text is 0
        return data.decode("utf-16-be" if head[:1] == b"\0" else "utf-16-le", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("cp932")
    except UnicodeDecodeError:
        text = "\uff61"
    # A micro or degree sign of cp1252 is a half-width kana in cp932, and letters with accents are private characters.
    if not _HALF_WIDTH_OR_PRIVATE.search(text):
        return text
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def lines_of(text: str) -> list[str]:
    """The lines of a text; other than `splitlines` it does not take characters of encodings for line ends."""
    return re.split(r"\r\n|\r|\n", text)


def xml_root(value: Any) -> ElementTree.Element | None:
    """The root of the XML that a tag holds, wherever in it; None where there is none.

    Raises
    ------
    ValueError
        It is damaged, too long, or declares a DOCTYPE or entities, which attacks need and no instrument writes.
    """
    text = decoded(value)
    start, stop = text.find("<"), text.rfind(">")
    if start < 0 or stop < start:
        return None
    text = text[start : stop + 1]
    if len(text) > MOST_XML or _DECLARATION.search(text):
        raise ValueError("is too long or holds declarations")
    try:
        return ElementTree.fromstring(text)  # noqa: S314 - declarations, which attacks need, were refused
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError("is damaged") from error


def local_name(element: ElementTree.Element) -> str:
    """The name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def child(element: ElementTree.Element | None, path: str) -> ElementTree.Element | None:
    """The first element at a path of local names such as `acquisition/scan`, in any namespace."""
    for name in path.split("/"):
        if element is None:
            return None
        element = next((inner for inner in element if local_name(inner) == name), None)
    return element


def child_text(element: ElementTree.Element | None, path: str) -> str:
    """The text of the first element at a path; empty without one."""
    inner = child(element, path)
    return (inner.text or "").strip() if inner is not None else ""


def entries_of(root: ElementTree.Element, depth: int = 6) -> dict[str, str]:
    """The leaves of an XML element as `a.b.c` -> text with the unit behind it."""
    entries: dict[str, str] = {}
    waiting = [(inner, local_name(inner), 1) for inner in root]
    while waiting and len(entries) < 1000:
        element, name, level = waiting.pop(0)
        if len(element) and level < depth:
            waiting += [(inner, f"{name}.{local_name(inner)}", level + 1) for inner in element]
        elif not len(element):
            entries.setdefault(name, f"{(element.text or '').strip()} {element.get('unit', '')}".strip())
    return entries
