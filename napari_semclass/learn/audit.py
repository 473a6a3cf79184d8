"""The audit of a data set before anything is learned from it: what cannot be used, what repeats, what is uneven."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_semclass.learn.dataset import DataSet
from napari_semclass.learn.duplicates import near_duplicates
from napari_semclass.learn.looking import look_at_all
from napari_semclass.learn.sources import Coincidence, coincidence, sources_of
from napari_semclass.names import confusable, differing
from napari_semclass.writing import json_text, replacing

_UNEVEN = 3.0  # pictures of the largest category over those of the smallest
_EACH_ITS_OWN = (
    "Each picture counts as a specimen of its own. Where several show the same specimen, name it in the column group "
    "of a manifest.csv; otherwise the figures are too good."
)
_NAMED = 5  # in a sentence; the file has all


@dataclass(frozen=True)
class CategoryCount:
    """Pictures of a category, those of them that can be used, and how many groups these are from."""

    name: str
    pictures: int
    usable: int
    groups: int


@dataclass(frozen=True)
class Alike:
    """Pictures, by name, that show the same; and the categories and groups that the data set gives them."""

    pictures: tuple[str, ...]
    categories: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Audit:
    """What was found in a data set; `asdict` gives what JSON can hold.

    Parameters
    ----------
    pictures : int
    categories : tuple of CategoryCount
    unreadable : tuple of str
        One sentence for each picture that cannot be read.
    copies, contradictory, near : tuple of Alike
        Copies to the pixel within a category (the first is used) and across categories (none is used);
        near-duplicates (all are used).
    sizes : tuple of (int, int)
        Heights and widths that occur, smallest area first.
    coloured : dict of str to int
        Pictures by category whose colour channels differ.
    stacks, ignored, notes : tuple of str
        Pictures of several planes; what lies in the folder and is no part of the data set; the data set's notes.
    groups : tuple of int
        For each picture the number of its group, after groups that share a picture, a copy or a near-duplicate
        were joined.
    usable : tuple of int
        Indices of the pictures to work with.
    barred : tuple of int
        Indices of those of them that have a data bar.
    sources : tuple of str
        Where each picture is from (see `sources_of`).
    coincidence : Coincidence
        Of category and source, among the usable pictures.
    """

    pictures: int
    categories: tuple[CategoryCount, ...]
    unreadable: tuple[str, ...]
    copies: tuple[Alike, ...]
    contradictory: tuple[Alike, ...]
    near: tuple[Alike, ...]
    sizes: tuple[tuple[int, int], ...]
    coloured: dict[str, int]
    stacks: tuple[str, ...]
    ignored: tuple[str, ...]
    groups: tuple[int, ...]
    usable: tuple[int, ...]
    barred: tuple[int, ...]
    sources: tuple[str, ...]
    coincidence: Coincidence
    notes: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """What a user should know, the most serious first."""
        groups = len({self.groups[index] for index in self.usable})
        return [
            f"{_number(self.pictures, 'picture')}, {len(self.usable):,} of them usable, "
            f"in {_number(len(self.categories), 'category')}{self._look_alike()} and {_number(groups, 'group')}.",
            *self.notes,
            *self._on_categories(),
            *([_EACH_ITS_OWN] if len(self.categories) < groups == len(self.usable) else []),
            *([warning] if (warning := self.coincidence.sentence()) else []),
            *self._on_duplicates(),
            *self._on_pictures(),
        ]

    def _look_alike(self) -> str:
        """In brackets, names of categories that may be meant to be one."""
        sets = confusable(category.name for category in self.categories)
        return f" ({differing(sets[0])}{', among others' if len(sets) > 1 else ''})" if sets else ""

    def _on_categories(self) -> list[str]:
        said = []
        if len(self.categories) == 1:
            said.append(f"All pictures are of the category {self.categories[0].name}; learning needs at least two.")
        for category in self.categories:
            if not category.usable:
                said.append(f"{category.name} has no picture that can be used.")
            elif category.usable == 1:
                said.append(f"{category.name} has one usable picture only; add pictures of other specimens.")
            elif category.groups == 1:
                said.append(
                    f"{category.name} has one group only ({category.usable:,} pictures), so how well it is told apart "
                    "on other specimens cannot be measured."
                )
        counts = sorted((category.usable, category.name) for category in self.categories if category.usable)
        if counts and counts[-1][0] >= _UNEVEN * counts[0][0]:
            (few, rare), (many, frequent) = counts[0], counts[-1]
            said.append(
                f"Categories are uneven: {frequent} has {many:,} pictures, {rare} {few:,} ({many / few:.0f} : 1)."
            )
        return said

    def _on_duplicates(self) -> list[str]:
        said = [f"Left out: {reason}" for reason in self.unreadable[:_NAMED]]
        if len(self.unreadable) > _NAMED:
            said.append(f"Left out: {len(self.unreadable) - _NAMED:,} more that cannot be read.")
        if self.copies:
            spare = sum(len(alike.pictures) - 1 for alike in self.copies)
            said.append(f"{_number(spare, 'exact copy')} left out, such as {_named(self.copies[0].pictures[1:])}.")
        said += [
            f"Left out, as the same picture is in {_listed(alike.categories)}: {_named(alike.pictures)}."
            for alike in self.contradictory[:_NAMED]
        ]
        if len(self.contradictory) > _NAMED:
            said.append(f"So are {len(self.contradictory) - _NAMED:,} more pictures.")
        if self.near:
            held = sum(len(alike.pictures) for alike in self.near)
            said.append(
                f"{held:,} pictures are near-duplicates in {_number(len(self.near), 'set')}, each kept on one side of "
                f"a split, such as {_named(self.near[0].pictures)}."
            )
        # Where no groups were given, a file is its own: that these are joined goes without saying.
        joined = [alike for alike in self.near if len(alike.groups) > 1 and set(alike.groups) != set(alike.pictures)]
        if joined:
            said.append(f"Near-duplicates join groups: {'; '.join(_named(alike.groups) for alike in joined[:_NAMED])}.")
        said += [
            f"Near-duplicates are in {_listed(alike.categories)}; check which is right: {_named(alike.pictures)}."
            for alike in [alike for alike in self.near if len(alike.categories) > 1][:_NAMED]
        ]
        return said

    def _on_pictures(self) -> list[str]:
        said = []
        if len(self.sizes) > 1:
            (height, width), (tallest, widest) = self.sizes[0], self.sizes[-1]
            said.append(f"{len(self.sizes):,} sizes, from {width:,} x {height:,} to {widest:,} x {tallest:,} px.")
        if self.coloured:
            by_category = _listed([f"{count:,} of {name}" for name, count in self.coloured.items()])
            said.append(f"Pictures in colour ({by_category}) are used as grey ones.")
        if self.stacks:
            said.append(f"Pictures of several planes, all of which are used: {_named(self.stacks)}.")
        said += [f"Not used: {reason}" for reason in self.ignored[:_NAMED]]
        if len(self.ignored) > _NAMED:
            said.append(f"Not used: {len(self.ignored) - _NAMED:,} more files and folders.")
        return said


def audit(dataset: DataSet, progress: Callable[[int, int], None] | None = None) -> Audit:
    """Look at every picture once, and compare all.

    Parameters
    ----------
    dataset : DataSet
    progress : callable, optional
        Told the number of files looked at and their total.
    """
    pictures = dataset.pictures
    seen = look_at_all(dataset, progress)
    prints = {index: look.fingerprint for index, look in enumerate(seen) if look.fingerprint is not None}
    by_pixels: dict[str, list[int]] = defaultdict(list)
    for index, print_ in prints.items():
        by_pixels[print_.digest].append(index)
    copies = [same for same in by_pixels.values() if len(same) > 1]
    contradictory = [same for same in copies if len({pictures[index].category for index in same}) > 1]
    left_out = {index for same in copies for index in same[1:]} | {index for same in contradictory for index in same}
    usable = [index for index in prints if index not in left_out]
    different = [same[0] for same in by_pixels.values()]
    near = [(different[a], different[b]) for a, b in near_duplicates([prints[index] for index in different])]
    # One grey level says nothing of where a picture is from, so such copies do not join groups.
    equal = [(same[0], index) for same in copies if not prints[same[0]].flat for index in same[1:]]
    groups = joined([picture.group for picture in pictures], [*equal, *near])
    sources = sources_of(dataset, [look.instrument for look in seen])
    known = [(pictures[index].category, sources[index], groups[index]) for index in usable]
    return Audit(
        pictures=len(pictures),
        categories=_counts(dataset, usable, groups),
        unreadable=tuple(look.unreadable for look in seen if look.unreadable),
        copies=_alike(dataset, [same for same in copies if same not in contradictory]),
        contradictory=_alike(dataset, contradictory),
        near=_alike(dataset, _clusters(near)),
        sizes=tuple(sorted({seen[index].shape for index in prints}, key=lambda shape: (shape[0] * shape[1], shape))),
        coloured=dict(sorted(Counter(pictures[index].category for index in usable if seen[index].coloured).items())),
        stacks=tuple(dataset.name(pictures[index]) for index in usable if seen[index].planes > 1),
        ignored=dataset.ignored,
        groups=groups,
        usable=tuple(usable),
        barred=tuple(index for index in usable if seen[index].barred),
        sources=sources,
        coincidence=coincidence(*(zip(*known, strict=True) if known else ((), (), ()))),
        notes=dataset.notes,
    )


def save_audit(audit: Audit, path: Path) -> None:
    """Write everything that was found, and the sentences about it, as JSON.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    with replacing(path) as temporary:
        found = {"sentences": audit.sentences(), **asdict(audit)}
        temporary.write_text(json_text(found, indent=1) + "\n", encoding="utf-8")


def joined(names: Sequence[str], pairs: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Number of each picture's group, from 0 in order of appearance: equal names and pairs belong together."""
    if not names:
        return ()
    _, named = np.unique(np.array(names), return_inverse=True)
    ends = named[np.array(pairs, dtype=np.int64).reshape(-1, 2)]
    edges = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(named.max() + 1,) * 2)
    _, group_of_name = connected_components(edges, directed=False)
    numbers: dict[int, int] = {}
    return tuple(numbers.setdefault(int(group), len(numbers)) for group in group_of_name[named])


def _clusters(pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Pictures that pairs connect."""
    members = sorted({index for pair in pairs for index in pair})
    place = {index: number for number, index in enumerate(members)}
    numbers = joined([str(index) for index in members], [(place[a], place[b]) for a, b in pairs])
    clusters: dict[int, list[int]] = defaultdict(list)
    for index, number in zip(members, numbers, strict=True):
        clusters[number].append(index)
    return list(clusters.values())


def _alike(dataset: DataSet, clusters: Sequence[Sequence[int]]) -> tuple[Alike, ...]:
    chosen = [[dataset.pictures[index] for index in cluster] for cluster in clusters]
    return tuple(
        Alike(
            tuple(dataset.name(picture) for picture in pictures),
            tuple(sorted({picture.category for picture in pictures})),
            tuple(sorted({picture.group for picture in pictures})),
        )
        for pictures in chosen
    )


def _counts(dataset: DataSet, usable: Sequence[int], groups: Sequence[int]) -> tuple[CategoryCount, ...]:
    """What each category has, by name."""
    all_of = Counter(picture.category for picture in dataset.pictures)
    usable_of = Counter(dataset.pictures[index].category for index in usable)
    groups_of = Counter(
        category for category, _ in {(dataset.pictures[index].category, groups[index]) for index in usable}
    )
    return tuple(CategoryCount(name, all_of[name], usable_of[name], groups_of[name]) for name in dataset.categories)


def _named(names: Sequence[str]) -> str:
    """The first few of these names."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _number(count: int, noun: str) -> str:
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("y") else f"{count:,} {noun}s"
