"""Which networks can answer for many tiles from one feature map of the micrograph, tried on the network itself."""

from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from napari_semclass.model.card import LARGEST_INPUT, LARGEST_TILE
from napari_semclass.model.network import Model, overheard

# The trial picture, and the part of it that the network is shown alone, in pixels.
_HEIGHT, _WIDTH, _CUT = 128, 1536, 512
# Of the map's standard deviation: what a cell may change by the border of a block. Averaged over a tile, less than 1e-4
# of the probabilities comes of it.
_CHANGE = 0.01

_KNOWN: "WeakKeyDictionary[nn.Module, Windows | None]" = WeakKeyDictionary()


@dataclass(frozen=True)
class Windows:
    """How a network's last feature map lies on its input.

    Parameters
    ----------
    stride : int
        Pixels of the input per cell of the map.
    halo : int
        Cells from a border within which a cell's features depend on what is beyond the border.
    """

    stride: int
    halo: int


def windows_of(network: nn.Module) -> Windows | None:
    """How the network's last feature map lies on its input; None where tiles cannot share it.

    They can where the linear classifier is given the plain average of that map, each cell of which sees a bounded
    surrounding, the same wherever it lies. Squeeze-excitation, attention and position embeddings see the whole picture,
    so their tiles cannot. A trial of some tenths of a second decides, once for each network.
    """
    if network not in _KNOWN:
        try:
            _KNOWN[network] = _tried(network)
        except Exception:  # networks raise whatever they like at a picture that is not square
            _KNOWN[network] = None
    return _KNOWN[network]


def for_single_tiles(model: Model) -> Model:
    """The same model for whoever shows it tiles one by one: each has to bring its surroundings along.

    Its tiles are as wide as the area that a window is averaged over, or as a network can be shown, and the answer is
    for the middle of them. Near enough, but not the same: their edges see padding in place of what lies beyond.
    """
    card = model.card
    context = min(card.context, LARGEST_TILE / card.tile, LARGEST_INPUT / card.input_size)
    wider = replace(
        card,
        windows=False,
        context=1.0,
        tile=round(card.tile * context),
        tile_um=None if card.tile_um is None else card.tile_um * context,
        input_size=round(card.input_size * context),
    )
    return replace(model, card=wider)


def _tried(network: nn.Module) -> Windows | None:
    weight = next(network.parameters())
    drawn = torch.randn(1, 1, _HEIGHT // 2, _WIDTH // 2, generator=torch.Generator().manual_seed(0))
    # Not the same all over, so that whoever averages over the whole picture is found out.
    noise = nn.functional.interpolate(drawn, scale_factor=2, mode="bilinear") + torch.linspace(-1, 1, _WIDTH)
    picture = noise.expand(-1, 3, -1, -1).to(weight.device)
    with torch.inference_mode():
        whole, part = _map(network, picture), _map(network, picture[..., _CUT:])
        stride = _WIDTH // whole.shape[3]
        sides = [side % stride == 0 for side in (_HEIGHT, _WIDTH, _CUT)]
        if not all(sides) or whole.shape[2:] != (_HEIGHT // stride, _WIDTH // stride):
            return None
        with overheard(network) as heard:
            network(picture[..., :_HEIGHT])
        average = _map(network, picture[..., :_HEIGHT]).mean(dim=(2, 3))
        if not heard or heard[0].shape != average.shape or not torch.allclose(heard[0], average, rtol=1e-3, atol=1e-4):
            return None
        change = (whole[..., _CUT // stride :] - part).abs().amax(dim=(0, 1, 2)) / whole.std()
    touched = torch.nonzero(~(change <= _CHANGE)).flatten()  # NaN counts as touched
    # One more: strides and paddings may favour one side by a cell.
    halo = int(touched.max()) + 2 if len(touched) else 1
    return Windows(stride, halo) if halo <= len(change) * 3 // 4 else None


def _map(network: nn.Module, picture: Tensor) -> Tensor:
    found: Tensor = network.forward_features(picture)  # type: ignore[operator]
    return found
