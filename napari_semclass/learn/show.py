"""Plans and figures as text and as HTML for a notebook."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_semclass.learn.metrics import Share
from napari_semclass.showing import paragraph, table

if TYPE_CHECKING:
    from napari_semclass.learn.measure import Scores
    from napari_semclass.learn.plan import Plan

_STAGE = ("stage", "size", "frozen epochs", "epochs", "rate", "tiles a batch")


def plan_html(plan: "Plan") -> str:
    """A table of the stages, and everything else as in the plan's file."""
    rows = [
        (f"{number}", f"{one.size} px", f"{one.frozen_epochs}", f"{one.epochs}", f"{one.lr:g}", f"{one.batch}")
        for number, one in enumerate(plan.stages, start=1)
    ]
    stages = table(_STAGE, rows) if rows else paragraph("No stages: a linear head on the network as it is.")
    rest = {key: value for key, value in asdict(plan).items() if key != "stages"}
    head = paragraph(f"Plan: {plan.backbone} from {plan.pretrained} weights, learned from {plan.unit}s", bold=True)
    values = table(("setting", "value"), list(_settings(rest)))
    return f"{head}{stages}<details><summary>All settings</summary>{values}</details>"


def _settings(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Each setting by its path, as `--set` takes it, and its value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{above}{key}.")
        elif value is not None:
            yield f"{above}{key}", ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def scores_text(scores: "Scores") -> str:
    """How good a classifier is, in one line."""
    groups = f"{scores.groups} group{'' if scores.groups == 1 else 's'}"
    return (
        f"{scores.n:,} {scores.word}s of {groups}, accuracy {scores.accuracy}, macro-F1 {scores.macro_f1}, "
        "each with its 95 % interval"
    )


def scores_html(scores: "Scores") -> str:
    """The figures over all and of each category."""
    rows = [
        (
            "all (macro average)",
            *map(_cell, (scores.macro_precision, scores.balanced_accuracy, scores.macro_f1)),
            f"{scores.n:,}",
        )
    ]
    rows += [
        (each.name, *map(_cell, (each.precision, each.recall, each.f1)), f"{each.support:,}")
        for each in scores.categories
    ]
    head = paragraph(f"Right on {_cell(scores.accuracy)} of {scores.n:,} {scores.word}s", bold=True)
    note = f"In brackets: 95 % intervals over {scores.groups} groups. Calibration error {scores.after.error:.3f}."
    return head + table(("category", "precision", "recall", "F1", f"{scores.word}s"), rows) + paragraph(note)


def _cell(share: Share | None) -> str:
    return "none" if share is None else f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"
