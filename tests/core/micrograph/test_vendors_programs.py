"""Tags of programs that control microscopes or keep their pictures: Fibics, FIBSEM-OS, Gatan, Olympus SIS."""

import json
import struct

import numpy as np
import pytest
import tifffile

from napari_semclass.micrograph import open_micrographs

ROWS, COLUMNS = 96, 128
PICTURE = np.random.default_rng(0).integers(0, 255, (ROWS, COLUMNS), dtype=np.uint8)
PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>'


def tagged(folder, *tags, description=None):
    """The metadata of a TIFF with these tags (code, value)."""
    extra = []
    for code, value in tags:
        kind = 12 if isinstance(value, float) else 1 if isinstance(value, bytes) else 2
        extra.append((code, kind, len(value) if kind == 1 else int(kind == 12), value, True))
    path = folder / "a.tif"
    tifffile.imwrite(path, PICTURE, photometric="minisblack", metadata=None, extratags=extra, description=description)
    return known(path)


def known(path):
    (micrograph,) = open_micrographs(path)
    return micrograph.metadata


def refused(found, sentence):
    """No pixel size, for which one sentence gives the reason."""
    assert found.pixel_size is None
    (warning,) = found.warnings
    assert sentence in warning


def fibics(width=COLUMNS, height=ROWS, steps=(0.005, 0, 0, -0.005), field=None):
    parts = (
        ""
        if steps is None
        else "".join(f"<{name}>{step}</{name}>" for name, step in zip(("Ux", "Uy", "Vx", "Vy"), steps, strict=True))
    )
    parts += "" if field is None else f'<FOV_X units="um">{field}</FOV_X>'
    return (
        f'{PROLOGUE}<Fibics version="1.2"><Image><Width>{width}</Width><Height>{height}</Height></Image>'
        f"<Scan>{parts}</Scan></Fibics>"
    )


@pytest.mark.parametrize(
    "text",
    [fibics(), fibics(steps=(0.004, 0.003, 0.003, -0.004)), fibics(steps=None, field=0.64), fibics(field=0.64)],
)
def test_fibics_steps_are_vectors(tmp_path, text):
    found = tagged(tmp_path, (51023, text))
    assert found.pixel_size == pytest.approx((5e-9, 5e-9))
    assert (found.vendor, found.warnings) == ("fibics", ())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (fibics(width=2 * COLUMNS), "256 x 96"),
        (fibics(steps=(0, 0, 0, 0)), "no pixel size"),
        (fibics(field=1.28), "neither is used"),
    ],
)
def test_fibics_sizes_that_do_not_fit(tmp_path, text, sentence):
    refused(tagged(tmp_path, (51023, text)), sentence)


def fibsem(size=None, hfw=None, resolution=(COLUMNS, ROWS)):
    image = {"beam_type": "ELECTRON", "resolution": resolution} | ({} if hfw is None else {"hfw": hfw})
    return json.dumps({"image": image} | ({} if size is None else {"pixel_size": {"x": size, "y": size}}))


@pytest.mark.parametrize("text", [fibsem(1e-8, 1.28e-6), fibsem(1e-8), fibsem(hfw=1.28e-6), fibsem(0, 1.28e-6)])
def test_fibsem_os(tmp_path, text):
    found = tagged(tmp_path, description=text)
    assert found.pixel_size == pytest.approx((1e-8, 1e-8))
    assert (found.vendor, found.warnings) == ("fibsem-os", ())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (fibsem(1e-8, 2.56e-6, (256, 192)), "256 x 192"),
        (fibsem(2e-8, 1.28e-6), "neither is used"),
        (fibsem(), "does not read"),
        (fibsem(1e-8)[:-9], "damaged"),
    ],
)
def test_fibsem_os_that_gives_no_size(tmp_path, text, sentence):
    refused(tagged(tmp_path, description=text), sentence)


@pytest.mark.parametrize(
    ("unit", "scale", "size"), [("nm", 5.5, 5.5e-9), ("µm", 0.5, 5e-7), ("\u212b", 12.0, 1.2e-9), ("pm", 900.0, 9e-10)]
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_gatan(tmp_path, unit, scale, size, encoding):
    text = unit.replace("\u212b", "Å").encode(encoding)
    found = tagged(tmp_path, (65003, text), (65004, text), (65009, scale), (65010, scale))
    assert found.pixel_size == pytest.approx((size, size))
    assert (found.vendor, found.warnings) == ("gatan", ())


@pytest.mark.parametrize(
    ("unit", "scales", "sentence"),
    [("1/nm", (5.5, 5.5), "no length"), ("", (1.0, 1.0), "no length"), ("nm", (5.5, 7.5), "neither is used")],
)
def test_gatan_scales_that_are_no_pixel_size(tmp_path, unit, scales, sentence):
    refused(tagged(tmp_path, (65003, unit), (65004, unit), (65009, scales[0]), (65010, scales[1])), sentence)


def test_gatans_codes_without_a_unit_are_another_programs(tmp_path):
    assert tagged(tmp_path, (65009, 5.5), (65010, 5.5)).vendor == ""


@pytest.mark.parametrize(("scale", "exponent", "size"), [(5.5, -9, 5.5e-9), (0.25, -6, 2.5e-7), (0.0, -9, None)])
def test_olympus_sis(tmp_path, scale, exponent, size):
    head = b"SIS0" + bytes(6) + struct.pack("<5h", 1, 2, 3, 4, 100) + bytes(6) + b"name".ljust(32, b"\0")
    body = struct.pack("<10xhdd8xd2x34s32s", exponent, scale, scale, 1000.0, b"camera", b"")
    block = head + struct.pack("<H", 1) + struct.pack("<hhI", 1, 1, 0) + body
    tagged(tmp_path, (33560, block))
    path = tmp_path / "a.tif"
    with tifffile.TiffFile(path) as tiff:
        start = tiff.pages[0].tags[33560].valueoffset
    data = bytearray(path.read_bytes())
    data[start + 64 : start + 68] = struct.pack("<I", start + 68)  # where its own list says that the values are
    path.write_bytes(data)
    found = known(path)
    assert found.vendor == "olympus"
    if size is None:
        refused(found, "no pixel size")
    else:
        assert found.pixel_size == pytest.approx((size, size))
        assert (found.detector, found.magnification, found.warnings) == ("camera", 1000, ())


@pytest.mark.parametrize(
    ("make", "named"),
    [("JEOL Ltd.", "JEOL's TEM software, which this version does not read"), ("Other", "nothing in the")],
)
def test_xml_of_jeols_tem_software_is_named(tmp_path, make, named):
    text = "<TemReporter><ImageFormingSystem/></TemReporter>"
    refused(tagged(tmp_path, (271, make), description=text), named)
