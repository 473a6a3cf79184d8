"""Training on real micrographs, tested on specimens kept apart: progressive against frozen features and plain fastai.

    python benchmarks/materials.py --data ../shared/data/materials --out RESULTS [--runs frozen progressive plain]

Stratified group 2-fold (benchmarks/materials_folds.csv), 224 px tiles. `frozen`: features of the start weights and a
logistic regression (C = 0.01, categories balanced). `progressive`: the recipe, 3 seeds, by the trainer's own
process on all of the training fold (the schedule is fixed, so nothing has to be held out of it). `plain`: a fastai
script at fixed 224 px with as many epochs, ImageNet start, aug_transforms, one seed. Every run's tile predictions are
kept in RESULTS, so that runs can be made one by one; the summary at the end is of those that are there.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_semclass.classify.forward import Forward
from napari_semclass.learn.dataset import DataSet, Picture, read_dataset
from napari_semclass.learn.in_place import answers_to
from napari_semclass.learn.metrics import reliability, with_interval
from napari_semclass.learn.plan import Plan, changed, read_plan
from napari_semclass.learn.run import Run, Task
from napari_semclass.learn.split import read_folds, stratified_group_folds, write_folds
from napari_semclass.learn.tiles import Cutting, Samples, cut_samples, cutting_of
from napari_semclass.model import load_model

FOLDS = Path(__file__).with_name("materials_folds.csv")
TILE = 224
REPEATS = 300
_Shares = NDArray[np.float64]


def folds_of(data: DataSet) -> NDArray[np.int64]:
    """Fold of each picture, from the file; made once by its first use."""
    if not FOLDS.exists():
        write_folds(data.pictures, data.folder, stratified_group_folds(data.pictures, 2, seed=0), FOLDS)
    return read_folds(data.pictures, data.folder, FOLDS)


def cut(data: DataSet, indices: NDArray[np.int64], categories: tuple[str, ...], model: str = "starter") -> Samples:
    """Tiles of the pictures at these indices, as the model named was taught to see them."""
    card = load_model(model).card
    names = sorted({picture.group for picture in data.pictures})
    groups = [names.index(picture.group) for picture in data.pictures]
    cutting = Cutting("tile", TILE, TILE, card.input_size, card.preprocessing)
    return cut_samples(data.pictures, indices.tolist(), cutting, groups, categories)


def frozen(data: DataSet, training: NDArray[np.int64], test: NDArray[np.int64]) -> tuple[Samples, _Shares]:
    """Probabilities of a logistic regression on features of the start weights."""
    import torch

    from semclass_training.prepare import features_of_samples

    model = load_model("starter")
    learned, held_out = (cut(data, part, data.categories) for part in (training, test))
    device = torch.device("cpu")
    features = [features_of_samples(model.network, model.card, part, device) for part in (learned, held_out)]
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000))
    return held_out, np.asarray(fitted.fit(features[0], learned.labels).predict_proba(features[1]))


def train(pictures: list[Picture], plan: Plan, folder: Path) -> tuple[Path, dict[str, float]]:
    """Train a model by the trainer's own process on these pictures alone: its file, and minutes taken and predicted."""
    source = folder / "data"
    write_manifest(pictures, source)
    run = Run(folder / "run")
    out = folder / "model.safetensors"
    run.create(plan, Task(str(source), str(out), "benchmark", "Benchmark"))
    begun, spent = time.monotonic(), processor_minutes(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-W", "ignore", "-m", "semclass_training", str(run.folder)], check=True)
    minutes = (time.monotonic() - begun) / 60
    spent = processor_minutes(resource.RUSAGE_CHILDREN) - spent
    lines = [json.loads(line) for line in run.events_file.read_text(encoding="utf-8").splitlines()]
    estimate = next(line for line in lines if line["kind"] == "estimate")
    # From the estimate on: what a user waits for once the minutes are predicted.
    waited = datetime.fromisoformat(lines[-1]["time"]) - datetime.fromisoformat(estimate["time"])
    return out, {
        "minutes": minutes,
        "processor_minutes": spent,
        "predicted_minutes": sum(estimate["minutes"]),
        "waited_minutes": waited.total_seconds() / 60,
    }


def trained(
    data: DataSet, training: NDArray[np.int64], test: NDArray[np.int64], plan: Plan, folder: Path
) -> tuple[Samples, _Shares, dict[str, float]]:
    """Probabilities of a model that was trained on the training pictures alone."""
    out, timing = train([data.pictures[index] for index in training], plan, folder)
    held_out = cut(data, test, data.categories, str(out))
    model = load_model(out)
    nothing = np.zeros(len(held_out), dtype=bool)
    logits, _ = answers_to(Forward.on(model, "cpu"), data.pictures, held_out, cutting_of(model.card), nothing)
    return held_out, softmax(logits / model.card.temperature, axis=1), timing


def processor_minutes(who: int) -> float:
    """Processor time so far: unlike wall time, hardly changed by what else the machine does."""
    usage = resource.getrusage(who)
    return (usage.ru_utime + usage.ru_stime) / 60


def write_manifest(pictures: list[Picture], folder: Path) -> None:
    """A data set of these pictures, where they are."""
    folder.mkdir(parents=True)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "class", "group"])
        writer.writerows([picture.path.absolute(), picture.category, picture.group] for picture in pictures)


def plain(
    data: DataSet, training: NDArray[np.int64], test: NDArray[np.int64], epochs: int
) -> tuple[Samples, _Shares, dict[str, float]]:
    """Probabilities of what one writes with fastai in ten lines: fixed size, all of it fine-tuned, batch by batch."""
    import timm
    import torch
    from fastai.vision.all import (
        CategoryBlock,
        DataBlock,
        ImageBlock,
        Learner,
        Normalize,
        aug_transforms,
        params,
    )
    from fastai.vision.core import PILImage

    from semclass_training.imagenet import imagenet_backbone
    from semclass_training.prepare import logits_of_samples

    learned, held_out = (cut(data, part, data.categories) for part in (training, test))
    network = timm.create_model("tf_efficientnet_lite0", num_classes=len(data.categories))
    network.load_state_dict(imagenet_backbone("tf_efficientnet_lite0").state_dict(), strict=False)
    torch.manual_seed(0)
    np.random.seed(0)
    begun, spent = time.monotonic(), processor_minutes(resource.RUSAGE_SELF)
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=list(range(len(data.categories))))),
        get_x=lambda index: PILImage.create(np.repeat(learned.pixels[index][..., None], 3, axis=2)),
        get_y=lambda index: int(learned.labels[index]),
        splitter=lambda items: (list(range(len(items))), []),
        batch_tfms=[*aug_transforms(), Normalize.from_stats([0.5] * 3, [0.5] * 3)],
    )
    loaders = block.dataloaders(range(len(learned)), bs=32, num_workers=0)
    learner = Learner(
        loaders,
        network,
        loss_func=torch.nn.functional.cross_entropy,
        splitter=lambda model: [
            [p for name, p in model.named_parameters() if "classifier" not in name],
            params(model.classifier),
        ],
    )
    with learner.no_bar(), learner.no_logging():
        learner.freeze()
        learner.fit_one_cycle(1, 2e-3)
        learner.unfreeze()
        learner.fit_one_cycle(epochs - 1, slice(1e-5, 1e-3))
    minutes = (time.monotonic() - begun) / 60
    spent = processor_minutes(resource.RUSAGE_SELF) - spent
    card = load_model("starter").card
    return (
        held_out,
        softmax(logits_of_samples(network, card, held_out, torch.device("cpu")), axis=1),
        {"minutes": minutes, "processor_minutes": spent},
    )


def keep(out: Path, name: str, samples: Samples, shares: _Shares, more: dict[str, float]) -> None:
    """Write what a run answered, tile by tile."""
    answers = shares.argmax(axis=1)
    content = {
        "labels": samples.labels.tolist(),
        "groups": samples.groups.tolist(),
        "answers": answers.tolist(),
        "probabilities": shares.round(5).tolist(),
        **more,
    }
    (out / f"{name}.json").write_text(json.dumps(content))
    print(f"{name}: macro-F1 {macro_f1(samples.labels, answers):.4f} {more}", flush=True)


def macro_f1(labels: NDArray[np.int64], answers: NDArray[np.int64]) -> float:
    """Over the categories among the truth."""
    return float(f1_score(labels, answers, labels=np.unique(labels), average="macro", zero_division=0))


def summary(out: Path) -> None:
    """Means over folds and seeds, and the difference to frozen features with its group-bootstrap interval."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(out.glob("*.json"))}
    kinds = sorted({name.split("-")[0] for name in found})
    for kind in kinds:
        runs = [run for name, run in found.items() if name.split("-")[0] == kind]
        scores = [macro_f1(np.array(run["labels"]), np.array(run["answers"])) for run in runs]
        right = [float(np.mean(np.equal(run["labels"], run["answers"]))) for run in runs]
        minutes, busy = ([run[key] for run in runs if key in run] for key in ("minutes", "processor_minutes"))
        took = f", {np.mean(minutes):.1f} minutes each, {np.mean(busy):.1f} of processor time" if busy else ""
        print(f"{kind}: expected calibration error of all folds {calibration(found, kind)}")
        print(f"{kind}: {len(runs)} runs, macro-F1 {np.mean(scores):.4f} ({min(scores):.4f} to {max(scores):.4f}), "
              f"accuracy {np.mean(right):.4f}{took}")  # fmt: skip
        print(f"{kind}: {together(found, kind)}")
    for kind in kinds:
        pairs = [
            (run, found[f"frozen-{name.split('-')[1]}"])
            for name, run in found.items()
            if name.split("-")[0] == kind != "frozen" and f"frozen-{name.split('-')[1]}" in found
        ]
        if pairs:
            print(f"{kind} minus frozen: {difference(pairs)}")


def together(found: dict[str, Any], kind: str) -> str:
    """Accuracy and macro-F1 of the tiles of all folds together, means of seeds, intervals by drawing groups."""
    by_seed: dict[str, dict[str, Any]] = {}
    for name, run in found.items():
        if name.split("-")[0] == kind:
            by_seed.setdefault("-".join(name.split("-")[2:]), {})[name.split("-")[1]] = run
    most = max(by_seed.values(), key=len)
    whole = [[runs[fold] for fold in sorted(most)] for runs in by_seed.values() if runs.keys() == most.keys()]
    answers = [np.concatenate([np.array(run["answers"]) for run in runs]) for runs in whole]
    truth = np.concatenate([np.array(run["labels"]) for run in whole[0]])
    groups = np.concatenate([np.array(run["groups"]) for run in whole[0]]).astype(str).tolist()
    right = with_interval(lambda drawn: float(np.mean([truth[drawn] == a[drawn] for a in answers])), groups, REPEATS)
    score = with_interval(
        lambda drawn: float(np.mean([macro_f1(truth[drawn], a[drawn]) for a in answers])), groups, REPEATS
    )
    return f"{len(whole[0])} folds together, {len(truth)} tiles: accuracy {right}, macro-F1 {score}"


def calibration(found: dict[str, Any], kind: str) -> str:
    """Expected calibration error of the tiles of all folds together, mean of seeds, interval by drawing groups."""
    by_seed: dict[str, list[Any]] = {}
    for name, run in found.items():
        if name.split("-")[0] == kind and "probabilities" in run:
            by_seed.setdefault("-".join(name.split("-")[2:]), []).append(run)
    whole = [runs for runs in by_seed.values() if len(runs) == max(map(len, by_seed.values()))]
    if not whole:
        return "not known"
    shares = [np.concatenate([np.array(run["probabilities"]) for run in runs]) for runs in whole]
    truth = np.concatenate([np.array(run["labels"]) for run in whole[0]])
    groups = [f"{fold} {group}" for fold, run in enumerate(whole[0]) for group in run["groups"]]

    def error(drawn: NDArray[np.int64]) -> float:
        return float(np.mean([reliability(each[drawn], truth[drawn]).error for each in shares]))

    return f"{with_interval(error, groups, REPEATS)} ({len(whole)} seeds)"


def difference(pairs: list[tuple[dict[str, list[int]], dict[str, list[int]]]]) -> str:
    """Mean difference of macro-F1 over runs, with a 95 % interval from drawing groups within folds."""
    random = np.random.default_rng(0)

    def drawn(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
        """Samples of groups drawn within each category, so that each draw has all of them."""
        chosen = []
        for label in np.unique(labels):
            own = np.unique(groups[labels == label])
            chosen += [np.flatnonzero((groups == group) & (labels == label)) for group in random.choice(own, len(own))]
        return np.concatenate(chosen)

    def mean(draw: bool) -> float:
        values = []
        for run, base in pairs:
            labels, groups, answers = (np.array(run[key]) for key in ("labels", "groups", "answers"))
            plain_answers = np.array(base["answers"])
            chosen = drawn(labels, groups) if draw else np.arange(len(labels))
            values.append(macro_f1(labels[chosen], answers[chosen]) - macro_f1(labels[chosen], plain_answers[chosen]))
        return float(np.mean(values))

    low, high = np.percentile([mean(True) for _ in range(REPEATS)], [2.5, 97.5])
    return f"{mean(False):+.4f} [{low:+.4f}, {high:+.4f}]"


def main() -> None:
    """Run what is asked for and sum up all that is there."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True, help="folder for the results, of one recipe")
    arguments.add_argument("--runs", nargs="*", default=["frozen", "progressive", "plain"])
    arguments.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    arguments.add_argument("--folds", type=int, nargs="*", help="all if not given")
    arguments.add_argument(
        "--parts",
        type=int,
        default=2,
        help="stratified group folds; with more than the 2 of the file, more are learned from. OUT is for one number",
    )
    arguments.add_argument("--recipe", default="progressive")
    arguments.add_argument("--set", nargs="*", default=[], help="changes to the recipe")
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    data = read_dataset(options.data)
    parts = options.parts
    numbers = folds_of(data) if parts == 2 else stratified_group_folds(data.pictures, parts, seed=0)
    base = changed(read_plan(options.recipe), options.set)
    for fold in range(parts) if options.folds is None else options.folds:
        training, test = np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)
        if "frozen" in options.runs:
            keep(options.out, f"frozen-{fold}", *frozen(data, training, test), {})
        if "plain" in options.runs:
            epochs = sum(stage.epochs + stage.frozen_epochs for stage in base.stages)
            keep(options.out, f"plain-{fold}-0", *plain(data, training, test, epochs))
        for seed in options.seeds if "progressive" in options.runs else []:
            plan = changed(base, [f"seed={seed}", "held.share=0.0"])
            name = f"progressive-{fold}-{seed}"
            keep(options.out, name, *trained(data, training, test, plan, options.out / name))
    summary(options.out)


if __name__ == "__main__":
    main()
