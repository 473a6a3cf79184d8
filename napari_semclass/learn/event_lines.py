"""What happens in a training run as lines of text, for a terminal and for the viewer's log."""

from napari_semclass.learn.events import (
    Audited,
    Divided,
    EpochDone,
    Estimated,
    Event,
    Failed,
    Planned,
    StageBegun,
    Stopped,
    Warned,
)
from napari_semclass.learn.toml import toml_text


def event_lines(event: Event) -> list[str]:
    """Lines that tell of an event; none for those that only move a bar or need words of their own at the end."""
    if isinstance(event, Planned):
        words = "Going on with" if event.resumed else "Learning from"
        plan = ["The plan:", *(f"  {line}" for line in toml_text(event.plan).splitlines() if line)]
        return [f"{words} {event.data} on {event.device}, start weights: {event.start_weights}.", *plan]
    if isinstance(event, Audited):
        return list(event.sentences)
    if isinstance(event, Divided):
        return [*_division(event), *event.notes]
    if isinstance(event, Estimated):
        return [_estimate(event)]
    if isinstance(event, StageBegun):
        frozen = f"{event.frozen_epochs} frozen and " if event.frozen_epochs else ""
        epochs = f"{event.epochs} epoch{'' if event.epochs == 1 else 's'}"
        stage = f"Stage {event.stage + 1} of {event.stages}: {event.size} px"
        return [f"{stage}, {frozen}{epochs}, {event.batch} tiles a batch."]
    if isinstance(event, EpochDone):
        return [_epoch(event)]
    if isinstance(event, Warned | Stopped | Failed):
        return [event.sentence]
    return []


def _division(event: Divided) -> list[str]:
    width = max(len(name) for name in event.categories)
    rows = zip(event.categories, event.training, event.validation, strict=True)
    lines = [f"  {name:{width}}  {learned:>8,}  {held:>9,}" for name, learned, held in rows]
    return [f"  {'Tiles':{width}}  {'to learn':>8}  {'held out':>9}", *lines]


def _estimate(event: Estimated) -> str:
    total = sum(event.minutes)
    if total < 1:
        return f"Predicted: {max(1, round(60 * total))} seconds."
    stages = " + ".join(f"{minutes:.1f}" for minutes in event.minutes)
    return f"Predicted: {total:.1f} minutes" + (f" ({stages})." if len(event.minutes) > 1 else ".")


def _epoch(event: EpochDone) -> str:
    shares = {"accuracy": event.accuracy, "macro-F1": event.macro_f1}
    told = ", ".join(f"{name} {value:.3f}" for name, value in shares.items() if value is not None)
    validated = f", held out: loss {event.valid_loss:.3f}, {told}" if event.valid_loss is not None else ""
    kind = " (frozen)" if event.frozen else ""
    return (
        f"  epoch {event.epoch}/{event.epochs}, {event.size} px{kind}: loss {event.train_loss:.3f}{validated}; "
        f"{event.seconds:.0f} s, {event.images_per_second:.0f} tiles/s"
    )
