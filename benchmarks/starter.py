"""Does the starter's recipe beat the plain one? Both recomputed on the same grouped folds, and the starter's speed.

`python benchmarks/starter.py --data ../shared/data/nffa` prints accuracy and balanced accuracy with 95 % intervals
(bootstrap over groups) and the paired difference, then the seconds per picture of the shipped model.
Real alone: without generated micrographs, and with the balance that was chosen for that.
The plain recipe: whole picture squeezed to 224 px, data bar left in, features averaged over a flip, logistic regression
(C = 0.001, categories balanced).
With `--progressive FOLDER` the training module also tunes a network on each fold (recipe `progressive` on whole
pictures, seed 0), tested on the same held-out pictures; FOLDER keeps the runs.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from napari_semclass import Card, Settings, classify_micrograph, load_model, open_micrographs
from napari_semclass.learn.dataset import Picture, read_manifest
from napari_semclass.learn.frozen import held_out_heads, whole_probabilities
from napari_semclass.learn.head_plan import HeadPlan, read_head_plan
from napari_semclass.learn.metrics import accuracy, balanced_accuracy, with_interval
from napari_semclass.learn.plan import changed, read_plan
from napari_semclass.learn.split import read_folds, splits_of_folds
from napari_semclass.learn.views import features_of

TRAINING = Path(__file__).parents[1] / "training"
sys.path.insert(0, str(TRAINING))
from materials import train  # noqa: E402 - training/ has to be on the path first

from fit_starter import CATEGORIES, blank_card, look_at_all, look_at_drawn, numbered  # noqa: E402 - as above
from semclass_training.imagenet import imagenet_backbone  # noqa: E402 - as above


def plain_features(pictures: Sequence[Picture], card: Card, plan: HeadPlan) -> NDArray[np.float32]:
    """Features (pictures, features) of squeezed pictures, averaged over a flip."""
    network = imagenet_backbone(plan.backbone)
    features = []
    for picture in pictures:
        micrograph = open_micrographs(picture.path)[0]
        grey = torch.from_numpy(
            micrograph.read(0, micrograph.shape[0], 0, micrograph.shape[1]).astype(np.float32) / 255
        )
        size = (plan.input_size, plan.input_size)
        squeezed = torch.nn.functional.interpolate(grey[None, None], size=size, mode="bilinear", antialias=True)[:, 0]
        features.append(features_of(network, torch.cat([squeezed, squeezed.flip(2)]), card).mean(axis=0))
    return np.stack(features)


def of_answers(
    measure: Callable[[NDArray[np.int64], NDArray[np.int64]], float],
    labels: NDArray[np.int64],
    answers: NDArray[np.int64],
    drawn: NDArray[np.int64],
) -> float:
    """A measure of the drawn pictures' answers."""
    return measure(labels[drawn], answers[drawn])


def fine_tuned(
    pictures: Sequence[Picture], splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], out: Path
) -> NDArray[np.int64]:
    """Answers (pictures,) of networks that the training module tuned without each fold."""
    names = [category.name for category in CATEGORIES]
    answers = np.zeros(len(pictures), dtype=np.int64)
    plan = changed(read_plan("progressive"), ["unit=image", "held.share=0.0"])
    for fold, (training, held_out) in enumerate(splits):
        path, timing = train([pictures[index] for index in training], plan, out / f"fold-{fold}")
        model = load_model(path)
        for index in held_out:
            shown = classify_micrograph(open_micrographs(pictures[index].path)[0], model, Settings(mode="whole"))
            answers[index] = names.index(model.card.names[int(shown.probabilities[0].argmax())])
        print(f"fold {fold}: tuned in {timing['processor_minutes']:.1f} processor minutes", flush=True)
    return answers


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--progressive", type=Path, metavar="FOLDER", help="also tune networks, kept in FOLDER")
    options = arguments.parse_args()
    data = options.data
    pictures = read_manifest(data)
    plan = read_head_plan(TRAINING / "starter.toml")
    card = blank_card(plan)
    labels, groups = numbered(pictures)
    splits = list(splits_of_folds(read_folds(pictures, data, TRAINING / "nffa_folds.csv")))
    plain = np.zeros_like(labels)
    features = plain_features(pictures, card, plan)
    for training, held_out in splits:
        fitted = LogisticRegression(C=0.001, class_weight="balanced", max_iter=2000)
        plain[held_out] = fitted.fit(features[training], labels[training]).predict(features[held_out])
    looks, drawn = look_at_all(pictures, card, plan), look_at_drawn(card, plan)
    recipes = {"plain": plain}
    for recipe, planned in (("real alone", replace(plan, drawn=None, balance=0.75)), ("starter", plan)):
        recipes[recipe] = np.zeros_like(labels)
        for held_out, head in held_out_heads(splits, looks, labels, groups, len(CATEGORIES), planned, drawn):
            for index in held_out:
                recipes[recipe][index] = whole_probabilities(head, looks[index]).argmax()
    if options.progressive:
        recipes["progressive"] = fine_tuned(pictures, splits, options.progressive)
    names = groups.astype(str).tolist()
    print(f"{len(pictures)} pictures in {len(set(names))} groups, {len(splits)} stratified group folds")
    for title, measure in (("accuracy", accuracy), ("balanced accuracy", balanced_accuracy)):
        found = {recipe: partial(of_answers, measure, labels, answers) for recipe, answers in recipes.items()}
        for recipe, statistic in found.items():
            gain = with_interval(lambda drawn, a=found["starter"], b=statistic: b(drawn) - a(drawn), names)
            print(f"{title}: {recipe} {with_interval(statistic, names)}, minus starter {gain}")
    model = load_model("starter")
    seconds = []
    for picture in pictures:
        begun = time.perf_counter()
        classify_micrograph(open_micrographs(picture.path)[0], model, Settings(mode="whole"))
        seconds.append(time.perf_counter() - begun)
    print(f"seconds per picture, reading included: median {np.median(seconds):.3f}, largest {max(seconds[1:]):.3f}")


if __name__ == "__main__":
    main()
