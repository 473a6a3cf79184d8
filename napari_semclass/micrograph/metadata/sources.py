"""One answer from all that describes a picture: vendors' tags, files beside it, programs, resolution."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_semclass.errors import brief
from napari_semclass.micrograph.metadata.quantities import contradicts, length_text, withdrawn
from napari_semclass.micrograph.metadata.record import Metadata, Outcome, unusable
from napari_semclass.micrograph.metadata.vendors import vendor_formats

_DECISIVE = (Outcome.READ, Outcome.UNUSABLE)
_BESIDE_THE_SIZE = [
    "vendor",
    "instrument",
    "detector",
    "voltage",
    "magnification",
    "working_distance",
    "data_bar",
    "raw",
]


def read_vendors(values: Mapping[int, Any], shape: tuple[int, int]) -> Iterator[Metadata]:
    """What each vendor's reader makes of the values of tags (code -> value) of which it knows at least one."""
    for entry in vendor_formats():
        own = {code: values[code] for code in (*entry.tags, *entry.texts) if code in values}
        try:
            found = entry.read(own, shape) if entry.read and own else None
        except Exception as error:  # one vendor's odd tag must not hide what others say
            reason = f"The pixel size is unknown: {entry.vendor} metadata cannot be read ({brief(error)})."
            found = replace(unusable(reason), vendor=entry.vendor)
        if found:
            yield found


def combined(sources: Sequence[Metadata], resolution: Metadata | None) -> Metadata:
    """The metadata of the first source that holds a pixel size, completed by the others.

    Parameters
    ----------
    sources : sequence of Metadata
        The most exact first.
    resolution : Metadata or None
        What a resolution gives. It is the pixel size only where no source is of a known format that has its own.

    Returns
    -------
    Metadata
        Without a pixel size where two sources contradict each other. Its warnings hold one sentence on that.
    """
    base = next((source for source in sources if source.outcome in _DECISIVE), None)
    base = base or next((source for source in sources if source.outcome is Outcome.NOT_READ), None)
    if base is None:
        base = _on_resolution(next(iter(sources), Metadata()), resolution)
    elif resolution and base.pixel_size:
        sources = (*sources, resolution)
    for source in sources:
        if base.pixel_size and source.pixel_size and contradicts(base.pixel_size, source.pixel_size):
            text = f"{base.pixel_size_source} gives {length_text(base.pixel_size[1])} per pixel, "
            text += f"{source.pixel_size_source} {length_text(source.pixel_size[1])}; neither is used."
            base = withdrawn(replace(base, warnings=()), text)
    return _completed(base, [source for source in sources if source is not base])


def with_reason(found: Metadata) -> Metadata:
    """The same with a sentence where the pixel size is unknown and no source has said why."""
    if found.outcome is not Outcome.ABSENT:
        return found
    why = f"the file's metadata ({found.vendor}) do not give it" if found.vendor else "nothing in the file gives it"
    text = f"The pixel size is unknown: {why}."
    return replace(found, warnings=(text, *found.warnings))


def _on_resolution(found: Metadata, resolution: Metadata | None) -> Metadata:
    """A source without a pixel size, with that of a resolution or the reason why it gives none."""
    if resolution is None:
        return found
    return replace(
        found,
        pixel_size=resolution.pixel_size,
        pixel_size_source=resolution.pixel_size_source,
        warnings=(*resolution.warnings, *found.warnings),
        outcome=resolution.outcome,
    )


def _completed(base: Metadata, others: Sequence[Metadata]) -> Metadata:
    """What others know besides; what they say of a pixel size that is not the answer is left out."""
    for other in others:
        known = {name: getattr(other, name) for name in _BESIDE_THE_SIZE if not getattr(base, name)}
        aside = other.warnings if other.outcome is Outcome.ABSENT else ()
        new = [warning for warning in aside if warning not in base.warnings]
        base = replace(base, **known, warnings=(*base.warnings, *new))
    return base
