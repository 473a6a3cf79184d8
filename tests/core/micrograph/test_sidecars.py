"""Files that instruments write beside a picture: found whatever their case, in any encoding, one sentence if not."""

import unicodedata

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semclass.micrograph import open_micrographs

ROWS, COLUMNS, BAR = 96, 128, 16
JEOL = ["$CM_FORMAT JEOL/EO", "$CM_INSTRUMENT JSM-IT500", "$CM_ACCEL_VOLT 15.00", "$$SM_WD 10.1"]
FIELD = f"$CM_IMAGE_SIZE {COLUMNS} {ROWS}", "$CM_FIELD_OF_VIEW 12.8µm 9.6µm", f"$$SM_PNU_HEIGHT {BAR}"
TESCAN = ["[MAIN]", "Device=MIRA3 LMU", f"ImageStripSize={BAR}", "Magnification=1000.0", "PixelSizeX=2.7e-007"]
TESCAN += ["PixelSizeY=2.7e-007", "[SEM]", "Detector=SE", "HV=15000.0", "WD=0.0101"]
HITACHI = ["[SemImageFile]", "InstructName=SU8000", f"DataSize={COLUMNS}x{ROWS}", "AcceleratingVoltage=10000 Volt"]


def picture(path, bar=BAR):
    """A picture with a data bar of so many rows, and a resolution for printing where it is a TIFF."""
    pixels = np.full((ROWS + bar, COLUMNS), 90, np.uint8)
    if path.suffix.lower() in (".tif", ".tiff"):
        tifffile.imwrite(path, pixels, metadata=None, resolution=(96, 96), resolutionunit=2)
    else:
        Image.fromarray(pixels).save(path)
    return path


def beside(folder, lines, encoding="utf-8", bar=BAR, end="\r\n"):
    """The metadata of a TIFF with a text file of these lines beside it."""
    (folder / "a.txt").write_bytes(end.join(lines).encode(encoding))
    return known(picture(folder / "a.tif", bar))


def known(path):
    (micrograph,) = open_micrographs(path)
    return micrograph.metadata


def refused(found, sentence):
    """No pixel size, for which one sentence gives the reason."""
    assert found.pixel_size is None
    (warning,) = found.warnings
    assert sentence in warning


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"])
def test_jeol_field_of_view_in_any_encoding(tmp_path, encoding, end):
    found = beside(tmp_path, [*JEOL, *FIELD, "$CM_PIXEL_SIZE 300.0"], encoding, end=end)
    assert found.pixel_size == pytest.approx((1e-7, 1e-7))
    assert (found.vendor, found.instrument, found.voltage) == ("jeol", "JSM-IT500", 15_000)
    assert (found.working_distance, found.data_bar, found.warnings) == (pytest.approx(10.1e-3), (ROWS, ROWS + BAR), ())


@pytest.mark.parametrize("comment", ["試料", "ﾃｽﾄ", "試料 ﾃｽﾄ 10°"])
@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-16"])
@pytest.mark.parametrize("mark", ["μ", "u"])
def test_jeol_files_of_japanese_windows(tmp_path, comment, encoding, mark):
    scale = ["$$SM_MICRON_BAR 100", f"$$SM_MICRON_MARKER 10{mark}m"]
    lines = [*JEOL, f"$CM_FULL_SIZE {COLUMNS} {ROWS}", f"$CM_COMMENT {comment}", *scale]
    text = [line.replace("°", "" if encoding == "cp932" else "°") for line in lines]
    assert beside(tmp_path, text, encoding).pixel_size == pytest.approx((1e-7, 1e-7))


@pytest.mark.parametrize(
    "field",
    [
        *("12.8µm 9.6µm", "12.8 µm 9.6 µm", "12,8um 9,6um", "0.0128mm 0.0096mm", "1.28e-5m 9.6e-6m", "12800nm 9600nm"),
        *("12.8um", "12.8 9.6um", "12.8um x 9.6um", "12.8UM\t9.6UM"),
    ],
)
def test_jeol_field_of_view_in_any_unit(tmp_path, field):
    found = beside(tmp_path, [*JEOL, FIELD[0], f"$CM_FIELD_OF_VIEW {field}"])
    assert found.pixel_size == pytest.approx((1e-7, 1e-7))
    assert (found.data_bar, found.warnings) == ((ROWS, ROWS + BAR), ())


def test_jeol_field_of_view_is_more_exact_than_the_scale_bar(tmp_path):
    found = beside(tmp_path, [*JEOL, *FIELD, "$$SM_MICRON_BAR 33", "$$SM_MICRON_MARKER 3.2um"])
    assert found.pixel_size == pytest.approx((1e-7, 1e-7))
    assert found.warnings == ()


def test_a_jeol_scale_bar_gives_a_field_of_view_its_unit(tmp_path):
    lines = [*JEOL, FIELD[0], "$CM_FIELD_OF_VIEW 12.8 9.6"]
    refused(beside(tmp_path, lines), "without a unit")
    found = beside(tmp_path, [*lines, "$$SM_MICRON_BAR 50", "$$SM_MICRON_MARKER 5um"])
    assert found.pixel_size == pytest.approx((1e-7, 1e-7))


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([FIELD[0], "$$SM_MICRON_MARKER 500um"], "SM_MICRON_BAR is missing"),
        ([FIELD[0], "$$SM_MICRON_BAR 100"], "SM_MICRON_MARKER is missing"),
        ([FIELD[0], "$CM_PIXEL_SIZE 300.0"], "CM_PIXEL_SIZE"),
        ([FIELD[0], "$CM_FIELD_OF_VIEW wide"], "no length"),
        ([FIELD[0], "$CM_FIELD_OF_VIEW 12.8kV 9.6kV"], "no length"),
        ([FIELD[0], "$CM_FIELD_OF_VIEW 0um 0um"], "no length"),
        (["$CM_FIELD_OF_VIEW 12.8um 9.6um"], "columns (CM_IMAGE_SIZE) are missing"),
        ([f"$CM_IMAGE_SIZE {2 * COLUMNS} {2 * ROWS}", FIELD[1]], "256 columns"),
        ([*FIELD, "$$SM_MICRON_BAR 50", "$$SM_MICRON_MARKER 10um"], "neither is used"),
    ],
)
def test_jeol_files_that_give_no_size_say_why_once(tmp_path, lines, sentence):
    refused(beside(tmp_path, [*JEOL, *lines]), sentence)


@pytest.mark.parametrize(
    ("size", "bar", "strip", "rows"),
    [
        ((COLUMNS, ROWS), BAR, BAR, (ROWS, ROWS + BAR)),
        ((COLUMNS, ROWS + BAR), BAR, BAR, (ROWS, ROWS + BAR)),
        ((COLUMNS, ROWS), 0, BAR, None),
        ((COLUMNS, ROWS), BAR, 0, (ROWS, ROWS + BAR)),
    ],
)
def test_jeol_data_bar(tmp_path, size, bar, strip, rows):
    lines = [*JEOL, f"$CM_IMAGE_SIZE {size[0]} {size[1]}", FIELD[1], f"$$SM_PNU_HEIGHT {strip}"]
    found = beside(tmp_path, lines, bar=bar)
    assert (found.data_bar, found.warnings) == (rows, ())
    assert found.pixel_size == pytest.approx((1e-7, 1e-7))


def test_a_jeol_data_bar_that_contradicts_the_scan_is_said(tmp_path):
    found = beside(tmp_path, [*JEOL, *FIELD[:2], "$$SM_PNU_HEIGHT 20"])
    assert found.data_bar is None
    assert "neither is used" in found.warnings[0]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-16-le", "cp932", "cp1252"])
@pytest.mark.parametrize("size", ["5.5", "5,5", "5.5 nm", "0.0055 µm"])
def test_hitachi_in_any_encoding(tmp_path, encoding, size):
    size = size.replace("µ", "μ") if encoding == "cp932" else size
    found = beside(tmp_path, [*HITACHI, f"PixelSize={size}"], encoding)
    assert found.pixel_size == pytest.approx((5.5e-9, 5.5e-9))
    assert (found.vendor, found.voltage, found.data_bar) == ("hitachi", 10_000, (ROWS, ROWS + BAR))


NAMES = [
    *[("a.tif", f"a{name}") for name in ("-tif.hdr", "-TIF.HDR", "-tif.HDR", ".hdr", ".HDR", ".Hdr", "-tiff.hdr")],
    *[("a.tif", "A-TIF.HDR"), ("A.TIF", "a-tif.hdr"), ("b.png", "b-png.hdr"), ("b.jpg", "b-jpg.hdr")],
    *[("b.jpeg", "b-jpg.hdr"), ("b.bmp", "B-BMP.HDR"), ("a.b.tif", "a.b-tif.hdr"), ("{0}.tif", "{0}-tif.hdr")],
]


@pytest.mark.parametrize(("name", "sidecar"), NAMES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tescan_header_files(tmp_path, name, sidecar, end):
    (tmp_path / sidecar).write_bytes(end.join([*TESCAN, "Note=Měření"]).encode("cp1250"))
    found = known(picture(tmp_path / name))
    assert found.pixel_size == pytest.approx((2.7e-7, 2.7e-7))
    assert (found.vendor, found.instrument, found.detector, found.voltage) == ("tescan", "MIRA3 LMU", "SE", 15_000)
    assert (found.data_bar, found.warnings) == ((ROWS, ROWS + BAR), ())


@pytest.mark.parametrize("ending", [".txt", ".TXT", ".Txt", ".tXT"])
def test_text_files_whatever_the_case_of_their_ending(tmp_path, ending):
    (tmp_path / f"a{ending}").write_text("\n".join([*HITACHI, "PixelSize=5.5"]))
    assert known(picture(tmp_path / "a.tif")).pixel_size == pytest.approx((5.5e-9, 5.5e-9))


@pytest.mark.parametrize(("one", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_in_two_unicode_forms_are_the_same_name(tmp_path, one, other):
    sidecar = unicodedata.normalize(one, "Prüfkörper-tif.hdr")
    (tmp_path / sidecar).write_text("\n".join(TESCAN))
    found = known(picture(tmp_path / unicodedata.normalize(other, "Prüfkörper.tif")))
    assert found.pixel_size == pytest.approx((2.7e-7, 2.7e-7))


def test_of_two_files_the_one_written_like_the_picture_counts(tmp_path):
    for name, size in (("A-TIF.HDR", "1e-9"), ("a-tif.hdr", "2e-9"), ("b-tif.hdr", "3e-9")):
        text = "\n".join(TESCAN).replace("2.7e-007", size)
        (tmp_path / name).write_text(text)
    assert known(picture(tmp_path / "a.tif")).pixel_size == pytest.approx((2e-9, 2e-9))


def test_another_programs_header_and_another_pictures_are_left_alone(tmp_path):
    (tmp_path / "a.hdr").write_text("ENVI\nsamples = 128\nlines = 96\n")
    (tmp_path / "ab-tif.hdr").write_text("\n".join(TESCAN))
    (tmp_path / "a.txt").write_text("my notes: 5 nm\nDevice=my phone\nHV=5\n")
    assert known(picture(tmp_path / "a.tif")).vendor == ""


def test_a_folder_is_listed_once_for_all_its_pictures(tmp_path, monkeypatch):
    import os

    from napari_semclass.micrograph.metadata.sidecars import sidecar_metadata

    for number in range(20):
        (tmp_path / f"p{number}-tif.HDR").write_text("\n".join(TESCAN))
    os.utime(tmp_path, (1, 1))  # long ago: what is listed now is all that will be there
    calls = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: calls.append(folder) or listdir(folder))
    for number in range(20):
        assert sidecar_metadata(tmp_path / f"p{number}.tif", (ROWS + BAR, COLUMNS)).vendor == "tescan"
    assert len(calls) == 1


def test_a_stack_that_names_its_instrument_has_the_size_beside_it(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(2):
            extra = [(271, 2, 0, "JEOL", True), (272, 2, 0, "JSM-IT500", True)]
            writer.write(np.zeros((ROWS, COLUMNS), np.uint8), extratags=extra, metadata=None, contiguous=False)
    (tmp_path / "a.txt").write_text("\n".join([*JEOL, *FIELD]), encoding="utf-8")
    assert [plane.pixel_size for plane in open_micrographs(path)] == pytest.approx([1e-7, 1e-7])


def test_a_file_that_comes_later_is_found(tmp_path):
    path = picture(tmp_path / "a.tif")
    assert known(path).pixel_size is None
    (tmp_path / "a.Txt").write_text("\n".join([*HITACHI, "PixelSize=5.5"]))
    assert known(path).pixel_size == pytest.approx((5.5e-9, 5.5e-9))


def test_a_file_beside_the_picture_that_contradicts_its_tag(tmp_path):
    tag = "\r\n".join(TESCAN).encode() + b"\r\n"
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.zeros((ROWS + BAR, COLUMNS), np.uint8), extratags=[(50431, 1, len(tag), tag, True)], metadata=None
    )
    assert known(path).pixel_size == pytest.approx((2.7e-7, 2.7e-7))
    (tmp_path / "a-tif.hdr").write_text("\n".join(TESCAN))
    assert known(path).pixel_size == pytest.approx((2.7e-7, 2.7e-7))
    assert known(path).warnings == ()
    (tmp_path / "a-tif.hdr").write_text("\n".join(TESCAN).replace("2.7e-007", "5.4e-007"))
    refused(known(path), "neither is used")


@pytest.mark.parametrize("lines", [["Device=Canon", "hello=1"], ["PixelSizeX=2.7e-07", "PixelSizeY=2.7e-07"]])
def test_notes_are_not_taken_for_a_vendors_file_of_another_ending(tmp_path, lines):
    found = beside(tmp_path, lines, bar=0)
    assert (found.vendor, found.pixel_size) == ("", None)


@pytest.mark.parametrize(("name", "vendor"), [("a-tif.hdr", "tescan"), ("A.HDR", "tescan"), ("a.Txt", "jeol")])
def test_each_vendors_file_is_read_under_its_own_ending(tmp_path, name, vendor):
    (tmp_path / name).write_text("\n".join(TESCAN if vendor == "tescan" else [*JEOL, *FIELD]), encoding="utf-8")
    assert known(picture(tmp_path / "a.tif")).vendor == vendor
