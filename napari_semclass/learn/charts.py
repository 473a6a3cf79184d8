"""Charts of how good a classifier is, for readers of any eyesight, as figures of matplotlib."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semclass.classify.figure import new_figure, short
from napari_semclass.learn.measure import CategoryScores, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind eyes.
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#666666"


def confusion_chart(scores: Scores) -> "Figure":
    """Confusion matrix: colour is the share of each row (truth), the number in a cell its count."""
    names = [short(each.name) for each in scores.categories]
    count = len(names)
    side = max(4.2, 0.56 * count + 1.6) if count <= 12 else min(14.0, 0.42 * count + 2.4)
    figure = new_figure(side + 1.4, side + 0.5)
    axes = figure.add_subplot()
    rows = scores.confusion.sum(axis=1, keepdims=True)
    shares = scores.confusion / np.maximum(rows, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = min(10.0, max(7.0, 11.5 - 0.2 * count))
    for (row, column), number in np.ndenumerate(scores.confusion):
        if number:
            color = "white" if shares[row, column] > 0.55 else "black"
            digits = size * min(1.0, 4 / len(f"{number}"))
            axes.text(column, row, f"{number}", ha="center", va="center", color=color, fontsize=digits, in_layout=False)
    axes.set_xticks(range(count), names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(range(count), names, parse_math=False)
    axes.tick_params(labelsize=size, length=0)
    axes.set_xticks(np.arange(-0.5, count), minor=True)
    axes.set_yticks(np.arange(-0.5, count), minor=True)
    axes.grid(which="minor", color="#e4e4e4", linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_title(f"Answers to {scores.n:,} {scores.word}s", fontsize=11)
    figure.colorbar(image, ax=axes, label="share of the truth", shrink=0.8, fraction=0.046)
    return figure


def reliability_chart(scores: Scores, temperature: float) -> "Figure":
    """How often answers of a confidence are right, before and after temperature scaling."""
    figure = new_figure(5.2, 5.2)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfect")
    for bins, color, marker, label in (
        (scores.before, ORANGE, "s", "before temperature scaling"),
        (scores.after, BLUE, "o", f"after (temperature {temperature:.2f})"),
    ):
        text = f"{label}: error {bins.error:.3f}"
        axes.plot(bins.confidence, bins.accuracy, color=color, marker=marker, markersize=5, linewidth=1.6, label=text)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel("confidence of the answer")
    axes.set_ylabel("share of answers that are right")
    axes.text(0.97, 0.04, "below the line:\nmore sure than right", ha="right", color=GREY, fontsize=8)
    axes.set_title(f"Is its confidence to be trusted? ({scores.n:,} {scores.word}s)", fontsize=11)
    axes.legend(loc="upper left", fontsize=8, frameon=False)
    _quiet(axes)
    return figure


def category_chart(scores: Scores) -> "Figure":
    """Precision, recall and F1 of each category with their intervals, the worst F1 on top."""
    present = [each for each in scores.categories if each.support]
    # Upwards, so the worst is drawn last; names decide between equals.
    ordered = sorted(present, key=lambda each: (-each.f1.value if each.f1 else 0.0, each.name))
    figure = new_figure(7.2, 1.5 + (0.62 if len(ordered) <= 12 else 0.46) * len(ordered))
    axes = figure.add_subplot()
    measures = (("precision", ORANGE), ("recall", BLUE), ("f1", GREEN))
    for offset, (measure, color) in zip((0.26, 0.0, -0.26), measures, strict=True):
        _bars(axes, ordered, measure, color, offset)
    labels = [
        f"{short(each.name)}\n{_number(each.support, scores.word)}, {_number(each.groups, 'group')}" for each in ordered
    ]
    axes.set_yticks(range(len(ordered)), labels, fontsize=8, parse_math=False)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.set_xlim(0, 1.01)
    axes.set_xlabel("share (line: 95 % interval over groups; none where a category has one group)", fontsize=8)
    figure.legend(loc="outside upper center", ncols=3, fontsize=9, frameon=False)
    _quiet(axes)
    axes.grid(axis="y", visible=False)
    return figure


def learning_curves(epochs: Sequence[Mapping[str, Any]]) -> "Figure":
    """Losses, accuracy and macro-F1 by epoch.

    Parameters
    ----------
    epochs : sequence of mappings
        Each with `epoch` (counted over all stages), `train_loss`, `valid_loss`, `accuracy` and `macro_f1` (None
        where not measured), and maybe `stage`, whose changes are marked.
    """
    figure = new_figure(9.0, 3.6)
    losses, shares = figure.subplots(1, 2)
    numbers = [epoch["epoch"] for epoch in epochs]
    for axes, curves in (
        (losses, (("train_loss", "training", ORANGE, "s"), ("valid_loss", "validation", BLUE, "o"))),
        (shares, (("accuracy", "accuracy", BLUE, "o"), ("macro_f1", "macro-F1", GREEN, "^"))),
    ):
        for key, label, color, marker in curves:
            values = np.array([epoch.get(key) for epoch in epochs], dtype=float)  # None becomes NaN, a gap
            axes.plot(numbers, values, color=color, marker=marker, markersize=4, label=label)
        for last, this in pairwise(epochs):
            if this.get("stage") != last.get("stage"):
                axes.axvline((last["epoch"] + this["epoch"]) / 2, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_xlabel("epoch")
        axes.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.legend(frameon=False, fontsize=8)
        _quiet(axes)
    losses.set_ylim(bottom=0)
    losses.set_title("Loss", fontsize=11)
    shares.set_title("Validation", fontsize=11)
    return figure


def _bars(axes: "Axes", scored: Sequence[CategoryScores], measure: str, color: str, offset: float) -> None:
    for place, each in enumerate(scored):
        share = getattr(each, measure)
        # A label that starts with an underscore is left out of the legend.
        label = {"f1": "F1"}.get(measure, measure) if place == 0 else "_"
        axes.barh(place + offset, share.value, height=0.24, color=color, label=label)
        if each.groups > 1:
            axes.plot(
                [share.low, share.high], [place + offset] * 2, color="black", linewidth=1.1, solid_capstyle="butt"
            )


def _quiet(axes: "Axes") -> None:
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
