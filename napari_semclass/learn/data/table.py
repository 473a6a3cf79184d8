"""A table of text as any program saves it: its encoding, its delimiter and its columns, found or refused with a reason.

`csv.Sniffer` guesses the delimiter from how often signs occur, and is wrong where values hold them. Here the names of
the columns decide, which are known.
"""

import csv
import io
import locale
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

from napari_semclass.errors import SettingsError
from napari_semclass.names import text_of_path, trimmed

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_BOMS = (
    *((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32")),
    *((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")),
)
# Beginnings of files that are no text, whatever they are called.
_KINDS = {
    b"PK\x03\x04": "is a spreadsheet's own file (such as .xlsx or .ods), not text",
    b"\xd0\xcf\x11\xe0": "is a spreadsheet's own file (.xls), not text",
    b"%PDF": "is a PDF file",
    b"\x1f\x8b": "is a compressed file",
    b"\x89PNG": "is a picture",
}
_SAVE_AS = "save it from the spreadsheet program as CSV in UTF-8."
_BLANKS_AFTER_QUOTE = re.compile(r'" +(?=[,;|\t\r\n])')
_STATEMENT = re.compile(
    r'"? *sep *= *([^\w\s"]|\t)? *"?[,;|\t ]*', re.IGNORECASE
)  # programs fill it up with delimiters
_SIGNS = "°µ²³±×·–’“”„…€§\xa0"  # that names hold beside letters
# Letters of the languages that Windows-1252 was made for; it has others that only misread text is full of.
_WESTERN = "äöüÄÖÜßéèêëàâçîïôûùœæøåñáíóúãõÉÈÊËÀÂÇÎÏÔÛÙŒÆØÅÑÁÍÓÚÃÕ"
_LATIN = 0.6  # share of Latin characters
# Of programs that know no Unicode; which one cannot be seen in the file. The first that fits is taken.
_OLD_ENCODINGS = {
    "cp1252": "Windows-1252, Western European",
    "cp1250": "Windows-1250, Central European",
    "cp1251": "Windows-1251, Cyrillic",
    "cp1253": "Windows-1253, Greek",
    "cp1254": "Windows-1254, Turkish",
    "cp932": "Shift-JIS, Japanese",
    "gb18030": "GB 18030, Chinese",
    "cp949": "Windows-949, Korean",
    "cp950": "Big5, Chinese",
    "mac_roman": "Mac Roman",
}


@dataclass(frozen=True)
class Row:
    """A row that holds something: the line of the file that it begins on, and its values by the names of columns."""

    line: int
    values: dict[str, str]


@dataclass(frozen=True)
class Table:
    """Rows of a table; `delimiter` parted the values, `notes` says in sentences what had to be assumed."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    delimiter: str
    notes: tuple[str, ...] = ()


def read_table(
    path: Path, needed: Collection[str], known: Collection[str], fits: Callable[[Table], bool] = lambda table: True
) -> Table:
    """Read a table that has the columns `needed`.

    Parameters
    ----------
    path : Path
    needed, known : collection of str
        Columns that there must be, and all that mean something, in lower case.
    fits : callable
        Whether what a table says is so; asked where the encoding is not known, to choose among several.

    Raises
    ------
    SettingsError
        When it cannot be read, is no table, or lacks a column; says what it is instead.
    """
    shown = text_of_path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{shown}: cannot be read ({error.strerror}).") from error
    _refuse_other_kinds(data, shown)
    encoding = _certain_encoding(data)
    if encoding:
        return _parsed(_decoded(data, encoding, shown), needed, known, shown)
    return _of_old_encoding(data, needed, known, shown, fits)


def _refuse_other_kinds(data: bytes, shown: str) -> None:
    what = next((text for start, text in _KINDS.items() if data.startswith(start)), "")
    if not what and data[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        what = "is a web page or XML, not a table"
    if what:
        raise SettingsError(f"{shown}: {what}; {_SAVE_AS}")
    if not data.strip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"):
        raise SettingsError(f"{shown}: is empty; it needs a line that names its columns, and no rows are there either.")


def _certain_encoding(data: bytes) -> str:
    """The encoding, where the bytes themselves tell it; else empty."""
    marked = next((encoding for mark, encoding in _BOMS if data.startswith(mark)), "")
    if marked:
        return marked
    # Of the first line only: the names of the columns are Latin whatever the rows hold.
    start = re.split(rb"[\r\n]", data, maxsplit=1)[0][:400]
    even, odd = (start[parity::2].count(0) / max(1, len(start) // 2) for parity in (0, 1))
    # UTF-16 without its mark: every other byte of Latin text is zero, and no byte between.
    if max(even, odd) > _LATIN and min(even, odd) < 1 - _LATIN:
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "utf-8"


def _decoded(data: bytes, encoding: str, shown: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{shown}: is damaged or no text (as {encoding.upper()} it ends at byte {error.start:,}); {_SAVE_AS}"
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise SettingsError(f"{shown}: is damaged or no text (line {line:,} holds NUL characters); {_SAVE_AS}")
    return text.removeprefix("\ufeff")


def _of_old_encoding(
    data: bytes, needed: Collection[str], known: Collection[str], shown: str, fits: Callable[[Table], bool]
) -> Table:
    """The table as the first encoding reads it in which what it says is so: names of files tell, and letters."""
    own = locale.getencoding().lower()
    first_error: SettingsError | None = None
    found: list[tuple[bool, str, tuple[str, ...], Table]] = []
    for encoding in dict.fromkeys([*([own] if own in _OLD_ENCODINGS else []), *_OLD_ENCODINGS]):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            continue
        try:
            table = _parsed(text, needed, known, shown)
        except SettingsError as error:
            first_error = first_error or error
            continue
        if fits(table):
            values = tuple(value for row in table.rows for name, value in row.values.items() if name in known)
            foreign = sorted({value for value in values if not value.isascii()})
            examples = ", ".join(" ".join(value.split()) for value in foreign[:3])
            note = (
                f"{shown}: is not UTF-8 and was read as {_OLD_ENCODINGS[encoding]}; check the names in it: {examples}. "
                "Saved as CSV in UTF-8, nothing has to be assumed."
            )
            # A wrong encoding shows letters of another script as signs between letters.
            odd = any(not (sign.isascii() or sign.isalnum() or sign in _SIGNS) for value in foreign for sign in value)
            notes = (*table.notes, *((note,) if foreign else ()))
            found.append((odd, encoding, values, Table(table.columns, table.rows, table.delimiter, notes)))
    if found:
        least_odd, encoding, values, table = min(found, key=lambda one: one[0])
        # A file's name proves an encoding only where no other gives that name, too, and further values differently.
        has_named = any(not row.values.get("path", "").isascii() for row in table.rows)
        is_proved = has_named and all(other == values for odd, _, other, _ in found if odd == least_odd)
        is_western = encoding == "cp1252" and all(_is_western(word) for value in values for word in value.split())
        if encoding != own and not (is_proved or is_western or all(map(str.isascii, values))):
            raise SettingsError(
                f"{shown}: is not UTF-8, and its names can be read in several other encodings, each time as other "
                f"words; {_SAVE_AS}"
            )
        return table
    raise first_error or SettingsError(
        f"{shown}: is not UTF-8, and in no other usual encoding do the files exist that it names; {_SAVE_AS}"
    )


def _is_western(word: str) -> bool:
    """Whether a word could be Western European: at most half of its letters are beyond ASCII, all of these usual."""
    letters = [sign for sign in word if sign not in "°µ²³±×·–©®\xa0"]
    foreign = [sign for sign in letters if not sign.isascii()]
    return 2 * len(foreign) <= len(letters) and all(sign in _WESTERN for sign in foreign)


def _parsed(text: str, needed: Collection[str], known: Collection[str], shown: str) -> Table:
    text, stated = _without_statement(text)
    skipped = 1 if stated else 0
    candidates = dict.fromkeys([*([stated] if stated else []), *_DELIMITERS])
    headers = {delimiter: _header(text, delimiter) for delimiter in candidates}
    # The one by which most of the columns have known names; of equals the first, which is what the file states.
    delimiter = max(candidates, key=lambda d: (sum(n in headers[d] for n in known), len(headers[d]) > 1))
    columns = headers[delimiter]
    missing = sorted(set(needed) - set(columns))
    if missing:
        one = "column" if len(missing) == 1 else "columns"
        there = ", ".join(name[:40] or "(unnamed)" for name in columns[:12]) or "none"
        raise SettingsError(
            f"{shown}: has no {one} {', '.join(missing)}; its first line names {there}. Values are parted by commas, "
            "semicolons, tabs or bars."
        )
    twice = next((name for name, count in Counter(columns).items() if name in known and count > 1), None)
    if twice:
        raise SettingsError(f"{shown}: has the column {twice} more than once; leave one of them.")
    rows = _lines(text, delimiter, shown, skipped)[1:]
    if not rows:
        raise SettingsError(f"{shown}: has no rows below the names of its columns.")
    strays = [name for name in columns if name not in known and name.startswith(tuple(known))]
    notes = tuple(f"{shown}: the column {name[:40]!r} means nothing here and is not read." for name in strays)
    found = tuple(_row(line, values, columns, delimiter, shown) for line, values in rows)
    return Table(columns, found, delimiter, notes)


def _without_statement(text: str) -> tuple[str, str]:
    """The text without a first line such as `sep=;`, by which Excel is told the delimiter, and that delimiter."""
    first, *rest = re.split(r"\r\n|\r|\n", text, maxsplit=1)
    statement = _STATEMENT.fullmatch(first)
    return ("".join(rest), statement[1] or "\t") if statement else (text, "")


def _lines(text: str, delimiter: str, shown: str, skipped: int) -> list[tuple[int, list[str]]]:
    """Values of each line that holds any, with the number of the line that it begins on."""
    found, line = [], 1
    # Strictly, as else a quote that nothing closes would swallow all rows below it.
    reader = _reader(_BLANKS_AFTER_QUOTE.sub('"', text), delimiter, strict=True)
    try:
        for values in reader:
            if any(trimmed(value) for value in values):
                found.append((line + skipped, values))
            line = reader.line_num + 1
    except csv.Error as error:
        raise SettingsError(
            f"{shown}: line {line + skipped:,} cannot be read: a quote is not closed, or text follows it ({error})."
        ) from error
    return found


def _reader(text: str, delimiter: str, *, strict: bool) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=strict)


def _header(text: str, delimiter: str) -> tuple[str, ...]:
    """Names of columns, whatever their case, width, blanks and quotes."""
    try:
        reader = _reader(text, delimiter, strict=False)
        values: list[str] = next((row for row in reader if any(trimmed(value) for value in row)), [])
    except csv.Error:
        return ()
    plain = (trimmed(normalize("NFKC", value)).strip("\"' ").casefold() for value in values)
    return tuple("_".join(value.replace("-", " ").split()) for value in plain)


def _row(line: int, values: Sequence[str], columns: Sequence[str], delimiter: str, shown: str) -> Row:
    spare = [value for value in values[len(columns) :] if trimmed(value)]
    if spare:
        raise SettingsError(
            f"{shown}: line {line:,} has more values than there are columns ({spare[0][:40]!r} is left over); values "
            f"that hold {_DELIMITERS.get(delimiter, repr(delimiter))} need quotes around them."
        )
    padded = [*values, *[""] * (len(columns) - len(values))]
    return Row(line, {name: value for name, value in zip(columns, padded, strict=False) if name})
