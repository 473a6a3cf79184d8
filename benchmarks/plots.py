"""Draws what benchmarks kept: `python benchmarks/plots.py` makes docs/images/perf-*.svg from their JSON."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from results import FOLDER

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def peers(found: dict[str, Any]) -> Figure:
    """Processor milliseconds per tile of each contestant."""
    spent = found["ms_per_tile"]
    figure = Figure(figsize=(7, 0.6 + 0.28 * len(spent)), layout="constrained")
    axes = figure.add_subplot()
    colors = ["#0072b2" if label.startswith("ours") else "#999999" for label in spent]
    bars = axes.barh(list(spent), list(spent.values()), color=colors)
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.invert_yaxis()
    axes.set_xlabel(f"processor milliseconds per tile of 224 px, {found['threads']} thread")
    axes.set_title(f"{found['network']}, {found['machine']['processor']}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def many_files(found: dict[str, Any]) -> Figure:
    """Resident memory over files done; each run in a colour of its own."""
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.add_subplot()
    for number, run in enumerate(found["runs"], 1):
        done, resident = zip(*run["samples"], strict=True)
        axes.plot(done, resident, label=f"run {number}")
    axes.set(xlabel="files of one megapixel done", ylabel="resident memory (MB)", ylim=(0, None))
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def startup(found: dict[str, Any]) -> Figure:
    """Processor seconds until something happens."""
    seconds = {what: spent for what, (spent, _) in found["processor_and_wall_s"].items()}
    figure = Figure(figsize=(7, 0.6 + 0.28 * len(seconds)), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh(list(seconds), list(seconds.values()), color="#0072b2")
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.invert_yaxis()
    axes.set_xlabel("processor seconds of a new process")
    axes.set_title(found["machine"]["processor"], fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def throughput(found: dict[str, Any]) -> Figure:
    """Share of the bare forward pass that is left, from memory and from files, with its range."""
    ways = found["ways"]
    kinds = [kind for kind in next(iter(ways.values())) if kind != "bare_batch"]
    figure = Figure(figsize=(7, 0.8 + 0.3 * len(ways) * len(kinds)), layout="constrained")
    axes = figure.add_subplot()
    labels = [f"{way}, {kind}" for way in ways for kind in kinds]
    median, least, most = zip(*(ways[way][kind]["processor"] for way in ways for kind in kinds), strict=True)
    below, above = (
        [m - a for m, a in zip(median, least, strict=True)],
        [b - m for m, b in zip(median, most, strict=True)],
    )
    bars = axes.barh(labels, median, xerr=(below, above), color="#0072b2", ecolor="#444444")
    axes.bar_label(bars, fmt="%.2f", padding=12)
    axes.axvline(1, color="#999999", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("speed over that of the bare forward pass (processor time; median, least, most)")
    axes.set_title(found["machine"]["processor"], fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def cost(found: dict[str, Any]) -> Figure:
    """Processor time per megapixel and peak memory, as a micrograph grows."""
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots(1, 2)
    names = {"tiles": "tile by tile", "context": "with surroundings, from feature maps"}
    for way, runs in found["ways"].items():
        sides = [run["side"] for run in runs]
        axes[0].plot(sides, [1e6 * run["seconds"] / run["side"] ** 2 for run in runs], "o-", label=names[way])
        axes[1].plot(sides, [run["peak_mb"] for run in runs], "o-", label=names[way])
    axes[0].set(ylabel="processor seconds per megapixel")
    axes[1].set(ylabel="peak resident memory (MB)")
    for each in axes:
        each.set(xlabel="side of the micrograph (px)", ylim=(0, None))
        each.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, loc="lower right")
    figure.suptitle(found["machine"]["processor"], fontsize=9)
    return figure


def epoch(found: dict[str, Any]) -> Figure:
    """Processor milliseconds per tile of a training epoch, by who trains and how large its tiles are."""
    sizes = found["ms_per_tile"]
    figure = Figure(figsize=(7, 0.8 + 0.9 * len(sizes)), layout="constrained")
    axes = figure.add_subplot()
    labels = [f"{who}, {size} px" for size, spent in sizes.items() for who in spent]
    values = [value for spent in sizes.values() for value in spent.values()]
    colors = ["#0072b2" if label.startswith("ours") else "#999999" for label in labels]
    axes.bar_label(axes.barh(labels, values, color=colors), fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.set_xlabel(f"processor milliseconds per tile of a training epoch, {found['threads']} thread")
    axes.set_title(found["machine"]["processor"], fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


_DRAWN = {
    "cost": cost,
    "epoch": epoch,
    "many": many_files,
    "peers": peers,
    "startup": startup,
    "throughput": throughput,
}


def main() -> None:
    """Draw whatever is there."""
    mpl.rcParams["svg.hashsalt"] = "semclass"  # the same figure is the same file
    for path in sorted(FOLDER.glob("*.json")):
        draw = _DRAWN.get(path.stem.partition("_")[0])
        if draw is not None:
            figure = draw(json.loads(path.read_text(encoding="utf-8")))
            figure.savefig(IMAGES / f"perf-{path.stem.replace('_', '-')}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
