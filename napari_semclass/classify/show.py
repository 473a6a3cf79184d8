"""A prediction as text, as HTML for a notebook, and as a figure of matplotlib."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_semclass.classify.caption import percent
from napari_semclass.classify.layers import colormap, features
from napari_semclass.classify.prediction import Prediction
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import Micrograph, grey_range, shrink
from napari_semclass.micrograph.metadata.quantities import length_text
from napari_semclass.showing import paragraph, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST = 1024  # pixels of the picture in a figure
_NAMED = 5  # categories in a text
_MOST_LENGTH = 40  # characters of a name in a legend


def shares(prediction: Prediction) -> list[tuple[str, str, float]]:
    """Name, colour and share of each answer, the largest first: of the area, or a whole picture's probability."""
    values = prediction.mean_probabilities() if prediction.whole else prediction.area_fractions()
    names, colors = features(prediction)["category"][1:], colormap(prediction)
    found = [
        (name, colors[label], float(values[label - 1])) for label, name in enumerate(names, 1) if label <= len(values)
    ]
    return sorted(found, key=lambda entry: -np.nan_to_num(entry[2]))


def text(prediction: Prediction) -> str:
    """What a prediction says, as one sentence."""
    return f"{_what(prediction)}: {_said(prediction)}."


def _what(prediction: Prediction) -> str:
    grid, done = prediction.grid, int(prediction.done.sum())
    height, width = grid.shape
    name = Path(prediction.source).name or "micrograph"
    if prediction.whole:
        return f"{name}, {width:,} x {height:,} px, classified as a whole"
    of = "" if done == len(grid.laid) else f" of {len(grid.laid):,}"
    return f"{name}, {width:,} x {height:,} px, {done:,}{of} {tiles_text(prediction)}"


def tiles_text(prediction: Prediction) -> str:
    """What the tiles are, such as `tiles of 224 px (2.24 µm), stride 112 px`."""
    grid, size = prediction.grid, prediction.pixel_size
    real = f" ({length_text(grid.tile * size)})" if size else ""
    return f"tiles of {grid.tile} px{real}{'' if grid.stride == grid.tile else f', stride {grid.stride} px'}"


def _said(prediction: Prediction) -> str:
    if not prediction.done.any():
        return "not classified yet"
    present = [(name, share) for name, _, share in shares(prediction) if share > 0]
    named = [f"{name} {percent(share)}" for name, share in present[:_NAMED]]
    left = len(present) - len(named)
    rest = f" and {left} more" if left > 0 else ""
    return f"{', '.join(named)}{rest}{'' if prediction.whole else ' of the area'}"


def html(prediction: Prediction) -> str:
    """A table of the answers, with how they were made."""
    entries = shares(prediction)
    model = (prediction.made or {}).get("model", {}).get("name", "")
    said = paragraph(f"{_what(prediction)}{f', by {model}' if model else ''}", bold=True)
    if prediction.whole:
        rows = [(name, percent(share)) for name, _, share in entries]
        return said + table(("category", "probability"), rows, [color for _, color, _ in entries])
    names, counts = features(prediction)["category"][1:], prediction.counts()
    tiles = dict(zip(names, counts.tolist(), strict=False))
    rows3 = [(name, percent(share), f"{tiles.get(name, 0):,}") for name, _, share in entries]
    return said + table(("category", "area", "tiles"), rows3, [color for _, color, _ in entries])


def plot(prediction: Prediction, micrograph: Micrograph | None = None, *, opacity: float = 0.45) -> "Figure":
    """The categories as a coloured map, over the micrograph if it is given.

    Parameters
    ----------
    prediction : Prediction
    micrograph : Micrograph, optional
        What was classified.
    opacity : float
        Of the colours over the micrograph, in [0, 1].

    Returns
    -------
    Figure
        Of its own, known to no global state of matplotlib; a notebook shows it. `savefig` writes it.

    Raises
    ------
    SettingsError
        When the micrograph has another shape, or `opacity` is outside [0, 1].
    MicrographError
        When its pixels cannot be read.
    """
    from napari_semclass.classify.figure import new_figure, short

    if micrograph is not None and micrograph.shape != prediction.grid.shape:
        raise SettingsError(f"{micrograph.name}: its shape {micrograph.shape} is not that of the prediction.")
    if not 0 <= opacity <= 1:
        raise SettingsError(f"opacity {opacity:g} is outside 0 to 1.")
    height, width = prediction.grid.shape
    figure = new_figure(8.0, max(2.5, min(9.0, 5.6 * height / width)))
    axes = figure.add_subplot()
    where = (0, width, height, 0)
    step = max(1, -(-max(height, width) // _LONGEST))
    if micrograph is not None:
        grey = shrink(micrograph, replace(grey_range(micrograph, 0.5, 99.5), void=0.0), step, (0, height))
        edges = (0, grey.shape[1] * step, grey.shape[0] * step, 0)
        axes.imshow(grey, cmap="gray", vmin=0, vmax=1, extent=edges)
    axes.imshow(_tint(prediction, step, 1.0 if micrograph is None else opacity), extent=where, interpolation="nearest")
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_xlabel("x in pixels")
    axes.set_ylabel("y in pixels")
    axes.set_title(short(Path(prediction.source).name, 60), fontsize=11, parse_math=False)
    _legend(axes, prediction)
    return figure


def _tint(prediction: Prediction, step: int, opacity: float) -> NDArray[np.float64]:
    """Colour and opacity (height, width, 4) of every `step`-th pixel's answer."""
    from matplotlib.colors import to_rgba

    height, width = prediction.grid.shape
    cells = prediction.cells()
    labels = cells.expand(cells.labels(), np.arange(step // 2, height, step), np.arange(step // 2, width, step))
    colors = colormap(prediction)
    rgba = [to_rgba(colors[label], None if label == 0 else opacity) for label in range(len(colors) - 1)]
    return np.asarray(np.array(rgba)[labels.astype(int)])


def _legend(axes: "Axes", prediction: Prediction) -> None:
    from matplotlib.patches import Patch

    from napari_semclass.classify.figure import short

    patches = [
        # A name that starts with an underscore would be left out of the legend.
        Patch(facecolor=color, edgecolor="#888888", label=f"\u200b{short(name, _MOST_LENGTH)}  {percent(share)}")
        for name, color, share in shares(prediction)
        if share > 0
    ]
    if patches:
        legend = axes.legend(handles=patches, loc="upper left", bbox_to_anchor=(1.02, 1), fontsize=9, frameon=False)
        for entry in legend.get_texts():
            entry.set_parse_math(False)
