"""One large synthetic micrograph with several categories side by side, and the map of what is where."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_semclass.errors import SettingsError
from napari_semclass.samples.detector import expose
from napari_semclass.samples.scene import Field, Shape, enlarge, rough
from napari_semclass.samples.synthetic import CATEGORIES, check, detected

_REGION = 1300  # Mean side of a region in pixels: most tiles of 224 px then show one category only.
_COARSE = 8  # Borders are smooth, so they are worked out on every eighth pixel.
_BLEND = 24.0  # Width in pixels over which one category fades into the next.
_FIELD = 420.0  # Field of view of the scenes in pixels, so that a tile of 224 px holds something to recognise.


def _seeds(shape: Shape, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return `count` centres that keep their distance from each other, shape (count, 2)."""
    chosen = [rng.uniform(0, 1, 2) * shape]
    while len(chosen) < count:
        trials = rng.uniform(0, 1, (60, 2)) * shape
        gaps = np.min([np.hypot(*(trials - other).T) for other in chosen], axis=0)
        chosen.append(trials[int(np.argmax(gaps))])
    return np.array(chosen)


def _shares(shape: Shape, seeds: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return how much of every coarse pixel belongs to each region, shape (regions, rows, columns), sum 1."""
    small = (max(2, -(-shape[0] // _COARSE)), max(2, -(-shape[1] // _COARSE)))
    scale = [n / m for n, m in zip(shape, small, strict=True)]
    y, x = ((np.indices(small)[axis] + 0.5) * scale[axis] for axis in (0, 1))
    sway = 0.09 * np.sqrt(shape[0] * shape[1] / len(seeds))
    y, x = y + sway * rough(small, small[0] / 6, rng), x + sway * rough(small, small[1] / 6, rng)
    distance = np.stack([np.hypot(y - row, x - column) for row, column in seeds])
    share = np.exp(-(distance - distance.min(axis=0)) / (_BLEND / 4))
    return np.asarray(share / share.sum(axis=0), np.float32)


def _window(share: Field, shape: Shape) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where a region is: slices of the coarse field, and the same place in full pixels."""
    rows, columns = (np.flatnonzero((share > 1e-3).any(axis=axis)) for axis in (1, 0))
    coarse = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    fine = tuple(
        slice(piece.start * n // m, piece.stop * n // m) for piece, n, m in zip(coarse, shape, share.shape, strict=True)
    )
    return coarse, (fine[0], fine[1])


def synthetic_mosaic(
    shape: tuple[int, int] = (4096, 4096), seed: int = 0, categories: Sequence[str] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one large micrograph with irregular regions of several categories, and its true map.

    Parameters
    ----------
    shape
        Rows and columns, at least 48 each; regions are about 1300 pixels wide where there is room.
    seed
        Same seed, same pixels. Not negative.
    categories
        Which categories appear, each at least once; all ten of `CATEGORIES` if None.

    Returns
    -------
    mosaic, truth
        Grey levels and indices into `CATEGORIES`, both uint8 and of shape `shape`. Where two regions fade into each
        other (about 24 pixels) the map names the stronger one.

    Raises
    ------
    SettingsError
        If a category is unknown, none is given, or the shape is too small.
    """
    names = CATEGORIES if categories is None else tuple(categories)
    if not names:
        raise SettingsError("A synthetic mosaic needs at least one category; leave it out for all ten.")
    for name in names:
        check(name, shape)
    rng = np.random.default_rng([seed, len(CATEGORIES)])
    count = max(len(names), round(shape[0] * shape[1] / _REGION**2))
    order = np.concatenate([rng.permutation(len(names)) for _ in range(-(-count // len(names)))])[:count]
    shares = _shares(shape, _seeds(shape, count, rng), rng)
    picture, best = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    truth = np.zeros(shape, np.uint8)
    for region, share in zip(order, shares, strict=True):
        if not (share > 1e-3).any():
            continue
        coarse, fine = _window(share, shape)
        weight = enlarge(share[coarse], best[fine].shape)
        picture[fine] += weight * _texture(names[region], best[fine].shape, rng)
        stronger = weight > best[fine]
        best[fine][stronger] = weight[stronger]
        truth[fine][stronger] = CATEGORIES.index(names[region])
    return expose(picture, rng).astype(np.uint8), truth


def _texture(name: str, shape: Shape, rng: np.random.Generator) -> Field:
    """Return one category at the contrast that an operator would set for it alone."""
    size = (max(shape[0], 64), max(shape[1], 64))
    signal = detected(name, size, min(_FIELD, float(min(size))), rng)[: shape[0], : shape[1]]
    low, high = np.quantile(signal[::4, ::4], [0.01, 0.99])
    return np.asarray(np.clip((signal - 0.6 * low) / max(high - 0.6 * low, 1e-6), 0, 1.4), np.float32)
