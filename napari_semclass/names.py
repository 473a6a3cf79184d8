"""When two names are the same, and how the name of a file becomes text: the one place that decides both.

Categories, groups, files and folders come with names that other systems wrote: macOS writes `ö` as two characters
(NFD), all others as one (NFC); spreadsheets leave blanks behind; a file's name may be bytes that are no text at all.
"""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

# White space, and what takes no place at all: it comes with text that was copied from a web page.
_ENDS = re.compile(r"\A[\s\u200b\u2060\ufeff]+|[\s\u200b\u2060\ufeff]+\Z")
Forms = Mapping[str, tuple[str, ...]]

_ESCAPED, _LIKE_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})"), re.compile(rb"\\(?=x[0-9a-f]{2})")


def trimmed(name: str) -> str:
    """The name as it was written, without blanks around it."""
    return _ENDS.sub("", name)


def key(name: str) -> str:
    """Equal for names that are the same: in one Unicode form (NFC), whatever blanks are around and between words."""
    return " ".join(trimmed(unicodedata.normalize("NFC", name)).split())


def fold(name: str) -> str:
    """Equal for names that are the same whatever their case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", key(name)).casefold())


def first_forms(names: Iterable[str]) -> dict[str, str]:
    """For each name the form in which the same name was written first, without blanks around it."""
    first: dict[str, str] = {}
    return {name: first.setdefault(key(name), trimmed(name)) for name in names}


def matching(name: str, known: Iterable[str]) -> str | None:
    """That of the known names which is the same: the equal one, if any, before one of another form."""
    known = list(known)
    return name if name in known else next((other for other in known if key(other) == key(name)), None)


def paired(names: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """For each name that one of the others is, that one.

    The equal name goes first, then the same one, then the same but for its case; none is taken twice, and none where
    several could be.
    """
    names, others = list(names), list(others)
    pairs: dict[str, str] = {}
    for form in (str, key, fold):
        taken = set(pairs.values())
        left, free = defaultdict(list), defaultdict(list)
        for name in names:
            if name not in pairs:
                left[form(name)].append(name)
        for other in others:
            if other not in taken:
                free[form(other)].append(other)
        pairs |= {left[look][0]: free[look][0] for look in left if len(left[look]) == len(free.get(look, ())) == 1}
    return pairs


def confusable(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that are not the same but look it: they differ by case, by width or by characters that nobody sees."""
    looks: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        looks[_look(name)].setdefault(key(name), name)
    return [tuple(forms.values()) for forms in looks.values() if len(forms) > 1]


def sentences_on(names: Iterable[str], noun: str, nouns: str) -> list[str]:
    """A sentence about each set of names that are read as one, and about each whose names only look alike.

    Parameters
    ----------
    names : iterable of str
        As they were written.
    noun, nouns : str
        What has these names, as in "category", "categories".
    """
    names = list(dict.fromkeys(names))
    written: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        written[key(name)].setdefault(unicodedata.normalize("NFC", name), name)
    merged = [list(forms.values()) for forms in written.values() if len(forms) > 1]
    return [
        *(f"{_listed(map(repr, forms))} differ by blanks only and are read as one {noun}." for forms in merged),
        *(
            f"{differing(forms)}, and are {len(forms)} {nouns}; give them one name if they are the same."
            for forms in confusable(map(trimmed, names))
        ),
    ]


def differing(forms: Iterable[str]) -> str:
    """In what names that look alike differ, as the beginning of a sentence."""
    forms = list(forms)
    same_case = len({fold(name) for name in forms}) > 1
    return f"{_listed(forms)} differ by {'characters that look alike or cannot be seen' if same_case else 'case'} only"


def text_of_path(path: str | os.PathLike[str]) -> str:
    r"""The name of a file as text, the same in every locale; `path_of_text` gives the name again.

    Names are bytes to most systems, and Python reads them by the locale. Here they are UTF-8; a byte that is none is
    written as in `\xe9`.
    """
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:  # it names no file in this locale
        return printable(os.fspath(path))
    return _LIKE_ESCAPED.sub(rb"\\x5c", name).decode("utf-8", "backslashreplace")


def path_of_text(text: str) -> str:
    """The name of the file that `text_of_path` wrote as this text, as this locale's Python needs it."""
    name = text.encode("utf-8", "surrogatepass")
    try:
        return os.fsdecode(_ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), name))
    except UnicodeDecodeError:  # bytes of another system, which this one has no names for
        return text


def path_form(path: str | os.PathLike[str]) -> str:
    """Equal for the names of a file in any Unicode form and in any locale."""
    return unicodedata.normalize("NFC", text_of_path(path))


def existing(path: str | os.PathLike[str], forms_in: "Callable[[Path], Forms] | None" = None) -> Path:
    """The path as the disk has it: where nothing has this very name, what has it in another Unicode form.

    Parameters
    ----------
    path : str or path
    forms_in : callable
        Gives the names in a folder by their `path_form`; `names_by_form`, unless the caller remembers what it gave.

    Returns
    -------
    Path
        As given, where there is no such thing or more than one.
    """
    given = Path(path)
    if exists(given):
        return given
    found = Path(given.anchor)
    for part in given.parts[bool(given.anchor) :]:
        exact = found / part
        if part == ".." or exists(exact):
            found = exact
            continue
        same = (forms_in or names_by_form)(found).get(path_form(part), ())
        if len(same) != 1:
            return given
        found = found / same[0]
    return found


def names_by_form(folder: Path) -> Forms:
    """Names in a folder by their `path_form`; none where it cannot be read."""
    forms: dict[str, tuple[str, ...]] = {}
    try:
        for name in sorted(entry.name for entry in folder.iterdir()):
            forms[path_form(name)] = (*forms.get(path_form(name), ()), name)
    except OSError:
        return {}
    return forms


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; False for what cannot be one."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for the disk, or with what no name holds
        return False


def printable(text: str) -> str:
    """The text, with file names in it that are no text made such that any file in UTF-8 can hold them."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return text.encode("utf-8", "backslashreplace").decode()


def _look(name: str) -> str:
    """Equal for names that look alike."""
    seen = "".join(sign for sign in name if unicodedata.category(sign) != "Cf")
    return fold(unicodedata.normalize("NFKC", seen))


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
