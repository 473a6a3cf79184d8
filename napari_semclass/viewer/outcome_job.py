"""What is looked up after a training has ended: its figures, pictures of tiles, and how the earlier model compares."""

import threading
from collections.abc import Generator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_semclass.annotate.outcome import Outcome, read_outcome
from napari_semclass.errors import MicrographError, SemclassError
from napari_semclass.learn.held_out import HeldOutTiles
from napari_semclass.learn.run import Run
from napari_semclass.micrograph import Micrograph, grey_range, open_micrographs
from napari_semclass.model.card import Preprocessing
from napari_semclass.viewer.train_jobs import Halted, halting

THUMBNAIL = 64  # pixels
_USUAL = Preprocessing(mean=0.0, std=1.0)  # for its percentiles


def outcome_job(run: Run, stop: threading.Event) -> Generator[Outcome, None, None]:
    """Read what a finished run left."""
    yield read_outcome(run)


def thumbnails_job(
    tiles: HeldOutTiles, indices: tuple[int, ...], stop: threading.Event
) -> Generator[tuple[int, NDArray[np.uint8]], None, None]:
    """Yield a small picture of each tile; those that cannot be read, or are of stacks, are passed over."""
    opened: dict[Path, Micrograph | None] = {}
    for index in indices:
        if stop.is_set():
            return
        path = tiles.paths[index]
        try:
            if path not in opened:
                opened.clear()
                planes = open_micrographs(path)
                opened[path] = planes[0] if len(planes) == 1 else None
            micrograph = opened[path]
            if micrograph is not None:
                yield index, _thumbnail(micrograph, tiles, index)
        except MicrographError:
            continue


def _thumbnail(micrograph: Micrograph, tiles: HeldOutTiles, index: int) -> NDArray[np.uint8]:
    from PIL import Image

    y0, x0, y1, x1 = tiles.boxes[index].tolist()
    levels = tiles.grey[index] or grey_range(micrograph, _USUAL.low_percentile, _USUAL.high_percentile)
    grey = (255 * levels.normalise(micrograph.read(y0, y1, x0, x1))).astype(np.uint8)
    small = Image.fromarray(grey)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(small)


def compare_job(base: str, outcome: Outcome, stop: threading.Event) -> Generator[str, None, None]:
    """Yield how an earlier model (by name or path) does on the same held-out tiles, or why that cannot be told."""
    from napari_semclass.learn.compare import MOST, compare, shared_categories
    from napari_semclass.model.store import load_model

    tiles = outcome.tiles
    if tiles is None or Path(base).resolve() == outcome.model.resolve() or base == outcome.name:
        return
    earlier, new = load_model(base), load_model(outcome.model)
    title, new_title = f"“{earlier.card.title}”", f"“{new.card.title}”"
    shared = shared_categories(tiles.categories, earlier.card.names)
    unknown = [name for name in tiles.categories if name not in shared]
    if len(tiles.categories) - len(unknown) < 2:
        yield f"No before and after: {title} does not know {', '.join(unknown)}."
        return
    try:
        found = compare(earlier, new.card, tiles, progress=halting(stop))
    except Halted:
        return
    except SemclassError as error:
        yield f"No before and after: {error}"
        return
    drawn = f", {MOST:,} drawn of {len(tiles):,}" if found.tiles == MOST < len(tiles) else ""
    left_out = f" Without {', '.join(unknown)}, which {title} does not know." if unknown else ""
    (right, f1), (right_now, f1_now) = found.before, found.after
    gained = ""
    if found.gain is not None:
        gain, low, high = (100 * value for value in (found.gain.value, found.gain.low, found.gain.high))
        gained = (
            f": {abs(gain):.1f} points {'more' if gain >= 0 else 'fewer'} (95 % interval {low:+.1f} to {high:+.1f})"
        )
    yield (
        f"Before and after on the same {found.tiles:,} tiles{drawn}: {title} has "
        f"{_percent(right.value)} right (macro-F1 {f1.value:.2f}), {new_title} {_percent(right_now.value)} "
        f"({f1_now.value:.2f}){gained}.{left_out} If {title} has learned from some of these tiles, it "
        "looks better here than it is."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
