"""Physical scale: how many pixels so many micrometres are, and whether a model has seen such pixels."""

from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import Micrograph
from napari_semclass.micrograph.metadata.quantities import length_text
from napari_semclass.model.card import Card

LEAST_TILE, LARGEST_TILE = 8, 16_384  # px; fewer show nothing, more do not fit in memory
_MICRO = 1e-6
# Seen sizes are stretched by so much either way before a warning: magnifications of one series differ so, and a network
# that was shown one size does not change its mind sooner.
_LEEWAY = 1.25


def tile_pixels(micrometres: float, micrograph: Micrograph, least: int = LEAST_TILE) -> int:
    """Pixels that a length is on a micrograph, rounded.

    Raises
    ------
    SettingsError
        The pixel size is not known, or the result is below `least` or above 16,384.
    """
    size = micrograph.pixel_size
    if size is None:
        known = micrograph.metadata.pixel_size
        why = "its pixels are not square" if known else "its pixel size is not known"
        cure = "give tiles in pixels" if known else "give the pixel size (--pixel-size) or tiles in pixels"
        raise SettingsError(f"{micrograph.name}: {why}, so {micrometres:g} µm cannot be laid on it; {cure}.")
    pixels = round(micrometres * _MICRO / size)
    if not least <= pixels <= LARGEST_TILE:
        raise SettingsError(
            f"{micrograph.name}: {micrometres:g} µm are {pixels:,} px at {length_text(size)} per pixel; between "
            f"{least} and {LARGEST_TILE:,} px are possible."
        )
    return pixels


def input_pixel_size(pixel_size: float, side: int, card: Card) -> float:
    """Metres per pixel of the network's input, when `side` pixels of so many metres are resized to it."""
    return pixel_size * side / card.input_size


def scale_note(pixel_size: float | None, side: int, card: Card) -> str:
    """What to know when a model is shown another scale than it was trained at; empty when all is well or unknown.

    Parameters
    ----------
    pixel_size : float or None
        Metres per pixel of the micrograph.
    side : int
        Pixels of it that become the network's input: the tile, or the shorter side of a whole picture.
    card : Card
    """
    if pixel_size is None or card.pixel_size_range is None:
        return ""
    smallest, largest = card.pixel_size_range
    shown = input_pixel_size(pixel_size, side, card)
    if smallest / _LEEWAY <= shown <= largest * _LEEWAY:
        return ""
    seen = " to ".join(dict.fromkeys((length_text(smallest), length_text(largest))))
    finer = shown < smallest
    fitting = round((smallest if finer else largest) * card.input_size / pixel_size)
    cure = f"; tiles of {fitting:,} px would fit" if LEAST_TILE <= fitting <= LARGEST_TILE else ""
    return (
        f"shown at {length_text(shown)} per pixel of the network's input, {'finer' if finer else 'coarser'} than the "
        f"model learned from ({seen}), so its answers may mean little{cure}"
    )
