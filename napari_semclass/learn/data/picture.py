"""Labelled pictures, and a folder of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import GreyRange, Micrograph
from napari_semclass.names import first_forms, fold, key, matching, sentences_on, text_of_path, trimmed

Part = Literal["", "train", "valid"]
Box = tuple[int, int, int, int]

_LONGEST = 200  # characters of a category's name that a model's card holds
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PARTS: dict[str, Part] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation"), "valid"),
}


@dataclass(frozen=True)
class Picture:
    """One labelled picture. Pictures of one `group` (specimen, series, file) must never be on both sides of a split.

    Parameters
    ----------
    path : Path
    category, group : str
    part : "train", "valid" or ""
        The side of the split that the data set asks for; empty where it leaves that open.
    box : (int, int, int, int) or None
        y0, x0, y1, x1 in level-0 pixels, half-open: the picture is only this box of the file.
    pixel_size : float or None
        Metres per pixel.
    licence : str
    grey : GreyRange or None
        Grey levels that become 0 and 1, for a picture cut out of a micrograph; None finds them in the file.
    source : str
        Laboratory, instrument or collection it is from; empty where the data set does not say.
    """

    path: Path
    category: str
    group: str
    part: Part = ""
    box: Box | None = None
    pixel_size: float | None = None
    licence: str = ""
    grey: GreyRange | None = None
    source: str = ""

    def sized(self, micrograph: Micrograph) -> Micrograph:
        """A micrograph of the file with the manifest's pixel size, which goes before the file's.

        Only for sizes: it is a copy, which would have its data bars found again.
        """
        return micrograph if self.pixel_size is None else replace(micrograph, pixel_size=self.pixel_size)


@dataclass(frozen=True)
class DataSet:
    """Labelled pictures of one folder.

    Parameters
    ----------
    folder : Path
    pictures : tuple of Picture
    ignored : tuple of str
        What lies in the folder and was left out, with the reason.
    notes : tuple of str
        What a user should know of how names and the table were read, in sentences.
    """

    folder: Path
    pictures: tuple[Picture, ...]
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of all categories, sorted."""
        return sorted_names(picture.category for picture in self.pictures)

    @property
    def files(self) -> tuple[int, ...]:
        """Number of the file that each picture is (a box) of, counted from 0 in order of appearance."""
        numbers: dict[Path, int] = {}
        return tuple(numbers.setdefault(picture.path, len(numbers)) for picture in self.pictures)

    def name(self, picture: Picture) -> str:
        """The picture's path below the folder, with `[y0:y1, x0:x1]` for a box: how messages name it."""
        name = name_below(self.folder, picture.path)
        if picture.box is None:
            return name
        y0, x0, y1, x1 = picture.box
        return f"{name}[{y0}:{y1}, {x0}:{x1}]"

    def has_own_group(self, picture: Picture) -> bool:
        """Whether a picture's file is its group, because the data set names none."""
        return picture.group == name_below(self.folder, picture.path)

    def with_categories_of(self, names: Iterable[str]) -> "DataSet":
        """The same pictures, their categories written as in `names` wherever one of these is the same name."""
        known = list(names)
        forms = {name: matching(name, known) or name for name in self.categories}
        return replace(self, pictures=tuple(replace(p, category=forms[p.category]) for p in self.pictures))

    def unified(self) -> "DataSet":
        """The same pictures, each category, group and source written as it was first, with a note where that differs.

        Groups written in two ways would be on both sides of a split.

        Raises
        ------
        SettingsError
            A category whose name no model could hold.
        """
        categories = [picture.category for picture in self.pictures]
        names = map(trimmed, categories)
        wrong = next((name for name in names if len(name) > _LONGEST or _CONTROLS.search(name)), None)
        if wrong is not None:
            raise SettingsError(
                f"{text_of_path(self.folder)}: has the category {wrong[:60]!r}; a category's name is one line of at "
                f"most {_LONGEST} characters."
            )
        groups = [picture.group for picture in self.pictures if not self.has_own_group(picture)]
        category_forms, group_forms = first_forms(categories), first_forms(groups)
        source_forms = first_forms(picture.source for picture in self.pictures)
        pictures = tuple(
            replace(
                picture,
                category=category_forms[picture.category],
                group=picture.group if self.has_own_group(picture) else group_forms[picture.group],
                source=source_forms[picture.source],
            )
            for picture in self.pictures
        )
        said = [
            *(f"Categories: {text}" for text in sentences_on(categories, "category", "categories")),
            *(f"Groups: {text}" for text in sentences_on(groups, "group", "groups")),
        ]
        return replace(self, pictures=pictures, notes=(*self.notes, *said))


def part_of(name: str) -> Part | None:
    """The side of a split that a name means, whatever its case; None for any other name."""
    return _PARTS.get(fold(name))


def name_below(folder: Path, path: Path) -> str:
    """A path as text, below the folder if it lies there, with `/`."""
    below = path.is_relative_to(folder)
    return text_of_path((path.relative_to(folder) if below else path).as_posix())


def sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Different names, sorted alike in whatever Unicode form they are written."""
    return tuple(sorted(set(names), key=lambda name: (key(name), name)))
