"""The label audit on labels that were made wrong on purpose: how many it finds, and how many of its list are wrong.

    python benchmarks/label_audit.py --data ../shared/data/materials [--model starter] [--seeds 10] [--cache FILE]

Features of the pictures are computed once (and kept in FILE). Then, for each share of flipped labels and each seed,
whole pictures (drawn at random among those of categories with two groups or more) get another category's label, drawn
at random; the audit is made as `semclass audit --labels` makes it, and its list compared with what was flipped. Two
other rankings of all judged pictures stand beside it: by chance, and by plain disagreement (the probability of the most
likely category where it is not the label, by the same classifiers). Precision and recall are of the list as long as it
is; average precision is of the whole ranking (pictures that are not on the list follow by their margin).
Labels that were wrong in the data before count as right here, so precision is, if anything, understated.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from napari_semclass.learn.audit import audit
from napari_semclass.learn.dataset import read_dataset
from napari_semclass.learn.doubts import doubt_labels
from napari_semclass.learn.labels import picture_features
from napari_semclass.model import load_model


def features_of(folder: Path, name: str, cache: Path | None) -> tuple[NDArray[np.float32], NDArray[np.int64], ...]:
    """Features, labels and groups of the usable pictures, from the cache where it is there."""
    if cache is not None and cache.exists():
        with np.load(cache, allow_pickle=False) as held:
            return held["features"], held["labels"], held["groups"]
    data = read_dataset(folder)
    found = audit(data)
    usable = np.array(found.usable, dtype=np.int64)
    features = picture_features(data, usable, found, load_model(name))
    labels = np.array([data.categories.index(data.pictures[index].category) for index in usable])
    groups = np.array(found.groups)[usable]
    if cache is not None:
        np.savez(cache, features=features, labels=labels, groups=groups)
    return features, labels, groups


def flipped(labels: NDArray[np.int64], groups: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """Labels of which a share is wrong."""
    random = np.random.default_rng(seed)
    several = [label for label in np.unique(labels) if len(np.unique(groups[labels == label])) > 1]
    open_to = np.flatnonzero(np.isin(labels, several))
    changed = labels.copy()
    for index in random.choice(open_to, round(share * len(open_to)), replace=False):
        changed[index] = random.choice([label for label in several if label != labels[index]])
    return changed


def figures(
    features: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int64], share: float, seed: int
) -> dict[str, float]:
    """What one audit of flipped labels comes to."""
    given = flipped(labels, groups, share, seed)
    doubts = doubt_labels(features, given, groups)
    judged = doubts.judged
    wrong = (given != labels)[judged]
    listed = (doubts.suggested >= 0)[judged]
    right_name = (doubts.suggested == labels)[judged]
    shares, label = doubts.probabilities[judged], given[judged]
    ranking = listed * 2.0 - doubts.margins[judged]
    plain = np.where(shares.argmax(axis=1) != label, shares.max(axis=1), -shares.max(axis=1))
    chance = np.random.default_rng(seed).random(len(wrong))
    return {
        "wrong": float(wrong.sum()),
        "listed": float(listed.sum()),
        "precision": float(wrong[listed].mean()) if listed.any() else 0.0,
        "recall": float(listed[wrong].mean()) if wrong.any() else 0.0,
        "right name": float(right_name[listed & wrong].mean()) if (listed & wrong).any() else 0.0,
        "plain precision": float(wrong[plain > 0].mean()) if (plain > 0).any() else 0.0,
        "plain recall": float((plain > 0)[wrong].mean()) if wrong.any() else 0.0,
        **(
            {
                "average precision": float(average_precision_score(wrong, ranking)),
                "plain average precision": float(average_precision_score(wrong, plain)),
                "chance average precision": float(average_precision_score(wrong, chance)),
            }
            if wrong.any()
            else {}
        ),
    }


def main() -> None:
    """Audit with nothing flipped, and with each share flipped over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--shares", type=float, nargs="*", default=[0.05, 0.1])
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    features, labels, groups = features_of(options.data, options.model, options.cache)
    print(f"{len(labels)} pictures of {len(np.unique(groups))} groups in {len(np.unique(labels))} categories")
    clean = figures(features, labels, groups, 0.0, 0)
    print(f"nothing flipped: {clean['listed']:.0f} listed")
    for share in options.shares:
        runs = [figures(features, labels, groups, share, seed) for seed in range(options.seeds)]
        print(f"{100 * share:g} % flipped, mean (least to most) of {len(runs)} seeds:")
        for key in runs[0]:
            values = [run[key] for run in runs]
            print(f"  {key}: {np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})", flush=True)


if __name__ == "__main__":
    main()
