"""Does it know what it does not know? Calibration, coverage against accuracy, and whole classes left out of training.

    python benchmarks/unknown.py --data ../shared/data/materials --out RESULTS [--context 3]

Linear heads on features of the starter's body, 224 px tiles, stratified group 2-fold (benchmarks/materials_folds.csv):
learned from one fold, asked about the other, and the other way round. Everything that is fitted (heads, statistics,
temperature, limits) is fitted inside the training fold, on groups held out of the head in turn.

1. Expected calibration error before and after temperature scaling; coverage against accuracy.
2. Each class is left out of training in turn: are its tiles told from the other classes' tiles of unseen specimens?
   AUROC, and the share of its tiles that still get a category at the limit that keeps 95 % of the unseen tiles.
3. The same for blank, saturated, noisy, defocused tiles, gradients, and photographs that come with scikit-image.

Features are computed once and kept in RESULTS. With --context tiles are looked at where they lie, and answered from an
area so many tiles wide, by the head that the recipe `quick` fits; foreign tiles lie nowhere, so the third part is left
out.
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from materials import TILE, cut, folds_of
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import logsumexp, softmax
from sklearn.metrics import roc_auc_score

from napari_semclass.learn.dataset import DataSet, read_dataset
from napari_semclass.learn.familiar import KEPT, fit_familiar, parts_of, scaled
from napari_semclass.learn.in_place import features_in_place
from napari_semclass.learn.linear_head import LinearHead, fit_linear_head, fit_temperature, group_weights
from napari_semclass.learn.metrics import reliability, with_interval
from napari_semclass.learn.plan import Plan, read_plan
from napari_semclass.learn.split import fold_samples
from napari_semclass.learn.tiles import Samples, cutting_of
from napari_semclass.model import load_model
from napari_semclass.model.familiar import Familiar
from napari_semclass.model.preprocess import is_blank
from semclass_training.prepare import fitted_head

_Features = NDArray[np.float32]
_Scores = NDArray[np.float64]
_INNER_FOLDS = 5
_FOREIGN = 60
# All of one kind, none of them an electron micrograph; of what the scikit-image wheel holds, those large enough.
_PHOTOGRAPHS = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "motorcycle_left")
_DEFOCUS_PX = (4, 8, 16)
_REPEATS = 200


@dataclass(frozen=True, eq=False)
class Tiles:
    """Features of tiles, their category, group and fold, and which of them show nothing."""

    features: _Features
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    folds: NDArray[np.int64]
    blank: NDArray[np.bool_]
    plan: Plan | None = None
    """That fits the heads; without one, as quick learning does."""

    def at(self, which: NDArray[np.bool_]) -> "Tiles":
        """Some of them."""
        names = ("features", "labels", "groups", "folds", "blank")
        return Tiles(*(getattr(self, name)[which] for name in names), self.plan)


@dataclass(frozen=True, eq=False)
class Learned:
    """A head with what makes its answers unknown."""

    head: LinearHead
    present: NDArray[np.int64]
    familiar: Familiar
    temperature: float
    limits: dict[str, float]

    def scores(self, tiles: Tiles) -> dict[str, _Scores]:
        """How unknown tiles are, by several measures; more is less known."""
        logits = self.head.logits(tiles.features)
        parts = parts_of(self.familiar, tiles.features, logits)
        strangeness = parts @ self.familiar.weights[:-1].double().numpy() + float(self.familiar.weights[-1])
        return {
            **_of_logits(logits[:, self.present]),
            "relative distance": parts[:, 0],
            "strangeness": np.where(tiles.blank, np.maximum(strangeness, 2.0), strangeness),
        }


def _of_logits(logits: _Scores) -> dict[str, _Scores]:
    return {
        "maximum softmax": -softmax(logits, axis=1).max(axis=1),
        "maximum score": -logits.max(axis=1),
        "energy": -logsumexp(logits, axis=1),
    }


def learn(tiles: Tiles) -> Learned:
    """Fit a head on all of the tiles; temperature and limits on groups held out of such heads."""
    present = np.unique(tiles.labels)
    logits = np.zeros((len(tiles.labels), tiles.labels.max() + 1))
    parts = np.zeros((len(tiles.labels), 2))
    folds = fold_samples(tiles.labels, tiles.groups, _INNER_FOLDS, seed=0)
    for fold in np.unique(folds):
        seen, asked = tiles.at(folds != fold), tiles.at(folds == fold)
        logits[folds == fold] = _head(seen, logits.shape[1]).logits(asked.features)
        familiar = fit_familiar(seen.features, seen.labels)
        parts[folds == fold] = parts_of(familiar, asked.features, logits[folds == fold])
    # Of a category all of whose groups were held out at once the heads could know nothing.
    fair = logits[np.arange(len(logits)), tiles.labels] > -5000
    least = 0.0 if fair.all() else 1.0
    familiar, strangeness = scaled(fit_familiar(tiles.features, tiles.labels), parts[fair])
    held_out = {**_of_logits(logits[fair][:, present]), "relative distance": parts[fair, 0], "strangeness": strangeness}
    return Learned(
        _head(tiles, logits.shape[1]),
        present,
        familiar,
        # As `semclass_training.finish` has it: not every category showed an unseen group.
        max(fit_temperature(logits[fair][:, present], np.searchsorted(present, tiles.labels[fair])), least),
        {name: float(np.quantile(values, KEPT)) for name, values in held_out.items()},
    )


def _head(tiles: Tiles, categories: int) -> LinearHead:
    if tiles.plan is not None:
        return fitted_head(tiles.plan, tiles.features, tiles.labels, tiles.groups, categories)
    weights = group_weights(tiles.labels, np.arange(len(tiles.labels)), 1.0)
    return fit_linear_head(tiles.features, tiles.labels, weights, categories, 0.01, least_spread=1.0)


def auroc(known: _Scores, unknown: _Scores) -> float:
    """Chance that an unknown tile scores above a known one."""
    truth = np.repeat([0, 1], [len(known), len(unknown)])
    return float(roc_auc_score(truth, np.concatenate([known, unknown])))


def calibration(tiles: Tiles, out: Callable[[str], None]) -> None:
    """Print calibration errors and coverage against accuracy, by group bootstrap over both folds' tests."""
    before, after, truth, groups, strange, several = [], [], [], [], [], []
    for fold in (0, 1):
        training, test = tiles.at(tiles.folds == fold), tiles.at(tiles.folds != fold)
        learned = learn(training)
        logits = learned.head.logits(test.features)
        before.append(softmax(logits, axis=1))
        after.append(softmax(logits / learned.temperature, axis=1))
        truth.append(test.labels)
        groups.append(test.groups)
        strange.append(learned.scores(test)["strangeness"])
        specimens = [len(np.unique(training.groups[training.labels == label])) for label in range(logits.shape[1])]
        several.append(np.array(specimens)[test.labels] > 1)
        out(f"fold {fold}: temperature {learned.temperature:.3f}")
    labels, names = np.concatenate(truth), np.concatenate(groups).astype(str)
    shares, fair = np.concatenate(after), np.concatenate(several)
    for whose, which in (("all tiles", fair | True), ("of classes with several specimens in training", fair)):
        for word, values in (("before", np.concatenate(before)[which]), ("after", shares[which])):
            error = with_interval(
                lambda drawn, v=values, y=labels[which]: reliability(v[drawn], y[drawn]).error,
                names[which].tolist(),
                500,
            )
            out(f"expected calibration error {word} scaling, {whose}: {error} (n = {which.sum()})")
    right, confidence, strangeness = shares.argmax(1) == labels, shares.max(1), np.concatenate(strange)
    out("least confidence: coverage, accuracy; and of tiles that are not strange")
    for least in (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99):
        kept = confidence >= least
        both = kept & (strangeness <= 1)
        out(f"  {least:.2f}: {kept.mean():.3f} {right[kept].mean():.3f};  {both.mean():.3f} {right[both].mean():.3f}")


@dataclass(frozen=True, eq=False)
class Asked:
    """Scores of known and unknown tiles by one measure, their groups, and the limit from the training fold."""

    name: str
    known: _Scores
    unknown: _Scores
    known_groups: NDArray[np.int64]
    unknown_groups: NDArray[np.int64]
    limit: float

    def drawn(self, random: np.random.Generator) -> float:
        """AUROC of tiles of groups drawn with replacement."""
        parts = []
        for values, groups in ((self.known, self.known_groups), (self.unknown, self.unknown_groups)):
            names = np.unique(groups)
            chosen = random.choice(names, len(names))
            parts.append(np.concatenate([values[groups == name] for name in chosen]))
        return auroc(*parts)

    def figures(self) -> list[float]:
        """AUROC; accepted unknown tiles where 95 % of known ones are; known and unknown accepted at the limit."""
        tight = np.quantile(self.known, KEPT)
        return [
            auroc(self.known, self.unknown),
            *(
                float(np.mean(values <= limit))
                for values, limit in ((self.unknown, tight), (self.known, self.limit), (self.unknown, self.limit))
            ),
        ]


def report(title: str, found: dict[str, list[Asked]], out: Callable[[str], None]) -> None:
    """Print the figures of each measure: their means with an interval, and those of each kind of unknown tiles."""
    out(f"{title}: AUROC [95 % interval over groups], share of unknown tiles accepted where 95 % of known ones are;")
    out("  in brackets, at the limit from the training fold: known tiles kept, unknown tiles accepted")
    random = np.random.default_rng(0)
    for measure, asked in found.items():
        draws = [np.mean([one.drawn(random) for one in asked]) for _ in range(_REPEATS)]
        low, high = np.percentile(draws, [2.5, 97.5])
        mean = np.mean([one.figures() for one in asked], axis=0)
        out(f"  {measure}: {mean[0]:.3f} [{low:.3f}, {high:.3f}], {mean[1]:.3f} ({mean[2]:.3f}, {mean[3]:.3f})")
        for name in dict.fromkeys(one.name for one in asked):
            own = np.mean([one.figures() for one in asked if one.name == name], axis=0)
            out(f"    {name}: {own[0]:.3f}, {own[1]:.3f} ({own[2]:.3f}, {own[3]:.3f})")


def left_out(tiles: Tiles, names: tuple[str, ...]) -> dict[str, list[Asked]]:
    """Each class in turn is no part of training: its tiles of the test fold against those of the other classes."""
    found: dict[str, list[Asked]] = {}
    for fold in (0, 1):
        for category, name in enumerate(names):
            learned = learn(tiles.at((tiles.folds == fold) & (tiles.labels != category)))
            test = tiles.at(tiles.folds != fold)
            new = test.labels == category
            for measure, values in learned.scores(test).items():
                asked = Asked(
                    name, values[~new], values[new], test.groups[~new], test.groups[new], learned.limits[measure]
                )
                found.setdefault(measure, []).append(asked)
    return found


def foreign(tiles: Tiles, strange: dict[str, Tiles]) -> dict[str, list[Asked]]:
    """Tiles that show no specimen of any class, against the test fold's."""
    found: dict[str, list[Asked]] = {}
    for fold in (0, 1):
        learned, test = learn(tiles.at(tiles.folds == fold)), tiles.at(tiles.folds != fold)
        known = learned.scores(test)
        for name, others in strange.items():
            others = others.at(others.folds != fold)
            for measure, values in learned.scores(others).items():
                asked = Asked(name, known[measure], values, test.groups, others.groups, learned.limits[measure])
                found.setdefault(measure, []).append(asked)
    return found


def generated(pixels: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.int64]]]:
    """Kinds of foreign tiles: their name, pixels (n, side, side), and the tile each was made of (-1: none)."""
    random = np.random.default_rng(0)
    side, none = pixels.shape[1], np.full(_FOREIGN, -1)
    noise = random.normal(0, 1, (_FOREIGN, side, side))
    greys = random.uniform(0, 255, (_FOREIGN, 1, 1))
    yield "blank", _grey(greys + 2 * noise), none
    speckled = np.where(random.random(noise.shape) < 0.03, 128 + 60 * noise, random.choice([0, 255], greys.shape))
    yield "saturated", _grey(speckled), none
    yield "noise", _grey(128 + random.uniform(20, 80, greys.shape) * noise), none
    angle = np.linspace(0, np.pi / 2, _FOREIGN)[:, None, None]
    yy, xx = np.mgrid[:side, :side] / side
    yield "gradient", _grey(180 * (np.cos(angle) * xx + np.sin(angle) * yy)), none
    photographs = np.concatenate([_photograph(name, side) for name in _PHOTOGRAPHS])
    yield "photographs", photographs, np.full(len(photographs), -1)
    some = np.sort(random.choice(len(pixels), 5 * _FOREIGN, replace=False))
    for sigma in _DEFOCUS_PX:
        blurred = np.stack([gaussian_filter(pixels[index].astype(float), sigma) for index in some])
        yield f"defocused by {sigma} px", _grey(blurred), some


def _grey(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _photograph(name: str, side: int) -> NDArray[np.uint8]:
    import skimage.io

    file = Path(skimage.__file__).parent / "data" / f"{name}.png"
    picture = skimage.io.imread(file)
    picture = picture[..., :3].mean(axis=2) if picture.ndim == 3 else picture.astype(float)
    low, high = np.percentile(picture, [0.5, 99.5])
    picture = _grey(255 * (picture - low) / (high - low))
    corners = [
        (y, x) for y in range(0, picture.shape[0] - side + 1, side) for x in range(0, picture.shape[1] - side + 1, side)
    ]
    return np.stack([picture[y : y + side, x : x + side] for y, x in corners])


def look(pixels: NDArray[np.uint8]) -> tuple[_Features, NDArray[np.bool_]]:
    """Features of the starter's body, and which tiles show nothing."""
    import torch

    from napari_semclass.learn.views import features_of

    model = load_model("starter")
    body = copy.deepcopy(model.network)
    body.reset_classifier(0)  # type: ignore[operator]
    crops = torch.from_numpy(pixels).float() / 255
    return features_of(body, crops, model.card), is_blank(crops).numpy()


def looked_at(folder: Path, name: str, pixels: NDArray[np.uint8]) -> tuple[_Features, NDArray[np.bool_]]:
    """The same, kept in a file."""
    file = folder / f"{name.replace(' ', '_')}.npz"
    if not file.exists():
        features, blank = look(pixels)
        np.savez(file, features=features, blank=blank)
    with np.load(file) as kept:
        return kept["features"], kept["blank"]


def in_place(folder: Path, data: DataSet, samples: Samples, context: float) -> _Features:
    """Features of the starter's body where the tiles lie, kept in a file."""
    file = folder / f"materials-{context:g}.npy"
    if not file.exists():
        model = load_model("starter")
        cutting = cutting_of(replace(model.card, unit="tile", tile=TILE))
        np.save(file, features_in_place(model, data.pictures, samples, cutting, context=context, device="cpu"))
    return np.asarray(np.load(file))


def main() -> None:
    """Look at all tiles, then print the three parts."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--context", type=float, help="tiles that an answer's area is wide; else tiles are alone")
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    data = read_dataset(options.data)
    samples: Samples = cut(data, np.arange(len(data.pictures)), data.categories)
    features, blank = looked_at(options.out, "materials", samples.pixels)
    if options.context:
        features = in_place(options.out, data, samples, options.context)
    plan = read_plan("quick") if options.context else None
    tiles = Tiles(features, samples.labels, samples.groups, folds_of(data)[samples.pictures], blank, plan)
    strange = {}
    for name, pixels, made_of in () if options.context else generated(samples.pixels):
        seen, empty = looked_at(options.out, name, pixels)
        own = made_of < 0
        folds = np.where(own, -1, tiles.folds[made_of])
        groups = np.where(own, -1 - np.arange(len(own)), tiles.groups[made_of])
        strange[name] = Tiles(seen, np.full(len(own), -1), groups, folds, empty)
    print(f"{len(features)} tiles of {TILE} px of {len(data.pictures)} pictures")
    calibration(tiles, print)
    report("left out of training", left_out(tiles, data.categories), print)
    if strange:
        report("foreign tiles", foreign(tiles, strange), print)


if __name__ == "__main__":
    main()
