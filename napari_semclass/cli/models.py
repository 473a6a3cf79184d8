"""`semclass models`: what each model tells apart, how well, where it comes from, and how it may be used."""

import argparse
from typing import TYPE_CHECKING

from napari_semclass.cli import output
from napari_semclass.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semclass.model import Card

_MODELS = """\
List the models found by name; or, for each MODEL, say in full what it is: its hash, what it was made from, on what it
was tested, its licence, and whom to credit. All of this is what its maker wrote, but for the hash.

A model that was signed with Sigstore (sigstore sign MODEL) has a file MODEL.sigstore.json beside it. --signed-by and
--issuer check that its signature is that of the signer you name; the extra "sign" brings what is needed.
"""


def add_models(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `semclass models` to the commands."""
    parser = commands.add_parser(
        "models",
        help="list the models, or say where one comes from and check its signature",
        description=_MODELS,
        epilog="Exit status: 0 all well, 2 a model is not sound, or not signed as it should be.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(func=models)
    add = parser.add_argument
    add("models", nargs="*", metavar="MODEL", help="name or file of a model")
    add("--signed-by", metavar="WHO", help="e-mail address, or address of a workflow, that must have signed")
    add("--issuer", metavar="URL", help="who must have vouched for WHO, such as https://github.com/login/oauth")


def models(options: argparse.Namespace) -> int:
    """List models, or describe those that the options name; return the exit status."""
    if bool(options.signed_by) != bool(options.issuer) or (options.signed_by and not options.models):
        raise SettingsError("--signed-by and --issuer are given together, and with the MODEL to check.")
    if options.models:
        output.result("\n\n".join(_in_full(name, options.signed_by, options.issuer) for name in options.models))
        output.check_delivered()
        return 0
    # Loaded when needed: --help must not wait for torch.
    from napari_semclass.model import available_models, model_folder

    cards = available_models()
    output.result("\n\n".join(_described(name, card) for name, card in cards.items()) or "No models found.")
    output.result(f"\nYour own models (.safetensors) are looked for in {model_folder()}.")
    output.check_delivered()
    return 0


def _in_full(name: str, signer: str | None, issuer: str | None) -> str:
    """All that is known of one model, after its signature was checked if it should be."""
    from napari_semclass.model import find_model, load_model

    path = find_model(name)
    signature = _signature(path, signer, issuer)
    model = load_model(path)
    card = model.card
    origin = {
        "file": str(path),
        "hash": f"{model.sha256} (SHA-256 of its weights and card)",
        "made from": card.provenance or "not stated",
        "credit": card.credit or "not stated",
        **{f"tested on {test.unit}s": f"data with SHA-256 {test.data_sha256 or 'not stated'}" for test in card.tests},
        "signature": signature,
    }
    return "\n".join([_described(card.name, card), *(f"  {key}: {_line(text)}" for key, text in origin.items())])


def _signature(path: "Path", signer: str | None, issuer: str | None) -> str:
    from napari_semclass.model.signature import bundle_of, check_signature

    if signer and issuer:
        check_signature(path, signer, issuer)
        return f"by {signer}, for whom {issuer} vouches"
    if bundle_of(path).is_file():
        return f"in {bundle_of(path).name}, not checked; --signed-by and --issuer do"
    return "none"


def _context(card: "Card") -> str:
    return f", each answered from {card.context:g} x {card.context:g} of them" if card.context > 1 else ""


def _described(name: str, card: "Card") -> str:
    lines = [
        f"{name}: {_line(card.title)}",
        f"  {len(card.categories)} categories: {_line(', '.join(card.names))}",
        f"  made for {card.unit}s; tiles of {card.tile} px{_context(card)}; {card.backbone}",
        *(f"  {_tested(card, index)}" for index in range(len(card.tests))),
    ]
    if not card.tests:
        lines.append("  not tested: how often it is right is not known")
    lines.append(f"  licence: {_line(card.licence) or 'not stated'}")
    if card.description:
        lines.append(f"  {_line(card.description)}")
    return "\n".join(lines)


def _tested(card: "Card", index: int) -> str:
    from napari_semclass.cli.progress import share

    test = card.tests[index]
    low, high = test.accuracy_interval
    return (
        f"{share(test.accuracy)} of {test.n:,} {test.unit}s right (95 % interval {100 * low:.0f}-{share(high)}), "
        f"balanced {share(test.balanced_accuracy)}: {_line(test.protocol)}"
    )


def _line(text: str) -> str:
    """What a card or a path says, as one line that cannot move a terminal's cursor or rewrite what stands above it."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))
