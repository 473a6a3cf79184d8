"""What an epoch's validation comes to."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import precision_recall_fscore_support
from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """Loss, and shares in [0, 1] over the categories present; all None where nothing was validated."""

    valid_loss: float | None = None
    accuracy: float | None = None
    macro_f1: float | None = None
    precision: float | None = None
    recall: float | None = None


def scores_of(logits: Tensor, labels: Tensor) -> Scores:
    """Scores of logits (tiles, categories) against labels (tiles,)."""
    loss = float(torch.nn.functional.cross_entropy(logits, labels))
    answers = logits.argmax(dim=1)
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels.numpy(), answers.numpy(), labels=np.unique(labels.numpy()), average="macro", zero_division=0
    )
    accuracy = float((answers == labels).float().mean())
    return Scores(*(round(float(value), 5) for value in (loss, accuracy, f1, precision, recall)))
