"""The model file: safetensors with the card in its metadata; nothing in it is ever executed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from napari_semclass.errors import ModelError
from napari_semclass.model.backbone import build_network
from napari_semclass.model.card import CARD_BYTES, Card, card_from_json
from napari_semclass.model.familiar import Familiar, read_familiar
from napari_semclass.model.network import Model
from napari_semclass.writing import replacing

METADATA_KEY = "semclass"
# Room for the card and for the names and shapes of some ten thousand tensors.
_HEADER_BYTES = CARD_BYTES + 4_000_000
# BatchNorm's counters steer training only; leaving them out keeps the file to what classifying needs.
_DTYPES = (torch.float16, torch.bfloat16, torch.float32)
_NOT_STORED = "num_batches_tracked"


def save_model(
    network: torch.nn.Module, card: Card, path: str | Path, *, half: bool = True, familiar: Familiar | None = None
) -> Model:
    """Write a network and its card as one file, whole or not at all.

    Parameters
    ----------
    network : nn.Module
        A timm network of `card.backbone` with one output per category.
    card : Card
    path : str or Path
        Replaced when it exists.
    half : bool
        Store weights as float16 (half the size).
    familiar : Familiar
        What its training looked like; the card says so by its `familiar_kept`.

    Returns
    -------
    Model
        As read back from the file, so that what was saved is what is used.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    path = Path(path)
    tensors = {name: _halved(value) if half else value for name, value in stored_tensors(network, familiar).items()}
    with replacing(path) as temporary:
        temporary.write_bytes(dump_tensors(tensors, metadata={METADATA_KEY: card.to_json()}))
    return load_model_file(path)


def stored_tensors(network: torch.nn.Module, familiar: Familiar | None = None) -> dict[str, Tensor]:
    """The tensors that a model's file holds, each in memory of its own, also those that a network has by two names."""
    weights: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, value in network.state_dict().items():
        if not name.endswith(_NOT_STORED):
            stored = value.detach().cpu().contiguous()
            weights[name] = stored.clone() if stored.data_ptr() in places else stored
            places.add(stored.data_ptr())
    return weights if familiar is None else weights | familiar.tensors()


def load_model_file(path: str | Path) -> Model:
    """Read a model file; every part is checked before it is used.

    Raises
    ------
    ModelError
        Missing, a pickle, not safetensors, without or with an unsound card, with an unknown backbone, or with
        tensors that are missing, left over, of the wrong shape or not finite.
    """
    path = Path(path)
    card = read_card(path)
    try:
        tensors = load_tensors(path.read_bytes())
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: its tensors cannot be read ({error}); the file is damaged.") from error
    # On the meta device nothing is allocated: a card cannot make us build a huge network for a small file.
    with torch.device("meta"):
        skeleton = build_network(card.backbone, len(card.categories), str(path), size=card.input_size)
    weights = {name: value for name, value in tensors.items() if not name.startswith("card.")}
    _refuse_mismatch(path, skeleton.state_dict(), weights)
    classifier = skeleton.get_classifier()  # type: ignore[operator]
    width = classifier.in_features if isinstance(classifier, torch.nn.Linear) else None
    familiar = read_familiar(
        tensors, width, len(card.categories), expected=card.familiar_kept is not None, source=str(path)
    )
    network = build_network(card.backbone, len(card.categories), str(path), size=card.input_size)
    network.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    return Model(network.requires_grad_(False), card, model_hash(tensors, card), familiar)


def read_card(path: str | Path) -> Card:
    """The card alone, without reading the weights."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(9)
            length = int.from_bytes(start[:8], "little")
            _refuse_other_formats(path, start, length)
            header = json.loads(start[8:] + file.read(length - 1))
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(f"{path}: the model cannot be opened ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: is not a safetensors file; this is not a model of this program.") from error
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ModelError(
            f"{path}: holds weights but no napari-semclass card, so its categories are unknown; "
            "use a model that this program saved."
        )
    return card_from_json(text, str(path))


def model_hash(tensors: Mapping[str, Tensor], card: Card) -> str:
    """SHA-256 over every tensor's name, dtype, shape and bytes in order of name, then the canonical card."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    digest.update(card.to_json().encode())
    return digest.hexdigest()


def _halved(value: Tensor) -> Tensor:
    """The tensor as float16, unless that would lose values to infinity (variances of BatchNorm can be large)."""
    if not value.is_floating_point() or not torch.isfinite(value.half()).all():
        return value
    return value.half()


def _refuse_other_formats(path: Path, start: bytes, length: int) -> None:
    # The header's length may begin with the very bytes that a pickle begins with, but then JSON follows it.
    if start[8:] != b"{" and (start[:2] == b"PK" or start[:1] == b"\x80"):
        raise ModelError(
            f"{path}: is a pickle (PyTorch or fastai), which can run any code when opened, so it is not read; "
            "use a .safetensors model of this program."
        )
    if len(start) < 9 or not 2 <= length <= _HEADER_BYTES or length > path.stat().st_size:
        raise ModelError(f"{path}: is not a safetensors file; this is not a model of this program.")


def _refuse_mismatch(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    for name, value in expected.items():
        if name.endswith(_NOT_STORED):
            continue
        if name not in found:
            raise ModelError(f"{path}: the tensor {name!r} is missing; the file is damaged or of another network.")
        if found[name].shape != value.shape:
            raise ModelError(
                f"{path}: the tensor {name!r} has shape {tuple(found[name].shape)}, the network needs "
                f"{tuple(value.shape)}; the file does not fit its card."
            )
        if found[name].dtype not in _DTYPES:
            raise ModelError(f"{path}: the tensor {name!r} is of type {found[name].dtype}, which is not used here.")
        if not torch.isfinite(found[name].float()).all():
            raise ModelError(f"{path}: the tensor {name!r} holds NaN or infinity; the file is damaged.")
    left_over = sorted(set(found) - set(expected))
    if left_over:
        raise ModelError(f"{path}: the tensor {left_over[0]!r} does not belong to the network its card names.")
