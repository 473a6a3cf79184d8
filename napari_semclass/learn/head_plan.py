"""The plan of a linear head on a frozen backbone, as one dataclass and one TOML file."""

from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from napari_semclass.learn.toml import read_toml

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, config=_STRICT)
class View:
    """A way of looking at a picture while learning.

    Parameters
    ----------
    field : float
        Side of the square crop as a share of the specimen's shorter side, in (0, 1]. 1 takes the crops that
        classifying a whole picture takes; less takes `crops` random ones.
    crops : int
        Number of random crops; not used for whole pictures.
    pixels : int
        When not 0, the crop is shrunk to this side first, as small pictures of the same field are.
    """

    field: Annotated[float, Field(gt=0, le=1)]
    crops: Annotated[int, Field(ge=1)] = 1
    pixels: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, config=_STRICT)
class Drawn:
    """Generated micrographs to learn from beside the real ones.

    Parameters
    ----------
    per_category : int
        How many of each category. The more there are, the weaker is the same `regularisation`.
    weight : float
        What those of one category weigh in the fit, together, in groups of real pictures.
    """

    per_category: Annotated[int, Field(ge=1)]
    weight: Annotated[float, Field(gt=0)]


@dataclass(frozen=True, config=_STRICT)
class HeadPlan:
    """A frozen backbone with a linear head.

    Parameters
    ----------
    backbone : str
        timm's name of the network.
    mean, std : float
        What its pretrained weights expect of grey levels in [0, 1].
    input_size, tile : int
        Side of the network's input; side of a tile in source pixels.
    views : tuple of View
        What is learned from each picture; each kind of view has the same weight.
    regularisation : float
        scikit-learn's C of the logistic regression (smaller is smoother), on standardised features;
        per view, so the more views are learned from, the weaker.
    balance : float
        0 weighs all groups alike, 1 all categories alike; between, a compromise.
    seed : int
    drawn : Drawn or None
        None: real pictures alone.
    """

    backbone: str
    mean: float
    std: Annotated[float, Field(gt=0)]
    input_size: Annotated[int, Field(ge=16)]
    tile: Annotated[int, Field(ge=16)]
    views: Annotated[tuple[View, ...], Field(min_length=1)]
    regularisation: Annotated[float, Field(gt=0)]
    balance: Annotated[float, Field(ge=0, le=1)]
    seed: int = 0
    drawn: Drawn | None = None


_PLANS = TypeAdapter(HeadPlan)


def read_head_plan(path: str | Path) -> HeadPlan:
    """Read a plan from TOML.

    Raises
    ------
    SettingsError
        Missing, not TOML, or with a key that is unknown, missing or out of range.
    """
    return read_toml(path, _PLANS)
