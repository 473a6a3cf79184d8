"""Zeiss SmartSEM: TIFF tag 34118, as tifffile parses it into `ap_*` (values), `dp_*` (states) and `sv_*` (texts)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_semclass.micrograph.metadata.formats import Format
from napari_semclass.micrograph.metadata.quantities import (
    agree,
    length,
    length_text,
    magnification,
    positive,
    sized,
    volts,
)
from napari_semclass.micrograph.metadata.record import Metadata, bounded, clean, not_read, unusable

ZEISS_TAG, _OTHER_TAG = 34118, 34119
_IMAGE, _SCREEN = "ap_image_pixel_size", "ap_pixel_size"


def zeiss_metadata(tags: Any, shape: tuple[int, int]) -> Metadata | None:
    """Read a Zeiss tag.

    Parameters
    ----------
    tags : mapping
        Name -> (title, value) or (title, value, unit).
    shape : (int, int)
        The picture's height and width in pixels.

    Returns
    -------
    Metadata or None
        None when the tag holds nothing of Zeiss.

    Notes
    -----
    `AP_IMAGE_PIXEL_SIZE` is that of the stored picture. Older files have `AP_PIXEL_SIZE` only, which is that of
    the screen, 1,024 pixels wide: in a picture stored with 512 columns it is half of the true one. The field of
    view, `AP_WIDTH` x `AP_HEIGHT`, tells them apart.
    """
    if not isinstance(tags, Mapping) or not any(str(key).startswith(("ap_", "dp_", "sv_")) for key in tags):
        return None
    found = _pixel_size(tags, shape)
    return replace(
        found,
        vendor="zeiss",
        instrument=clean(_text(tags, "sv_serial_number")),
        detector=clean(_text(tags, "dp_detector_channel") or _text(tags, "dp_detector_type")),
        voltage=volts(_text(tags, "ap_actualkv") or _text(tags, "ap_manualkv"), "kV"),
        magnification=magnification(_text(tags, "ap_mag")),
        working_distance=positive(length(_text(tags, "ap_wd"), "mm"), 1.0),
        raw=bounded({key.upper(): _text(tags, key) for key in tags if isinstance(key, str) and key}),
    )


def _pixel_size(tags: Mapping[str, Any], shape: tuple[int, int]) -> Metadata:
    key = next((key for key in (_IMAGE, _SCREEN) if _text(tags, key)), "")
    if not key:
        return Metadata()
    source, written = f"Zeiss {key.upper()}", _text(tags, key)
    size = length(written)
    found = sized((size, size), written, source)
    field = _field_pixel(tags, shape)
    if found.pixel_size is None or field is None or agree(found.pixel_size[1], field):
        if key == _SCREEN and field is None and found.pixel_size and shape[1] != 1024:
            text = "AP_PIXEL_SIZE may be that of the instrument's screen, 1,024 px wide, and not of this picture."
            return replace(found, warnings=(*found.warnings, text))
        return found
    if key == _SCREEN:
        known = sized((field, field), field, "Zeiss AP_WIDTH over the picture's width")
        text = f"AP_PIXEL_SIZE ({written}) is that of the instrument's screen; the field of view gives this picture's."
        return replace(known, warnings=(*known.warnings, text))
    text = (
        f"{source} is {written}, but the field of view gives {length_text(field)} per pixel: "
        "the picture was resized after it was taken, and neither is used."
    )
    return unusable(text)


def _field_pixel(tags: Mapping[str, Any], shape: tuple[int, int]) -> float | None:
    """Metres per pixel by the field of view; None unless its height and width agree on them."""
    height, width = (length(_text(tags, key)) for key in ("ap_height", "ap_width"))
    if not height or not width:
        return None
    return width / shape[1] if agree(height / shape[0], width / shape[1]) else None


def _text(tags: Mapping[str, Any], key: str) -> str:
    """The value of an entry with its unit, as text; empty when it is not there."""
    entry = tags.get(key)
    if not isinstance(entry, tuple) or len(entry) < 2:
        return ""
    return " ".join(str(part) for part in entry[1:3]).strip()


def _read(values: Mapping[int, Any], shape: tuple[int, int]) -> Metadata | None:
    found = zeiss_metadata(values.get(ZEISS_TAG), shape)
    if found is None and _OTHER_TAG in values:
        return not_read("zeiss", f"metadata in Zeiss' tag {_OTHER_TAG}")
    return found


FORMATS = (
    Format(
        vendor="zeiss",
        models="SmartSEM (EVO, Sigma, Supra …)",
        where="TIFF tag 34118; 34119 alone is named, not read",
        keys="`AP_IMAGE_PIXEL_SIZE`; without it `AP_PIXEL_SIZE`, `AP_WIDTH`, `AP_HEIGHT`",
        units="written behind the number",
        source="tifffile `read_cz_sem`; real files",
        read=_read,
        tags=(ZEISS_TAG,),
        texts=(_OTHER_TAG,),
    ),
)
