"""From a run's folder to what the stages work on: data read, audited, divided and cut; start weights; linear head."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_semclass.downloads import Download
from napari_semclass.errors import SettingsError
from napari_semclass.learn.audit import audit
from napari_semclass.learn.dataset import DataSet, Picture, data_sha256, read_dataset, sorted_names
from napari_semclass.learn.events import Audited, Divided
from napari_semclass.learn.in_place import features_in_place
from napari_semclass.learn.linear_head import LEAST_SPREAD, LinearHead, fit_linear_head
from napari_semclass.learn.plan import Plan, refuse_unfit_backbone
from napari_semclass.learn.run import Task
from napari_semclass.learn.split import HeldOut, fold_samples, split_by_parts, split_samples
from napari_semclass.learn.tiles import Cutting, Samples, cut_samples
from napari_semclass.model import Card, Category, Model, Preprocessing
from napari_semclass.model.preprocess import network_input
from napari_semclass.model.windows import windows_of
from napari_semclass.names import key
from semclass_training.loaders import even_weights, resized
from semclass_training.stages import Emit
from semclass_training.weights import Start, start_network

# Okabe and Ito's colours, told apart by colour-blind eyes, and more of like kind; after the last they begin again.
PALETTE = (
    *("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
    *("#9467e0", "#7fd34e", "#ff5c5c", "#8c6d31", "#17becf", "#e377c2", "#bcbd22", "#9aa0a6"),
)
_WEAKEST = 0.03  # 0.03 to 1 gave the same macro-F1 on unseen specimens, to 0.001
_BATCH = 16  # on a CPU, larger ones only fall out of its cache

Progress = Callable[[int], None]
"""Told how many tiles were looked at."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the stages work on.

    Parameters
    ----------
    dataset : DataSet
    cutting : Cutting
        How its pictures were cut.
    training : Samples
    validation : Samples or None
        None where nothing is held out.
    context : float
        Side of the area that a tile is answered from in the end, in tiles; 0: each tile alone.
    notes : tuple of str
    start : Start
    data_sha256 : str
    """

    dataset: DataSet
    cutting: Cutting
    training: Samples
    validation: Samples | None
    context: float
    notes: tuple[str, ...]
    start: Start
    data_sha256: str


def prepare(plan: Plan, task: Task, folder: Path, emit: Emit, *, agree: Callable[[Download], bool]) -> Prepared:
    """Read and audit the data, divide and cut them, and load the start weights.

    Raises
    ------
    SemclassError
        One sentence about what is wrong with data, plan or weights.
    """
    refuse_unfit_backbone(plan)
    dataset = read_dataset(Path(task.data))
    if len(dataset.categories) < 2:
        raise SettingsError(f"{task.data}: has one category only; training needs at least two to tell apart.")
    found = audit(dataset)
    emit(Audited(tuple(found.sentences())))
    categories = sorted_names(dataset.pictures[index].category for index in found.usable)
    if len(categories) < 2:
        raise SettingsError(f"{task.data}: fewer than two categories have readable pictures; nothing can be learned.")
    torch.manual_seed(plan.seed)
    start = start_network(plan.backbone, plan.pretrained, len(categories), agree=agree, size=plan.size)
    preprocessing = Preprocessing(mean=start.mean, std=start.std)
    side = max([plan.size, *(stage.size for stage in plan.stages)])
    cutting = Cutting(
        plan.unit,
        plan.tile,
        plan.stride,
        side,
        preprocessing,
        plan.fields,
        tile_um=plan.tile_um,
        stride_um=plan.stride_um,
    )
    samples = cut_samples(dataset.pictures, found.usable, cutting, found.groups, categories, folder=folder)
    context, alone = _context(plan, [dataset.pictures[index] for index in found.usable], start)
    held = divided(plan, dataset, samples, reach=max(0.0, (context - 1) / 2))
    training, validation = samples.at(held.train), samples.at(held.valid)
    counts = [np.bincount(part.labels, minlength=len(categories)).tolist() for part in (training, validation)]
    notes = (*held.notes, *alone)
    emit(Divided(tuple(categories), tuple(counts[0]), tuple(counts[1]), notes))
    if not all(counts[0]):
        missing = ", ".join(name for name, count in zip(categories, counts[0], strict=True) if not count)
        raise SettingsError(f"{task.data}: no tiles are left to learn {missing} from; add pictures or hold out less.")
    sha256 = data_sha256(dataset.pictures)
    held_out = validation if len(validation) else None
    return Prepared(dataset, cutting, training, held_out, context, notes, start, sha256)


def _context(plan: Plan, pictures: Sequence[Picture], start: Start) -> tuple[float, tuple[str, ...]]:
    """The context that tiles are answered from in the end (0: none), and why it is not the plan's, in a sentence."""
    if not plan.context or plan.unit != "tile":
        return 0.0, ()
    if any(picture.box is not None for picture in pictures):
        return 0.0, ("Tiles are answered alone, as what lies beside a box may be of another category.",)
    if windows_of(start.network) is None:
        return 0.0, (f"Tiles are answered alone, as {start.backbone} has no feature map that they could share.",)
    return plan.context, ()


def divided(plan: Plan, dataset: DataSet, samples: Samples, *, reach: float = 0.0) -> HeldOut:
    """What is learned from and held out, by the folder's own parts or by the plan; `reach` as in `split_samples`."""
    parts = [dataset.pictures[index].part for index in samples.pictures]
    if "valid" in parts:
        return split_by_parts(parts, samples.groups)
    if plan.held.folds:
        folds = fold_samples(samples.labels, samples.groups, plan.held.folds, plan.seed)
        held = folds == plan.held.fold
        return HeldOut(np.flatnonzero(~held), np.flatnonzero(held), (), np.zeros(0, dtype=np.int64))
    if not plan.held.share:
        everything, nothing = np.arange(len(samples)), np.zeros(0, dtype=np.int64)
        return HeldOut(everything, nothing, ("Nothing is held out, so nothing is measured.",), nothing)
    files = np.array(dataset.files)[samples.pictures]
    return split_samples(
        samples.labels,
        samples.groups,
        files,
        samples.boxes,
        plan.held.share,
        plan.seed,
        categories=samples.categories,
        reach=reach,
    )


def make_card(plan: Plan, task: Task, prepared: Prepared) -> Card:
    """The card before anything is measured; `input_size` is that of the last stage."""
    start, categories = prepared.start, prepared.training.categories
    chosen, samples = {key(name): color for name, color in task.colors}, prepared.training
    resampled = plan.tile_um if plan.unit == "tile" else None
    return Card(
        name=task.name,
        title=task.title,
        description=f"Trained on {len(prepared.training):,} {plan.unit}s of {len(categories)} categories.",
        categories=tuple(
            Category(name, chosen.get(key(name), PALETTE[number % len(PALETTE)]))
            for number, name in enumerate(categories)
        ),
        backbone=start.backbone,
        unit=plan.unit,
        tile=plan.tile if resampled is None else int(np.median(np.ptp(samples.boxes[:, ::2], axis=1))),
        tile_um=resampled,
        input_size=plan.size,
        preprocessing=Preprocessing(mean=start.mean, std=start.std),
        pixel_size_range=seen_pixel_sizes(plan, samples),
        provenance=f"Start weights: {start.description}. Data: sha256 {prepared.data_sha256}.",
        licence=licence_of(prepared),
        credit=start.credit,
    )


def seen_pixel_sizes(plan: Plan, samples: Samples) -> tuple[float, float] | None:
    """Smallest and largest pixel size that the network of the last stage is shown, zoom included; None when unknown."""
    known = samples.pixel_size_range()
    if known is None:
        return None
    resized, zoom = samples.pixels.shape[-1] / plan.size, 1 + plan.augmentation.scale
    return known[0] * resized / zoom, known[1] * resized * zoom


def licence_of(prepared: Prepared) -> str:
    """Licences of the data, where they are stated, and of the start weights."""
    stated = sorted({p.licence for p in prepared.dataset.pictures if p.licence})
    data = ", ".join(stated) or "not stated"
    return f"Data: {data}; start weights: {prepared.start.licence or 'none'}"[:2000]


def linear_head(plan: Plan, network: nn.Module, features: NDArray[np.float32], samples: Samples) -> None:
    """Fit the classifier on features (tiles, features) of the network as it is, and put it there."""
    head = fitted_head(plan, features, samples.labels, samples.groups, len(samples.categories))
    classifier = network.get_classifier()  # type: ignore[operator]
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(head.weight))
        classifier.bias.copy_(torch.from_numpy(head.bias))


def fitted_head(
    plan: Plan,
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    categories: int,
) -> LinearHead:
    """The classifier that a plan fits on features (tiles, features) of tiles with these labels and groups (tiles,)."""
    weights = np.ones(len(labels))
    if plan.balance != "none":
        weights = even_weights(labels, groups)
    # Among few tiles some features hardly vary by chance, and the loss of a head that trusts them begins at 30. With
    # many, tuning from such a head was no better (macro-F1 0.895 and 0.921 against 0.897 and 0.932 on materials).
    spread = LEAST_SPREAD if len(labels) < features.shape[1] else 0.0
    return fit_linear_head(
        features, labels, weights, categories, plan.regularisation, least_spread=spread, weakest=_WEAKEST
    )


def features_of_samples(
    network: nn.Module, card: Card, samples: Samples, device: torch.device, progress: Progress = lambda done: None
) -> NDArray[np.float32]:
    """Features before the classifier (tiles, features) of every tile as it is; `progress` is told how many are done."""

    def features(batch: Tensor) -> Tensor:
        before: Tensor = network.forward_features(batch)  # type: ignore[operator]
        return network.forward_head(before, pre_logits=True)  # type: ignore[operator,no-any-return]

    return np.asarray(_answers(features, network, card, samples, device, progress).numpy())


def features_where_they_lie(
    network: nn.Module,
    card: Card,
    prepared: Prepared,
    samples: Samples,
    device: torch.device,
    progress: Progress = lambda done: None,
) -> NDArray[np.float32]:
    """Features before the classifier (tiles, features) as the card's model sees tiles: with their context, or alone."""
    if not card.windows:
        return features_of_samples(network, card, samples, device, progress)
    return features_in_place(
        Model(network.eval(), card, ""),
        prepared.dataset.pictures,
        samples,
        prepared.cutting,
        context=card.context,
        device=str(device),
        progress=progress,
    )


def logits_of_samples(network: nn.Module, card: Card, samples: Samples, device: torch.device) -> NDArray[np.float64]:
    """Unscaled scores (tiles, categories) of every tile as it is."""
    return np.asarray(_answers(network, network, card, samples, device).double().numpy())


def _answers(
    answer: Callable[[Tensor], Tensor],
    network: nn.Module,
    card: Card,
    samples: Samples,
    device: torch.device,
    progress: Progress = lambda done: None,
) -> Tensor:
    """What `answer` gives for every tile, in float32 on the CPU."""
    network.eval()
    parts: list[Tensor] = []
    with torch.inference_mode():
        for begin in range(0, len(samples), _BATCH):
            tiles = resized(samples.pixels[begin : begin + _BATCH], card.input_size).to(device)
            batch = network_input(tiles.float() / 255, card).contiguous(memory_format=torch.channels_last)
            parts.append(answer(batch).float().cpu())
            progress(begin + len(tiles))
    return torch.cat(parts)


def in_context(card: Card, prepared: Prepared) -> Card:
    """The card of the model that is made in the end: with the context that tiles are answered from, if any."""
    return replace(card, windows=True, context=prepared.context) if prepared.context else card


def at_size(card: Card, size: int) -> Card:
    """The card of a network that takes input of another size."""
    return card if card.input_size == size else replace(card, input_size=size)
