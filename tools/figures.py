"""Draw the figures of docs/tiles.md and docs/confidence.md, from generated micrographs: `python tools/figures.py`."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax

from napari_semclass import as_micrographs, load_model
from napari_semclass.classify.features import feature_steps
from napari_semclass.classify.figure import new_figure
from napari_semclass.classify.grid import TileGrid, tile_grid
from napari_semclass.learn.familiar import fit_familiar, parts_of, scaled
from napari_semclass.learn.linear_head import LinearHead, fit_linear_head
from napari_semclass.learn.random_split import RandomSplit, random_split_claim
from napari_semclass.samples import synthetic_micrograph

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OUT = Path(__file__).parents[1] / "docs" / "images"
KINDS = ("Particles", "Nanowires", "Fibres", "Powder")
STRANGERS = ("Porous_Sponge", "Patterned_surface", "Biological")
SPECIMENS, LEARNED, DRAWS = 16, 4, 12  # of each kind: all there are, those learned from, and how often they are drawn
SHAPE, TILE = (480, 640), 224
GOOD, BAD = "#0072b2", "#d55e00"


def main() -> None:
    """Draw all of them."""
    _grid()
    features, labels, specimens = _tiles(KINDS, SPECIMENS)
    _splits(features, labels, specimens)
    _confidence(features, labels, specimens)


def _keep(figure: "Figure", name: str) -> None:
    """Save small, in as many colours as a palette has."""
    whole = io.BytesIO()
    figure.savefig(whole, dpi=95)
    with Image.open(whole) as picture:
        picture.convert("RGB").quantize(160).save(OUT / f"{name}.png", optimize=True)


def _grid() -> None:
    """Tiles at the edges and beside the data bar; how many tiles vote on each cell."""
    (micrograph,) = as_micrographs(synthetic_micrograph("Nanowires", (520, 700), seed=4, data_bar=True))
    figure = new_figure(10, 3.9)
    plain, overlapping = figure.subplots(1, 2)
    grids = [tile_grid(micrograph.shape, 224, stride, micrograph.specimen) for stride in (224, 112)]
    for axes in (plain, overlapping):
        axes.imshow(np.asarray(micrograph.pixels), cmap="gray")
        axes.set_axis_off()
    _outlines(plain, grids[0])
    plain.set_title(f"stride 224: {len(grids[0])} tiles; orange: moved back to the edge", fontsize=9)
    cells = grids[1].cells()
    votes = np.outer(*(np.asarray(axis.cover.sum(axis=1)).ravel() for axis in cells))
    shown = overlapping.pcolormesh(cells[1].edges, cells[0].edges, votes, cmap="viridis", alpha=0.6, edgecolors="w")
    overlapping.set_title(f"stride 112: {len(grids[1])} tiles, {votes.size} cells", fontsize=9)
    figure.colorbar(shown, ax=overlapping, label="tiles that vote on a cell")
    _keep(figure, "tiles-grid")


def _outlines(axes: "Axes", grid: TileGrid) -> None:
    for y0, x0, y1, x1 in grid.boxes().tolist():
        moved = y0 % grid.stride or x0 % grid.stride
        color, inset = (BAD, 7) if moved else ("#56b4e9", 3)
        axes.add_patch(
            Rectangle((x0 + inset, y0 + inset), x1 - x0 - 2 * inset, y1 - y0 - 2 * inset, fill=False, color=color, lw=2)
        )


def _tiles(kinds: Sequence[str], count: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """What the starter's network sees in all tiles of these kinds, with kind and specimen of each."""
    model = load_model("starter")
    found: list[NDArray[np.float32]] = []
    labels: list[int] = []
    specimens: list[int] = []
    for kind, category in enumerate(kinds):
        for seed in range(count):
            (micrograph,) = as_micrographs(synthetic_micrograph(category, SHAPE, seed))
            boxes = tile_grid(SHAPE, TILE).boxes()
            *_, last = feature_steps(micrograph, model, boxes, tile=TILE, device="cpu")
            found.append(last.features.copy())
            labels += [kind] * len(boxes)
            specimens += [kind * SPECIMENS + seed] * len(boxes)
    return np.concatenate(found), np.array(labels), np.array(specimens)


def _drawn(random: np.random.Generator, specimens: NDArray[np.int64], count: int = LEARNED) -> NDArray[np.bool_]:
    """Tiles of a few specimens of each kind."""
    chosen = [kind * SPECIMENS + random.permutation(SPECIMENS)[:count] for kind in range(len(KINDS))]
    return np.isin(specimens, np.concatenate(chosen))


def _head(features: NDArray[np.float32], labels: NDArray[np.int64]) -> LinearHead:
    return fit_linear_head(features, labels, np.ones(len(labels)), len(KINDS), 0.01)


def _splits(features: NDArray[np.float32], labels: NDArray[np.int64], specimens: NDArray[np.int64]) -> None:
    """What two ways of testing promise, and what the model then does on specimens that nobody had."""
    rows = []
    for draw in range(DRAWS):
        own = _drawn(np.random.default_rng(draw), specimens)
        claim = random_split_claim(features[own], labels[own], specimens[own], KINDS, "tile")
        assert isinstance(claim, RandomSplit), claim  # noqa: S101  (four specimens of each kind can be compared)
        right = _head(features[own], labels[own]).logits(features[~own]).argmax(axis=1) == labels[~own]
        rows.append((claim.random.accuracy, claim.grouped.accuracy, float(right.mean())))
    shares = 100 * np.array(rows)
    print(f"random, by group, new specimens: {shares.mean(axis=0).round(1)} of {DRAWS} draws")
    figure = new_figure(10, 3.6)
    schema, result = figure.subplots(1, 2, width_ratios=(1.1, 1))
    _schema(schema)
    names = ("tested on tiles\ndrawn at random", "tested on specimens\nkept apart", "what it does on\nnew specimens")
    for at, color in enumerate((BAD, GOOD, "#009e73")):
        spread = np.linspace(-0.12, 0.12, DRAWS)
        result.plot(at + spread, shares[:, at], "o", color=color, alpha=0.6, ms=5)
        result.plot([at - 0.25, at + 0.25], [shares[:, at].mean()] * 2, color=color, lw=3)
        result.text(at + 0.29, shares[:, at].mean(), f"{shares[:, at].mean():.0f} %", va="center", fontsize=9)
    result.set(xlim=(-0.5, 2.7), ylabel="tiles right, %")
    result.set_xticks(range(len(names)), names, fontsize=8)
    result.set_title(f"{DRAWS} draws of {LEARNED} specimens of each of {len(KINDS)} kinds", fontsize=9)
    _keep(figure, "tiles-splits")


def _schema(axes: "Axes") -> None:
    """Six tiles of each of eight specimens, held out at random and by specimen."""
    random = np.random.default_rng(0)
    at_random = random.permutation(np.repeat([True, False], [12, 36])).reshape(8, 6)
    for left, held, title in ((0, at_random, "at random"), (8, np.isin(np.arange(8), (2, 5))[:, None], "by specimen")):
        sides: Sequence[Sequence[bool]] = np.broadcast_to(held, (8, 6)).tolist()
        for row, tiles in enumerate(sides):
            for column, out in enumerate(tiles):
                color = BAD if out else "#bbbbbb"
                axes.add_patch(Rectangle((left + column, row), 0.88, 0.8, color=color))
        axes.text(left + 3, -0.4, title, ha="center", fontsize=9)
    for row in range(8):
        axes.text(-0.3, row + 0.4, f"specimen {row + 1}", ha="right", va="center", fontsize=7.5)
    axes.set(xlim=(-3.4, 14.2), ylim=(8.9, -1.2))
    axes.text(7, 8.7, "orange: tiles to test with; grey: tiles learned from", ha="center", fontsize=8)
    axes.set_axis_off()


def _confidence(features: NDArray[np.float32], labels: NDArray[np.int64], specimens: NDArray[np.int64]) -> None:
    """How strange tiles of known and of unknown kinds are; what answering only when sure costs."""
    random = np.random.default_rng(0)
    own = _drawn(random, specimens, SPECIMENS // 2)
    held = ~own & _drawn(random, specimens, 3 * SPECIMENS // 4)  # to set the limit by
    new = ~own & ~held
    head = _head(features[own], labels[own])
    statistics = fit_familiar(features[own], labels[own])
    statistics, _ = scaled(statistics, parts_of(statistics, features[held], head.logits(features[held])))
    strangers, _, _ = _tiles(STRANGERS, SPECIMENS // 2)
    figure = new_figure(10, 3.5)
    left, right = figure.subplots(1, 2)
    for tiles, scores, name, color in (
        (features[new], head.logits(features[new]), "new specimens of the four kinds learned", GOOD),
        (strangers, head.logits(strangers), f"{', '.join(STRANGERS)}", BAD),
    ):
        strange = statistics.strangeness(torch.from_numpy(tiles), torch.from_numpy(scores)).numpy()
        print(f"{name}: {np.mean(strange > 1):.3f} of {len(strange)} are unknown")
        bins = np.linspace(-2, 5, 43).tolist()
        left.hist(np.clip(strange, -2, 5), bins=bins, density=True, color=color, alpha=0.6, label=name)
    left.axvline(1, color="k", lw=1)
    left.set_ylim(0, 1.3 * left.get_ylim()[1])
    left.text(1.05, left.get_ylim()[1] * 0.7, "unknown", fontsize=9)
    left.set(xlabel="strangeness (5 stands for more)", yticks=[], ylabel="share of tiles")
    left.legend(frameon=False, fontsize=8, loc="upper right")
    sure, hits = [], []
    for draw in range(DRAWS):
        own = _drawn(np.random.default_rng(draw), specimens)
        shares = softmax(_head(features[own], labels[own]).logits(features[~own]), axis=1)
        sure.append(shares.max(axis=1))
        hits.append(shares.argmax(axis=1) == labels[~own])
    ranked = np.concatenate(hits)[np.argsort(-np.concatenate(sure))]
    answered = np.arange(1, len(ranked) + 1)
    seen = slice(len(ranked) // 10, None)  # of fewer answers the share says little
    right.plot((100 * answered / len(ranked))[seen], (100 * np.cumsum(ranked) / answered)[seen], color=GOOD)
    right.set(xlabel="tiles of new specimens answered, the surest first, %", ylabel="of these right, %", xlim=(0, 102))
    right.set_title(f"{DRAWS} draws of {LEARNED} specimens of each of {len(KINDS)} kinds", fontsize=9)
    _keep(figure, "confidence")


if __name__ == "__main__":
    main()
