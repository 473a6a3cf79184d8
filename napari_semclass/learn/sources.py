"""Where pictures come from, and whether that alone would tell their category: then a model may learn the instrument."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_semclass.learn.dataset import DataSet

UNKNOWN = "unknown"
# Cohen's large effect, w = 0.5: as w = V sqrt(min(rows, columns) - 1), V = 0.5 is large in a table of any size.
# Source: Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed. 1988, section 7.2.
_LARGE = 0.5
_NAMED = 5  # in a sentence; the file has all


@dataclass(frozen=True)
class Coincidence:
    """How far the source of a picture tells its category.

    Parameters
    ----------
    groups : int
        Pairs of group and category whose source is known; each counts once, as pictures of a group are alike.
    unknown : int
        Pairs whose source is not known; they are left out.
    sources : int
        Different ones.
    cramers_v : float or None
        Association of category and source in [0, 1], corrected for the size of the table (0 where there is none);
        None with fewer than two categories or sources. Source: Bergsma, A bias-correction for Cramér's V and
        Tschuprow's T, J. Korean Stat. Soc. 42, 323 (2013).
    one_source : tuple of str
        Categories all of whose pictures are from one source.
    categories : int
        With a known source.
    """

    groups: int
    unknown: int
    sources: int
    cramers_v: float | None
    one_source: tuple[str, ...]
    categories: int

    @property
    def is_strong(self) -> bool:
        """Whether to warn: a large association, or every category is from one source while there are several.

        Few groups cannot show a large association once it is corrected; hence the second rule.
        """
        if self.cramers_v is None:
            return False
        return self.cramers_v >= _LARGE or len(self.one_source) == self.categories

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "n_groups": self.groups,
            "n_groups_of_unknown_source": self.unknown,
            "n_sources": self.sources,
            "cramers_v": self.cramers_v,
            "categories_of_one_source": list(self.one_source),
            "coincide": self.is_strong,
        }

    def sentence(self) -> str:
        """The warning, or nothing where there is no reason for one."""
        if not self.is_strong:
            return ""
        lone = ""
        if self.one_source:
            more = f" and {len(self.one_source) - _NAMED:,} more" if len(self.one_source) > _NAMED else ""
            lone = f"; from one source only: {', '.join(self.one_source[:_NAMED])}{more}"
        return (
            f"Category and source coincide (Cramér's V {self.cramers_v:.2f} over {self.groups:,} groups of "
            f"{self.sources:,} sources{lone}): a model may learn the instrument or the laboratory instead of the "
            "specimen, and figures on such pictures cannot show it. Add pictures of a category from other sources, too."
        )


def sources_of(dataset: DataSet, instruments: Sequence[str]) -> tuple[str, ...]:
    """Source of each picture: as the manifest says, else the instrument in its file, else its folder, else unknown.

    Folders count only where some folder holds pictures of several categories: otherwise they are how the pictures
    were sorted by category, not where they are from.
    """
    folders = [dataset.name(picture).rpartition("/")[0] for picture in dataset.pictures]
    held = defaultdict(set)
    for folder, picture in zip(folders, dataset.pictures, strict=True):
        held[folder].add(picture.category)
    of_origin = len(held) > 1 and any(len(categories) > 1 for categories in held.values())
    return tuple(
        picture.source or instrument or (folder if of_origin else "") or UNKNOWN
        for picture, instrument, folder in zip(dataset.pictures, instruments, folders, strict=True)
    )


def coincidence(categories: Sequence[str], sources: Sequence[str], groups: Sequence[int]) -> Coincidence:
    """Compare category and source of pictures, each group of a category and source counted once."""
    every = set(zip(categories, sources, groups, strict=True))
    known = sorted(one for one in every if one[1] != UNKNOWN)
    names, row = np.unique([category for category, _, _ in known], return_inverse=True)
    origins, column = np.unique([source for _, source, _ in known], return_inverse=True)
    table = np.zeros((len(names), len(origins)))
    np.add.at(table, (row, column), 1)
    several = len(names) > 1 and len(origins) > 1
    lone = tuple(str(name) for name, counts in zip(names, table, strict=True) if np.count_nonzero(counts) == 1)
    return Coincidence(
        groups=len(known),
        unknown=len(every) - len(known),
        sources=len(origins),
        cramers_v=_corrected_v(table) if several else None,
        one_source=lone if several else (),
        categories=len(names),
    )


def _corrected_v(table: NDArray[np.float64]) -> float:
    """Bias-corrected Cramér's V of counts (categories, sources)."""
    n, (rows, columns) = table.sum(), table.shape
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / n
    squared = ((table - expected) ** 2 / expected).sum() / n
    squared = max(0.0, squared - (rows - 1) * (columns - 1) / (n - 1))
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(min(1.0, np.sqrt(squared / least))) if least > 0 else 0.0
