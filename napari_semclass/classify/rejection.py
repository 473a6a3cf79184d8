"""When to say "unknown": below which confidence, and how unlike the training a tile may be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_semclass.model.card import Card, Category
from napari_semclass.names import fold

UNKNOWN_COLOR = "#8c8c8c"
_NAMES = ("unknown", "unknown (no answer)")
# Strangeness is scaled so that held-out tiles of the training rarely pass it; see `model.familiar`.
STRANGE = 1.0


@dataclass(frozen=True)
class Rejection:
    """What does not get one of the model's categories.

    Parameters
    ----------
    confidence : float
        Tiles whose largest probability is below it, in [0, 1], are unknown; 0 asks for none.
    strangeness : float
        Tiles above it are unknown; the model's own measure of it has to be there.
    category : Category
        Name and colour of what is unknown.
    """

    confidence: float
    strangeness: float
    category: Category

    def rejects(self, confidence: NDArray[np.float32], strangeness: NDArray[np.float32] | None) -> NDArray[np.bool_]:
        """Which tiles (or cells) are unknown, of the arrays' shape; False where they are NaN (not computed)."""
        unsure = confidence < self.confidence
        return unsure if strangeness is None else unsure | (strangeness > self.strangeness)

    def colored(self, color: str) -> "Rejection":
        """The same in another colour, `#rrggbb`."""
        return replace(self, category=replace(self.category, color=color))


def unknown_category(categories: Sequence[Category]) -> Category:
    """The category of what is unknown, under a name that none of these has."""
    taken = {fold(category.name) for category in categories}
    names = [*_NAMES, *(f"{_NAMES[1]} {number}" for number in range(2, len(taken) + 2))]
    return Category(next(name for name in names if name not in taken), UNKNOWN_COLOR)


def rejection_of(reject: str | float, card: Card) -> Rejection | None:
    """What `Settings.reject` means for a model: None where it never says "unknown".

    "off" is None. A number is the least confidence; "auto" takes the one that the card recommends, if any. Both also
    reject what is unlike the training. A model that can tell neither has no "auto".
    """
    if reject == "off":
        return None
    if isinstance(reject, str) and card.familiar_kept is None and card.unknown_threshold is None:
        return None
    confidence = card.unknown_threshold or 0.0 if isinstance(reject, str) else float(reject)
    return Rejection(confidence, STRANGE, unknown_category(card.categories))


def recorded(rejection: Rejection | None) -> str | float:
    """What a record says under the setting `reject`: the least confidence, or "off"."""
    return "off" if rejection is None else rejection.confidence
