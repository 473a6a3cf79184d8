"""What a model's training looked like to its network, in little, so that it notices what is like none of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_semclass.errors import ModelError

PREFIX = "card.familiar."
# A file may ask for no more memory than this; see `learn.familiar` for what is stored.
_MOST_DIMENSIONS = 512
_NAMES = ("projection", "offset", "means", "spread", "weights")


@dataclass(frozen=True, eq=False)
class Familiar:
    """Where the features of each category of the training lie, in a space of few dimensions.

    Parameters
    ----------
    projection : Tensor (features, dimensions)
    offset : Tensor (dimensions,)
        Features lie at `features @ projection - offset`: the mean of all training tiles is 0, tiles vary by 1 around
        the mean of their category.
    means : Tensor (categories, dimensions)
        Of each category that there was training for.
    spread : Tensor (dimensions,)
        Variance of all training tiles.
    weights : Tensor (3,)
        Of the two `parts`, and what is added to them.

    Notes
    -----
    Sources: Ren et al., A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection, 2021 (relative
    distance); Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020 (energy).
    """

    projection: Tensor
    offset: Tensor
    means: Tensor
    spread: Tensor
    weights: Tensor

    def strangeness(self, features: Tensor, logits: Tensor) -> Tensor:
        """How unlike the training tiles are, (n,): 0 as its held-out tiles are on average, 1 as few of them are."""
        return self.parts(features, logits) @ self.weights[:-1] + self.weights[-1]

    def parts(self, features: Tensor, logits: Tensor) -> Tensor:
        """What strangeness is made of, (n, 2).

        Parameters
        ----------
        features : Tensor (n, features)
            What the network's linear classifier is given.
        logits : Tensor (n, categories)
            Its unscaled scores.

        Returns
        -------
        Tensor (n, 2)
            How much farther the nearest category's mean is than the mean of everything (squared Mahalanobis
            distances), and the energy: how little any category's score says.
        """
        at = features.float() @ self.projection - self.offset
        nearest = torch.cdist(at, self.means).amin(dim=1) ** 2
        relative = nearest - (at**2 / self.spread).sum(dim=1)
        return torch.stack([relative, -torch.logsumexp(logits.float(), dim=1)], dim=1)

    def tensors(self) -> dict[str, Tensor]:
        """What the model file holds of it."""
        return {f"{PREFIX}{name}": getattr(self, name).detach().cpu().contiguous() for name in _NAMES}

    def on(self, device: torch.device) -> "Familiar":
        """The same on a device."""
        return Familiar(*(getattr(self, name).to(device) for name in _NAMES))


def read_familiar(
    tensors: Mapping[str, Tensor], width: int | None, categories: int, expected: bool, source: str
) -> Familiar | None:
    """Check the tensors named `card.*` of a model file, and take them; None when there are none.

    Parameters
    ----------
    tensors : mapping
        All tensors of the file.
    width : int or None
        Inputs of the network's linear classifier; None when it has no such.
    categories : int
        Of the card.
    expected : bool
        Whether the card says that there are such.
    source : str
        The file, for messages.

    Raises
    ------
    ModelError
        When one is missing, left over, of another shape or kind, or not finite.
    """
    found = {name: value for name, value in tensors.items() if name.startswith("card.")}
    names = {f"{PREFIX}{name}" for name in _NAMES} if expected else set()
    if names != set(found):
        wrong = sorted(names ^ set(found))[0]
        raise ModelError(f"{source}: the tensor {wrong!r} is missing or not named by its card; the file is damaged.")
    if not expected:
        return None
    for name, value in found.items():
        if not value.is_floating_point() or not torch.isfinite(value.float()).all():
            raise ModelError(f"{source}: the tensor {name!r} does not hold finite numbers; the file is damaged.")
    familiar = Familiar(*(found[f"{PREFIX}{name}"].float() for name in _NAMES))
    dimensions, known = len(familiar.offset.flatten()), len(familiar.means)
    shapes = ((width, dimensions), (dimensions,), (known, dimensions), (dimensions,), (3,))
    fits = all(getattr(familiar, name).shape == shape for name, shape in zip(_NAMES, shapes, strict=True))
    if not (fits and 0 < dimensions <= _MOST_DIMENSIONS and 0 < known <= categories and (familiar.spread > 0).all()):
        raise ModelError(f"{source}: the tensors {PREFIX}* do not fit each other or the network; the file is damaged.")
    return familiar
