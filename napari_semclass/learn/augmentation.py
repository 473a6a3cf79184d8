"""How training pictures may be varied: the part of a plan that says what an SEM could have recorded instead."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_Share = Annotated[float, Field(ge=0, le=1)]
_Pixels = Annotated[float, Field(ge=0, le=8)]


@dataclass(frozen=True, config=_STRICT)
class Augmentation:
    """Greatest strength of each effect; 0 (or False) turns it off.

    Every tile draws its own strengths between none and the greatest. Grey levels are in [0, 1]. Pixels are those of
    a tile 224 px wide: on smaller inputs they shrink, and noise with them, as when the varied tile were resized.

    Parameters
    ----------
    dihedral : bool
        Mirror and turn by quarter turns, without interpolation; all eight ways are equally likely.
    rotation : float
        Degrees, either way, in [0, 180].
    scale : float
        Relative zoom: magnified or shrunk by a factor up to 1 + `scale`, in [0, 1]. 0 where physical scale
        tells the categories apart.
    translation : float
        Share of the side, along each axis, in [0, 0.5].
    brightness : float
        Grey levels added or taken away, in [0, 1].
    contrast : float
        Contrast about the tile's mean changes by a factor up to 1 + `contrast`, either way, in [0, 2].
    gamma : float
        Exponents between 1 / (1 + `gamma`) and 1 + `gamma`, in [0, 2].
    poisson : float
        Shot noise: one over the number of electrons that make a white pixel, in [0, 0.1]. 0.0025 are 400 electrons:
        a standard deviation of 0.05 in white, 0.025 at a quarter of it.
    gaussian : float
        Standard deviation of the amplifier's noise in grey levels, in [0, 0.3].
    scan_lines : float
        Sideways jitter of the scanned lines in pixels rms, in [0, 8].
    charging : float
        Probability that bright or dark streaks trail behind bright spots, in [0, 1].
    defocus : float
        Standard deviation of the blur in pixels, in [0, 8].
    astigmatism : float
        Standard deviation in pixels of a blur along one direction only, drawn for each tile, in [0, 8].
    share : float
        Probability for each of brightness, contrast, gamma, noise, jitter and blur to befall a tile, in [0, 1].
    """

    dihedral: bool = True
    rotation: Annotated[float, Field(ge=0, le=180)] = 10.0
    scale: _Share = 0.1
    translation: Annotated[float, Field(ge=0, le=0.5)] = 0.03
    brightness: _Share = 0.08
    contrast: Annotated[float, Field(ge=0, le=2)] = 0.25
    gamma: Annotated[float, Field(ge=0, le=2)] = 0.25
    poisson: Annotated[float, Field(ge=0, le=0.1)] = 0.004
    gaussian: Annotated[float, Field(ge=0, le=0.3)] = 0.03
    scan_lines: _Pixels = 0.3
    charging: _Share = 0.1
    defocus: _Pixels = 1.2
    astigmatism: _Pixels = 1.2
    share: _Share = 0.4
