"""`semclass models`: what each model tells apart, how well, and under which licence it may be used."""

from napari_semclass.cli.progress import share
from napari_semclass.model import Card, available_models, model_folder


def models() -> int:
    """List all models found by name; return the exit status."""
    cards = available_models()
    print("\n\n".join(_described(name, card) for name, card in cards.items()) or "No models found.")
    print(f"\nYour own models (.safetensors) are looked for in {model_folder()}.")
    return 0


def _described(name: str, card: Card) -> str:
    lines = [
        f"{name}: {card.title}",
        f"  {len(card.categories)} categories: {', '.join(card.names)}",
        f"  made for {card.unit}s; tiles of {card.tile} px; {card.backbone}",
        *(f"  {_tested(card, index)}" for index in range(len(card.tests))),
    ]
    if not card.tests:
        lines.append("  not tested: how often it is right is not known")
    if card.licence:
        lines.append(f"  licence: {card.licence}")
    if card.description:
        lines.append(f"  {' '.join(card.description.split())}")
    return "\n".join(lines)


def _tested(card: Card, index: int) -> str:
    test = card.tests[index]
    low, high = test.accuracy_interval
    return (
        f"{share(test.accuracy)} of {test.n:,} {test.unit}s right (95 % interval {100 * low:.0f}-{share(high)}), "
        f"balanced {share(test.balanced_accuracy)}: {test.protocol}"
    )
