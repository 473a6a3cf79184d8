"""What bounds a constant fill: long straight edges that end within a pixel, as a program draws them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import approximate_polygon, find_contours

_Flags = NDArray[np.bool_]
_Read = Callable[[int, int, int, int], NDArray[Any]]

SMOOTHED = 5
"""Points: side of the square that fits into a fill everywhere, once it is smoothed."""
_TOLERANCE = 1.0  # points that an edge may stray from a straight line
_LONG = (16.0, 0.04)  # points, and share of the picture's shorter side: edges from this length on are straight
_STRAIGHT = 0.9  # share of the outline in such edges
_PIECE, _MOST_PIECES = 4.0, 0.15  # points, and share of the outline in such pieces
_TURNED = 2.5  # points that an edge's end may lie beside the direction of the others
_PROFILES, _PROFILE, _LEAST_PROFILES = 16, 8, 8  # across edges in each direction, pixels in one, and fewest that tell
_LEAST_EDGE = 0.1  # share of the longest direction's points
_MOST_BLUR = 0.12  # of the step from the ground to a fill, in the second pixel beside it


def of_level(grey: NDArray[Any], level: float, tolerance: float) -> _Flags:
    """Find the pixels of a level; those within `tolerance` of it count, too."""
    near: _Flags = np.abs(grey - np.float32(level)) <= tolerance if tolerance else grey == level
    return near


def is_straight(part: _Flags, top: int, left: int, allowed: _Flags, width: int) -> bool:
    """Tell whether long lines along the axes, or of one other direction, bound a part; its box begins at top, left."""
    shape = len(allowed), width
    outline = find_contours(np.pad(part, 1).astype(np.float32), 0.5)
    if sum(map(len, outline)) > 6 * sum(shape):
        return False  # rough
    edges = np.concatenate([_edges(line + np.array([top - 1, left - 1])) for line in outline])
    edges = edges[[not _outer(edge, allowed, width) for edge in edges]]
    if not len(edges):
        return False  # the whole picture
    along = edges[:, 2:] - edges[:, :2]
    lengths = np.hypot(*along.T)
    # Half a point at each corner is cut off by the outline itself.
    long = lengths >= max(_LONG[0], _LONG[1] * min(shape)) - 1
    upright = np.abs(along).min(axis=1) <= _TOLERANCE
    oblique = np.flatnonzero(long & ~upright)
    reference = along[oblique[lengths[oblique].argmax()]] if len(oblique) else np.array([0.0, 1.0])
    reference = reference / np.hypot(*reference)
    beside = np.minimum(np.abs(along @ reference), np.abs(along @ (reference[1], -reference[0])))
    # The thin ends of a corner are ragged: there, pieces in the direction of the others will do.
    pieces = ~long & (beside <= _TOLERANCE) & (lengths >= _PIECE)
    straight = lengths[long].sum() + min(lengths[pieces].sum(), _MOST_PIECES * lengths.sum())
    if straight < _STRAIGHT * lengths.sum() - SMOOTHED:
        return False
    touches = top == 0 or left == 0 or top + part.shape[0] == shape[0] or left + part.shape[1] == width
    touches = touches or not allowed[top - 1] or not allowed[top + part.shape[0]]
    return not len(oblique) or (touches and bool((beside[oblique] <= _TURNED).all()))


def _edges(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges (n, 4), `y0, x0, y1, x1`, of the polygon that a closed line nearly is; it begins at a corner."""
    corner = int(np.argmax(np.hypot(*(line - line.mean(axis=0)).T)))
    line = np.concatenate([line[corner:-1], line[: corner + 1]])
    half = int(np.argmax(np.hypot(*(line - line[0]).T)))
    parts = (approximate_polygon(each, _TOLERANCE) for each in (line[: half + 1], line[half:]))
    return np.concatenate([np.hstack([each[:-1], each[1:]]) for each in parts])


def _outer(edge: NDArray[np.float64], allowed: _Flags, width: int) -> bool:
    """Whether an edge runs along the picture's border or a data bar."""
    y0, x0, y1, x1 = edge.tolist()
    if max(x0, x1) <= 0.5 or min(x0, x1) >= width - 1.5:
        return True
    above, below = max(y0, y1), min(y0, y1)
    if abs(y0 - y1) > 1:
        return False
    rows = np.concatenate([[False], allowed, [False]])
    first, last = max(0, int(np.floor(below)) + 1), min(len(rows) - 1, int(np.ceil(above)) + 1)
    return bool(not rows[first : last + 1].all())


def is_sharp(drawn: _Flags, allowed: _Flags, level: float, step: int, read: _Read, tolerance: float) -> bool:
    """Tell whether edges end within a pixel, as a program draws them: a beam blurs those of saturated specimen.

    Profiles across edges are averaged from the first pixel that is no fill; the last of their pixels are the ground.
    """
    directions = ((0, 1), (0, -1), (1, 0), (-1, 0))
    edges = [
        np.argwhere(drawn & ~np.roll(drawn, (-dy, -dx), axis=(0, 1)) & np.roll(allowed, -dy)[:, None])
        for dy, dx in directions
    ]
    most = max(map(len, edges))
    shape = len(allowed) * step, drawn.shape[1] * step
    profiles = []
    for (dy, dx), edge in zip(directions, edges, strict=True):
        if len(edge) < _LEAST_EDGE * most:  # roughness of the others, seen along them
            continue
        for y, x in edge[np.linspace(0, len(edge) - 1, min(_PROFILES, len(edge))).astype(int)].tolist():
            line = _line(y * step, x * step, dy, dx, 4 * step + _PROFILE, shape, read)
            outside = np.flatnonzero(~of_level(line, level, tolerance))
            if len(outside) and len(line) - outside[0] >= _PROFILE:
                profiles.append(line[outside[0] : outside[0] + _PROFILE].astype(np.float64))
    known = [profile for profile in profiles if np.isfinite(profile).all()]
    if len(known) < _LEAST_PROFILES:
        return True
    mean = np.mean(known, axis=0)
    ground = float(mean[-3:].mean())
    noise = float(np.std([profile[-3:].mean() for profile in known])) / len(known) ** 0.5
    if abs(level - ground) <= 10 * noise:  # of the ground's own level: its edges cannot be seen
        return True
    return bool((mean[1] - ground) / (level - ground) <= _MOST_BLUR)


def _line(y: int, x: int, dy: int, dx: int, length: int, shape: tuple[int, int], read: _Read) -> NDArray[Any]:
    """Pixels from a place in one direction, as far as the picture goes."""
    if dy:
        y0, y1 = (y, min(y + length, shape[0])) if dy > 0 else (max(0, y - length + 1), y + 1)
        line = read(y0, y1, x, x + 1)[:, 0]
    else:
        x0, x1 = (x, min(x + length, shape[1])) if dx > 0 else (max(0, x - length + 1), x + 1)
        line = read(y, y + 1, x0, x1)[0]
    return line[::-1] if dy + dx < 0 else line
