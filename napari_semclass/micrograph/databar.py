"""Find the instrument's data bar in a micrograph, so that only specimen is cut into tiles.

A data bar is drawn by software: apart from text, each of its rows has one grey level over the whole width, its
first and last rows hold no text, and it begins and ends within a row or two. No specimen is all of that at once,
so every test here must pass before rows are called a bar: a missed bar costs a few odd tiles, a false one costs data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_semclass.micrograph.percentiles import percentiles

_Floats = NDArray[np.floating[Any]]
_Flags = NDArray[np.bool_]

_MOST_COLUMNS = 512  # more only costs time: a text stroke is wider than the step, a uniform row stays uniform
_SMALLEST = 64  # pixels; text in a bar of a smaller picture can't be told from noise
_MARGIN = 0.02  # share of the width left out at each side: some bars stop a few pixels short of it
_TOLERANCES = (0.01, 0.05)  # of the grey range: exact for grey bars on like specimen; wide for resampled JPEG
_HEIGHTS = (0.025, 0.17)  # of the picture's height
_LEAST_ROWS = 10  # for one line of text
_CLEAN = 0.90  # share of a text-free row at its level; the rest may be a logo or a frame's sides
_CLEARLY_MORE = 1.2  # times the rows, for a second finding to replace the first
_AS_SURE = 0.9
_EXACT = 0.6  # the same at _EXACT_TOLERANCE: detector noise spreads wider than a drawn bar's JPEG noise
_EXACT_TOLERANCE = 0.02
_LEAST_BACKGROUND = 0.25  # share of the level in a row full of text
_OUTSIDE = 0.5  # most of the level in the rows beside the bar
_LOGO_EDGE = (0.6, 0.1)  # share of the level in a last row cut by a logo, and at most in the row after it
_FRAME_ROWS = 3  # most in a frame line
_LINE = 0.7  # share of a separating line at its level; the rest may be cut by text
_TEXT_CONTRAST = 0.15  # of the grey range
_TEXT_AREA = (0.01, 0.45)
_RULED = 0.8  # share of a row or column that a line covers
_MANY_LETTERS = (8, 6)  # at least so many letters in so many of _BLOCKS parts of the width ...
_FEW_LETTERS = (4, 2)  # ... and in a band surely drawn by its level and edges, which may hold only a scale
_BLOCKS = 16
_SURELY_DRAWN = (0.95, 0.1)  # least exact share, most of the level in the rows beside


@dataclass(frozen=True)
class DataBar:
    """Rows ``[start, stop)`` (pixels, y down) that hold the instrument's data bar.

    `confidence` is 1 when metadata give the rows. For rows found by their look it is the share of pixels in text-free
    rows that have exactly the bar's grey level, times the share in the rows just outside that have not: about 0.9
    to 1 for a bar drawn on specimen, down to 0.3 for one that is blurred or borders on specimen of its level.
    """

    start: int
    stop: int
    confidence: float


def find_data_bars(pixels: NDArray[Any]) -> tuple[DataBar, ...]:
    """Find horizontal data bars at any height of a picture.

    Parameters
    ----------
    pixels
        Grey picture, shape (y, x), any real dtype and range; NaN and infinity are places without data.

    Returns
    -------
    tuple of DataBar
        Sorted by ``start``; empty where nothing is surely a bar. Thin frame lines belong to the bar.

    Raises
    ------
    ValueError
        If `pixels` is not two-dimensional.

    Notes
    -----
    Tilted or vertical bars (of augmented pictures) and bars without text are not found.
    """
    if pixels.ndim != 2:
        raise ValueError(f"A data bar is looked for in a grey picture (y, x), not in an array of shape {pixels.shape}.")
    grey = _normalised(pixels) if min(pixels.shape) >= _SMALLEST else None
    if grey is None:
        return ()
    medians = np.median(grey, axis=1)
    bars: list[DataBar] = []
    for tolerance in _TOLERANCES:
        uniform = np.mean(np.abs(grey - medians[:, None]) <= tolerance, axis=1) >= _CLEAN
        for start, stop in _candidates(grey, medians, uniform, tolerance):
            bar = _judged(grey, medians, uniform, start, stop, tolerance)
            overlapping = [known for known in bars if bar and known.start < bar.stop and bar.start < known.stop]
            if bar and all(_completes(bar, known) for known in overlapping):
                bars = [known for known in bars if known not in overlapping] + [bar]
    return tuple(sorted(bars, key=lambda bar: bar.start))


def _completes(bar: DataBar, part: DataBar) -> bool:
    """Tell whether a bar found with a wider tolerance holds one found before, and clearly more."""
    inside = bar.start <= part.start and part.stop <= bar.stop
    more = (bar.stop - bar.start) >= _CLEARLY_MORE * (part.stop - part.start)
    return inside and more and bar.confidence >= _AS_SURE * part.confidence


def specimen_rows(height: int, bars: Sequence[DataBar]) -> tuple[tuple[int, int], ...]:
    """Return the row intervals ``[y0, y1)`` of a picture `height` pixels high that no bar covers, top to bottom."""
    intervals = []
    y0 = 0
    for bar in sorted(bars, key=lambda bar: bar.start):
        if bar.start > y0:
            intervals.append((y0, min(bar.start, height)))
        y0 = max(y0, bar.stop)
    if y0 < height:
        intervals.append((y0, height))
    return tuple(intervals)


def _normalised(pixels: NDArray[Any]) -> _Floats | None:
    """Return fewer columns scaled to about 0..1, or None for a picture of one grey level."""
    width = pixels.shape[1]
    margin = round(width * _MARGIN)
    some = np.ascontiguousarray(pixels[:, margin : width - margin : max(1, width // _MOST_COLUMNS)])
    grey = some.astype(np.float64)
    finite = np.isfinite(grey)
    known = some if some.dtype in (np.uint8, np.uint16) else grey[finite]
    low, middle, high = percentiles(known, 0.1, 50, 99.9) if known.size else (0, 0, 0)
    if high <= low:
        return None
    grey[~finite] = middle
    if not finite.all():
        return _rows_continued(np.asarray(np.clip((grey - low) / (high - low), 0, 1), dtype=np.float32), finite)
    return np.asarray(np.clip((grey - low) / (high - low), 0, 1), dtype=np.float32)


def _rows_continued(grey: _Floats, known: _Flags) -> _Floats:
    """Repeat what is known of a row where it holds no data, so that it is as uniform as the rest of it."""
    filled = grey.copy()
    for row in np.flatnonzero(~known.all(axis=1)):
        levels, unknown = grey[row, known[row]], np.flatnonzero(~known[row])
        if 2 * len(levels) < len(unknown):  # too little to say that the rest would be uniform
            levels = np.array([np.min(grey), np.max(grey)])
        filled[row, unknown] = np.resize(levels, len(unknown))
    return filled


def _level_share(grey: _Floats, level: float, tolerance: float) -> _Floats:
    """Return for each row the share of pixels within `tolerance` of `level`."""
    return np.asarray(np.mean(np.abs(grey - level) <= tolerance, axis=1))


def _candidates(grey: _Floats, medians: _Floats, uniform: _Flags, tolerance: float) -> list[tuple[int, int]]:
    """Return row intervals from one uniform row to another of the same level with as much background between."""
    least, most = max(_LEAST_ROWS, _HEIGHTS[0] * len(grey)), _HEIGHTS[1] * len(grey)
    jumps = np.abs(np.diff(medians)) > tolerance
    edges = np.flatnonzero(np.diff(uniform) | jumps) + 1
    runs = [
        (int(start), int(stop)) for start, stop in zip([0, *edges], [*edges, len(grey)], strict=True) if uniform[start]
    ]
    found = []
    while runs:
        start, stop = runs.pop(0)
        level = float(np.median(medians[start:stop]))
        while following := _next_of_level(runs, medians, level, tolerance):
            after = runs[following - 1]
            if after[1] - start > most or not _is_text_between(grey[stop : after[0]], level, tolerance):
                break
            stop = after[1]
            del runs[:following]
        if not least / 2 <= stop - start <= most:  # a reach adds a line of text, not a bar
            continue
        beyond = int(most) + 2  # a reach cut off here makes the bar too high, so it is dropped
        around = range(max(0, stop - beyond), min(len(grey), start + beyond))
        shares = _level_share(grey[around.start : around.stop], level, tolerance)
        start -= _reach(shares[: start - around.start][::-1])
        stop += _reach(shares[stop - around.start :])
        if least <= stop - start <= most:
            found.append((start, stop))
    return found


def _next_of_level(runs: list[tuple[int, int]], medians: _Floats, level: float, tolerance: float) -> int:
    """Return how many runs it takes to the next of this level past separating lines, 0 if there is none."""
    for count, (start, stop) in enumerate(runs, 1):
        if abs(medians[start] - level) <= tolerance:
            return count
        if stop - start > _FRAME_ROWS:
            return 0
    return 0


def _is_text_between(rows: _Floats, level: float, tolerance: float) -> bool:
    """Tell whether rows hold text on the level, or lines of one other level across it."""
    line = _level_share(rows, level, tolerance) < _LEAST_BACKGROUND
    lengths = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], line, [0]]))))[::2]
    if lengths.max(initial=0) > _FRAME_ROWS:
        return False
    for row in rows[line]:
        drawn = row[np.abs(row - level) > tolerance]
        if np.mean(np.abs(drawn - np.median(drawn)) <= _TOLERANCES[1]) < _LINE:
            return False
    return True


def _reach(shares: _Floats) -> int:
    """Return how many rows more belong to the bar, where it ends in text or a logo but as sharply; else 0."""
    reach = int(np.argmax(np.append(shares, 0) < _LEAST_BACKGROUND))
    last, after = _LOGO_EDGE
    sharp = reach and shares[reach - 1] >= last and (reach == len(shares) or shares[reach] <= after)
    return reach if sharp else 0


def _judged(
    grey: _Floats, medians: _Floats, uniform: _Flags, start: int, stop: int, tolerance: float
) -> DataBar | None:
    """Return the bar with its frame lines where the rows are drawn, sharply bounded and hold text, else None."""
    band = grey[start:stop]
    level = float(np.median(medians[start:stop]))
    clean = np.flatnonzero(uniform[start:stop]) + start
    exact = float(np.mean(np.abs(grey[clean] - medians[clean, None]) <= _EXACT_TOLERANCE))
    marks = np.abs(band - level) > _TEXT_CONTRAST
    if exact < _EXACT or not _has_text(marks, *_FEW_LETTERS):
        return None
    above = _frame(medians, uniform, start - 1, -1, tolerance)
    below = _frame(medians, uniform, stop, 1, tolerance)
    outside = max(
        0.0 if frame or not len(rows) else float(_level_share(rows, level, tolerance).mean())
        for frame, rows in ((above, grey[max(0, start - 3) : start]), (below, grey[stop : stop + 3]))
    )
    surely_drawn = exact >= _SURELY_DRAWN[0] and outside <= _SURELY_DRAWN[1]
    if outside > _OUTSIDE or not (surely_drawn or _has_text(marks, *_MANY_LETTERS)):
        return None
    return DataBar(start - above, stop + below, round(exact * (1 - outside), 3))


def _frame(medians: _Floats, uniform: _Flags, row: int, step: int, tolerance: float) -> int:
    """Return how many rows from `row` outwards are a drawn line: uniform, and unlike the rows beyond."""
    for count in range(1, _FRAME_ROWS + 1):
        last, beyond = row + step * (count - 1), row + step * count
        if not 0 <= last < len(medians) or not uniform[last]:
            return 0
        if not 0 <= beyond < len(medians):
            return count
        if not uniform[beyond] or abs(medians[beyond] - medians[last]) > tolerance:
            return count
    return 0


def _has_text(marks: _Flags, least_letters: int, least_blocks: int) -> bool:
    """Tell whether the marks on a band are many small pieces of uneven size spread over its width."""
    height, width = marks.shape
    across, down = marks.mean(axis=1) > _RULED, marks.mean(axis=0) > _RULED
    marks = marks & ~across[:, None] & ~down  # lines between the fields of a bar are no text
    spread = sum(bool(block.any()) for block in np.array_split(marks, _BLOCKS, axis=1))
    if spread < least_blocks or not _TEXT_AREA[0] <= marks.mean() <= _TEXT_AREA[1]:
        return False
    labels, _ = ndimage.label(marks)
    letters = [
        int(np.count_nonzero(marks[box]))
        for box in ndimage.find_objects(labels)
        if box[0].stop - box[0].start <= 0.6 * height and box[1].stop - box[1].start <= 0.25 * width
    ]
    return len(letters) >= least_letters and bool(np.std(letters) > 0.25 * np.mean(letters))
