"""The end of a run: blend, calibrate and measure what was learned, and write the model with its card."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn

from napari_semclass.classify.features import scores
from napari_semclass.learn.familiar import FEWEST, KEPT, answered, fit_familiar, parts_of, scaled
from napari_semclass.learn.held_out import HeldOutTiles, write_held_out
from napari_semclass.learn.linear_head import fit_temperature
from napari_semclass.learn.measure import Metrics, measure
from napari_semclass.learn.metrics import Share
from napari_semclass.learn.tiles import Samples
from napari_semclass.model import Card, Model, TestResult, save_model
from napari_semclass.model.familiar import Familiar
from semclass_training.prepare import Prepared, Progress, features_where_they_lie, logits_of_samples

_LOOKED_AT = 4000  # training tiles that stand for all in what is familiar
_TEMPERATURES = (0.25, 4.0)  # a temperature beyond comes from too few mistakes, not from the network

PROTOCOL = (
    "Held-out validation by group (specimen, image; near-duplicates joined): pictures of these groups were not learned "
    "from. The temperature was fitted on them. Intervals: bootstrap over groups."
)


def blended(network: nn.Module, start: dict[str, Tensor], share: float) -> None:
    """Move the weights towards those of the start by `share`; see `Plan.start_share` for why."""
    if not share:
        return
    state = network.state_dict()
    for name, value in {value.data_ptr(): (name, value) for name, value in state.items()}.values():
        if value.is_floating_point():  # once, also where a network has it by two names
            value.lerp_(start[name].to(value.device), share)
    network.load_state_dict(state)


def conclude(
    network: nn.Module,
    card: Card,
    prepared: Prepared,
    seen: NDArray[np.float32] | None,
    device: torch.device,
    out: Path,
    table: Path,
    progress: Progress,
) -> tuple[Model, dict[str, Any]]:
    """Calibrate and measure on the validation tiles, if there are any, and write the model.

    `seen` are the features of the training tiles, where they are known already.
    What the model says of each of these tiles goes into `table`, for whoever wants to see them. `progress` is told how
    many of them were looked at.

    Returns
    -------
    (model, metrics)
        `metrics` as `metrics.json` has them; empty where nothing was held out.

    Raises
    ------
    OutputError
        When the model or the table cannot be written.
    """
    metrics: dict[str, Any] = {}
    familiar = None
    held_out = prepared.validation
    if held_out is not None:
        look = _Look(network, card, prepared, device)
        features, logits = look(held_out, progress)
        temperature = temperature_of(logits, held_out, prepared.training)
        found = measure(
            logits,
            held_out.labels,
            held_out.pictures,
            held_out.groups,
            held_out.categories,
            unit=card.unit,
            temperature=temperature,
        )
        metrics = found.to_json()
        answers = _answered(logits / temperature, prepared, held_out)
        familiar, strangeness = _familiar(look, seen, features, logits)
        card = replace(
            card,
            temperature=round(temperature, 4),
            familiar_kept=None if familiar is None else KEPT,
            reliability=answered(answers.probabilities, held_out.labels, strangeness),
            tests=(test_result(found, prepared),),
        )
        write_held_out(answers, table)
    return save_model(network.cpu(), card, out, familiar=familiar), metrics


@dataclass(frozen=True, eq=False)
class _Look:
    """Looks at tiles as classifying will: each alone, or where it lies."""

    network: nn.Module
    card: Card
    prepared: Prepared
    device: torch.device

    def __call__(self, samples: Samples, progress: Progress) -> tuple[NDArray[np.float32] | None, NDArray[np.float64]]:
        """What the classifier is given, (tiles, features), and what it says, unscaled (tiles, categories).

        The former is None where the network does not end in one linear classifier.
        """
        if not isinstance(self.network.get_classifier(), nn.Linear):  # type: ignore[operator]
            return None, logits_of_samples(self.network, self.card, samples, self.device)
        features = features_where_they_lie(self.network, self.card, self.prepared, samples, self.device, progress)
        return features, scores(features, Model(self.network, self.card, ""))

    def features(self, samples: Samples) -> NDArray[np.float32]:
        """What a linear classifier is given, (tiles, features)."""
        return features_where_they_lie(self.network, self.card, self.prepared, samples, self.device)


def _familiar(
    look: _Look, seen: NDArray[np.float32] | None, held_out: NDArray[np.float32] | None, logits: NDArray[np.float64]
) -> tuple[Familiar | None, NDArray[np.float32] | None]:
    """What the training looks like to the network, scaled on held-out tiles, and the strangeness of these.

    None where there are too few of them, or where the network does not end in one linear classifier.
    """
    if held_out is None or len(held_out) < FEWEST:
        return None, None
    training = look.prepared.training
    drawn = np.random.default_rng(0).permutation(len(training))[:_LOOKED_AT]
    known = look.features(training.at(drawn)) if seen is None else seen[drawn]
    familiar = fit_familiar(known, training.labels[drawn])
    return scaled(familiar, parts_of(familiar, held_out, logits))


def _answered(scaled: NDArray[np.float64], prepared: Prepared, held_out: Samples) -> HeldOutTiles:
    pictures = [prepared.dataset.pictures[index] for index in held_out.pictures.tolist()]
    return HeldOutTiles(
        tuple(picture.path for picture in pictures),
        held_out.boxes,
        held_out.pictures,
        held_out.groups,
        tuple(picture.grey for picture in pictures),
        held_out.labels,
        softmax(scaled, axis=1),
        held_out.categories,
    )


def temperature_of(logits: NDArray[np.float64], held_out: Samples, training: Samples) -> float:
    """The temperature of the held-out tiles.

    It makes the model no surer than it is unless every category shows an unseen group among them: parts of pictures
    that were learned from look easier than the next specimen will be, and it is the next one that it is for.
    """
    low, high = _TEMPERATURES
    apart = ~np.isin(held_out.groups, training.groups)
    if not set(training.labels.tolist()) <= set(held_out.labels[apart].tolist()):
        low = 1.0
    return float(np.clip(fit_temperature(logits, held_out.labels), low, high))


def test_result(metrics: Metrics, prepared: Prepared) -> TestResult:
    """The line of the card that says how good the model is."""
    scores = metrics.scores
    notes = " ".join(prepared.notes)

    def interval(share: Share) -> tuple[float, float]:
        return round(share.low, 4), round(share.high, 4)

    return TestResult(
        unit=scores.unit,
        protocol=f"{PROTOCOL} {notes}".strip(),
        n=scores.n,
        n_images=scores.images,
        n_groups=scores.groups,
        accuracy=round(scores.accuracy.value, 4),
        accuracy_interval=interval(scores.accuracy),
        balanced_accuracy=round(scores.balanced_accuracy.value, 4),
        balanced_accuracy_interval=interval(scores.balanced_accuracy),
        recall={each.name: round(each.recall.value, 4) for each in scores.categories if each.recall is not None},
        data_sha256=prepared.data_sha256,
    )
