"""The categories that a user marks with: number, name, colour and key, edited as a whole and never in place."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from napari_semclass.errors import SettingsError
from napari_semclass.names import fold, trimmed

# A Labels layer of bytes holds no more; 0 is what is not marked.
MOST_CATEGORIES = 255
KEYS = range(1, 10)
_NAME_LENGTH = 200
# Okabe and Ito's colours and Tol's "muted" ones: told apart with any colour vision, and on grey micrographs.
PALETTE = (
    *("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
    *("#88ccee", "#ddcc77", "#cc6677", "#aa4499", "#44aa99", "#999933", "#882255", "#332288", "#117733"),
)
_COLOR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True)
class MarkCategory:
    """One category that tiles can be marked with.

    Parameters
    ----------
    number : int
        1 to 255; never changes. It is the value of painted pixels, and what marks refer to.
    name : str
        1 to 200 printable characters without blanks around them.
    color : str
        `#rrggbb`, in lower case.
    key : int or None
        1 to 9: the key that marks with it.
    """

    number: int
    name: str
    color: str
    key: int | None = None

    def __post_init__(self) -> None:
        """Refuse what layers, model cards or the keyboard could not hold."""
        if not 1 <= self.number <= MOST_CATEGORIES:
            raise SettingsError(f"the category number {self.number} is not possible; use 1 to {MOST_CATEGORIES}.")
        if not self.name.strip():
            raise SettingsError("a category needs a name.")
        if len(self.name) > _NAME_LENGTH or self.name != self.name.strip() or not self.name.isprintable():
            raise SettingsError(
                f"the category name {self.name[:40]!r} is not possible; use one line of at most {_NAME_LENGTH} "
                "characters without blanks around it."
            )
        if not _COLOR.fullmatch(self.color):
            raise SettingsError(f"{self.name}: the colour {self.color!r} is not of the form #rrggbb.")
        if self.key is not None and self.key not in KEYS:
            raise SettingsError(f"{self.name}: the key {self.key} is not possible; use 1 to 9.")


@dataclass(frozen=True)
class Categories:
    """All categories of a session in the user's order. Numbers, keys and names (whatever their case) are unique."""

    items: tuple[MarkCategory, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would make a mark ambiguous."""
        names = [fold(item.name) for item in self.items]
        twice = next((item.name for item in self.items if names.count(fold(item.name)) > 1), None)
        if twice is not None:
            raise SettingsError(f"there are two categories named {twice}; give one another name.")
        numbers = [item.number for item in self.items]
        keys = [item.key for item in self.items if item.key is not None]
        if len(set(numbers)) < len(numbers) or len(set(keys)) < len(keys):
            raise SettingsError("two categories have the same number or key.")

    def add(self, name: str = "", color: str = "", avoid: Collection[int] = ()) -> "Categories":
        """Add a category at the end, with the smallest free number and the next free key, if any.

        Parameters
        ----------
        name : str
            Empty makes one up.
        color : str
            Empty takes the first free colour of the palette.
        avoid : collection of int
            Numbers that marks still carry from a removed category: reusing one would give those marks to the new one.

        Raises
        ------
        SettingsError
            A name or colour that is not possible, or no number is left.
        """
        numbers = {item.number for item in self.items} | set(avoid)
        number = next((n for n in range(1, MOST_CATEGORIES + 1) if n not in numbers), None)
        if number is None:
            raise SettingsError(f"there are {MOST_CATEGORIES} categories already; remove one first.")
        used = [item.color for item in self.items]
        key = next((k for k in KEYS if self.by_key(k) is None), None)
        added = MarkCategory(
            number, trimmed(name) or self._new_name(), color.lower() or min(PALETTE, key=used.count), key
        )
        return Categories((*self.items, added))

    def rename(self, number: int, name: str) -> "Categories":
        """Give a category another name."""
        return self._with(replace(self._held(number), name=trimmed(name)))

    def recolour(self, number: int, color: str) -> "Categories":
        """Give a category another colour."""
        return self._with(replace(self._held(number), color=color.lower()))

    def with_key(self, number: int, key: int | None) -> "Categories":
        """Give a category another key or none; a category that has it gets this one's old key."""
        held = self._held(number)
        other = None if key is None else self.by_key(key)
        changed = {number: replace(held, key=key)}
        if other is not None and other.number != number:
            changed[other.number] = replace(other, key=held.key)
        return Categories(tuple(changed.get(item.number, item) for item in self.items))

    def remove(self, number: int) -> "Categories":
        """Take a category out; what is marked with it stays where it is (see `avoid` of `add`)."""
        held = self._held(number)
        return Categories(tuple(item for item in self.items if item != held))

    def by_number(self, number: int) -> MarkCategory | None:
        """The category of this number."""
        return next((item for item in self.items if item.number == number), None)

    def by_key(self, key: int) -> MarkCategory | None:
        """The category that this key marks with."""
        return next((item for item in self.items if item.key == key), None)

    def by_name(self, name: str) -> MarkCategory | None:
        """The category of this name, whatever its case and its Unicode form."""
        wanted = fold(name)
        return next((item for item in self.items if fold(item.name) == wanted), None)

    def _held(self, number: int) -> MarkCategory:
        held = self.by_number(number)
        if held is None:
            raise SettingsError(f"there is no category number {number}.")
        return held

    def _with(self, changed: MarkCategory) -> "Categories":
        return Categories(tuple(changed if item.number == changed.number else item for item in self.items))

    def _new_name(self) -> str:
        return next(name for n in range(1, len(self.items) + 2) if self.by_name(name := f"Category {n}") is None)
