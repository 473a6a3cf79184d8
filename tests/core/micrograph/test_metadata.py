"""What files say about their pixels reaches micrographs right; what is odd is reported and not used."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semclass.micrograph import open_micrographs

ROWS, COLUMNS = 96, 128
PICTURE = np.random.default_rng(0).integers(0, 255, (ROWS, COLUMNS), dtype=np.uint8)


def zeiss(**entries):
    """The text of a Zeiss tag."""
    titles = {"AP_IMAGE_PIXEL_SIZE": "Image Pixel Size", "AP_PIXEL_SIZE": "Pixel Size", "AP_ACTUALKV": "EHT"}
    lines = ["0", "0", *(f"{key}\r\n{titles.get(key, key.title())} = {value}" for key, value in entries.items())]
    return "\r\n".join(lines)


def fei(**sections):
    """The text of an FEI tag."""
    lines = []
    for name, entries in sections.items():
        lines += [f"[{name}]", *(f"{key}={value}" for key, value in entries.items())]
    return "\r\n".join(lines)


def tescan(*lines):
    """The bytes of a TESCAN tag: a thumbnail, then lines."""
    return b"\x39\x13\0\0\1\0\xff\x4f=\xffjunk=1" + b"\x0f\x01\0\0\2\0" + "".join(f"{s}\r\n" for s in lines).encode()


def tagged(folder, code, value, picture=PICTURE, **keywords):
    """A TIFF with one extra tag."""
    path = folder / "a.tif"
    dtype = 1 if isinstance(value, bytes) else 2
    tifffile.imwrite(path, picture, extratags=[(code, dtype, len(value), value, True)], metadata=None, **keywords)
    return path


def opened(path):
    (micrograph,) = open_micrographs(path)
    return micrograph


ZEISS, FEI, TESCAN = 34118, 34682, 50431
FEI_SCAN = {"PixelWidth": "3e-9", "PixelHeight": "3e-9"}


def test_zeiss_image_pixel_size_goes_over_pixel_size(tmp_path):
    text = zeiss(AP_PIXEL_SIZE="9.9 nm", AP_IMAGE_PIXEL_SIZE="2.5 nm", AP_ACTUALKV="5.00 kV", AP_MAG="50.00 K X")
    micrograph = opened(tagged(tmp_path, ZEISS, text + "\r\nDP_DETECTOR_CHANNEL\r\nSignal A = InLens\r\n"))
    known = micrograph.metadata
    assert micrograph.pixel_size == pytest.approx(2.5e-9)
    assert known.pixel_size == (micrograph.pixel_size, micrograph.pixel_size)
    assert "AP_IMAGE_PIXEL_SIZE" in known.pixel_size_source
    assert (known.vendor, known.detector, known.voltage, known.magnification) == ("zeiss", "InLens", 5000, 50_000)
    assert known.warnings == ()


def test_the_field_of_view_tells_zeiss_screen_pixels_from_the_pictures(tmp_path):
    # Taken with 1,024 columns of 1 nm, stored with 128: a pixel of the picture is eight of the screen's.
    text = zeiss(AP_PIXEL_SIZE="1.000 nm", AP_WIDTH="1.024 µm", AP_HEIGHT="768.0 nm")
    micrograph = opened(tagged(tmp_path, ZEISS, text.encode("cp1252")))
    assert micrograph.pixel_size == pytest.approx(8e-9)
    assert any("screen" in warning for warning in micrograph.metadata.warnings)


def test_zeiss_pixel_size_that_contradicts_the_field_of_view_is_not_used(tmp_path):
    text = zeiss(AP_IMAGE_PIXEL_SIZE="1.000 nm", AP_WIDTH="256 nm", AP_HEIGHT="192 nm")
    micrograph = opened(tagged(tmp_path, ZEISS, text))
    assert micrograph.pixel_size is None
    assert any("1.0 nm" in warning and "2 nm" in warning for warning in micrograph.metadata.warnings)


def test_each_page_of_a_zeiss_stack_has_its_own_pixel_size(tmp_path):
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for size in ("1 nm", "4 nm"):
            text = zeiss(AP_IMAGE_PIXEL_SIZE=size)
            writer.write(PICTURE, extratags=[(ZEISS, 2, len(text), text, True)], metadata=None, contiguous=False)
    assert [plane.pixel_size for plane in open_micrographs(path)] == pytest.approx([1e-9, 4e-9])


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("2.615 µm".encode(), 2.615e-6),
        ("2.615 µm".encode("cp1252"), 2.615e-6),
        ("2.615 Âµm".encode(), 2.615e-6),
        ("2.615 μm".encode(), 2.615e-6),
        (b"2.615 um", 2.615e-6),
        (b"2,615 nm", 2.615e-9),
        (b"850 pm", 850e-12),
        (b"2.615e+000 mm", 2.615e-3),
    ],
)
def test_units_and_decimals_of_all_spellings(tmp_path, written, size):
    text = b"AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = " + written
    assert opened(tagged(tmp_path, ZEISS, text)).pixel_size == pytest.approx(size)


@pytest.mark.parametrize(
    "written",
    ["0 nm", "-3 nm", "nan nm", "inf nm", "1e-30 m", "5 m", "5 kV", "five nm", "5", "", "1e999 nm", "9" * 5000 + " nm"],
)
def test_zeiss_sizes_that_cannot_be_are_reported_and_not_used(tmp_path, written):
    micrograph = opened(tagged(tmp_path, ZEISS, zeiss(AP_IMAGE_PIXEL_SIZE=written, AP_MAG="100 X")))
    assert micrograph.pixel_size is None
    assert micrograph.metadata.pixel_size is None
    assert any("pixel" in warning.lower() for warning in micrograph.metadata.warnings)


def test_fei_gives_size_voltage_and_the_data_bar_below_the_scan(tmp_path):
    text = fei(
        System={"SystemType": "Apreo"},
        Beam={"HV": "2000", "Beam": "EBeam", "Scan": "EScan"},
        EBeam={"WD": "0.004"},
        EScan={**FEI_SCAN, "HorFieldsize": 3e-9 * COLUMNS},
        Image={"ResolutionX": COLUMNS, "ResolutionY": 88, "MagCanvasRealWidth": 0.000384},
        Detectors={"Name": "TLD"},
        PrivateFei={"DatabarHeight": ROWS - 88},
    )
    micrograph = opened(tagged(tmp_path, FEI, text))
    known = micrograph.metadata
    assert micrograph.pixel_size == pytest.approx(3e-9)
    assert (known.vendor, known.instrument, known.detector, known.voltage) == ("fei", "Apreo", "TLD", 2000)
    assert (known.magnification, known.working_distance) == (pytest.approx(1000), 0.004)
    assert [(bar.start, bar.stop, bar.confidence) for bar in micrograph.data_bars] == [(88, ROWS, 1.0)]
    assert micrograph.specimen == ((0, 88),)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"Scan": {"PixelWidth": "notafloat", "PixelHeight": "notafloat"}}, "no length"),
        ({"Scan": FEI_SCAN, "Image": {"ResolutionX": 2 * COLUMNS}}, "256 columns"),
        ({"Scan": {**FEI_SCAN, "HorFieldsize": "1e-6"}}, "field of view"),
        ({"Scan": {"PixelWidth": "3", "PixelHeight": "3"}}, "1 pm to 1 cm"),
        ({"Beam": {"HV": "nan"}}, "no voltage"),
    ],
)
def test_what_is_wrong_in_an_fei_tag_is_said(tmp_path, sections, said):
    micrograph = opened(tagged(tmp_path, FEI, fei(**{"System": {"Type": "SEM"}, **sections})))
    assert micrograph.pixel_size is None
    assert any(said in warning for warning in micrograph.metadata.warnings)


@pytest.mark.parametrize("rows", ["10", "0", "-5", "4e9", "nan", str(ROWS + 1), "70.5"])
def test_a_scan_that_does_not_fit_the_picture_gives_no_data_bar(tmp_path, rows):
    text = fei(System={"Type": "SEM"}, Scan=FEI_SCAN, Image={"ResolutionY": rows})
    micrograph = opened(tagged(tmp_path, FEI, text))
    assert micrograph.metadata.data_bar is None
    assert micrograph.pixel_size == pytest.approx(3e-9)


def test_the_users_data_bar_goes_over_the_instruments(tmp_path):
    from dataclasses import replace

    text = fei(System={"Type": "SEM"}, Scan=FEI_SCAN, Image={"ResolutionY": 88})
    micrograph = opened(tagged(tmp_path, FEI, text))
    assert replace(micrograph, known_bars=()).specimen == ((0, ROWS),)


def test_tescan_gives_size_and_data_bar(tmp_path):
    tag = tescan(
        *("Device=VEGA3", "ImageStripSize=16", "PixelSizeX=5.5e-9", "PixelSizeY=5.5e-9", "HV=20.0e3", "Detector=SE")
    )
    micrograph = opened(tagged(tmp_path, TESCAN, tag))
    known = micrograph.metadata
    assert micrograph.pixel_size == pytest.approx(5.5e-9)
    assert (known.vendor, known.instrument, known.detector, known.voltage) == ("tescan", "VEGA3", "SE", 20_000)
    assert known.data_bar == (80, 96)


def test_oblong_pixels_are_told_but_not_used_as_one_number(tmp_path):
    tag = tescan("Device=VEGA3", "PixelSizeX=5e-9", "PixelSizeY=7e-9")
    micrograph = opened(tagged(tmp_path, TESCAN, tag))
    assert micrograph.pixel_size is None
    assert "not square" in micrograph.note
    assert micrograph.metadata.pixel_size == pytest.approx((7e-9, 5e-9))
    assert any("not square" in warning for warning in micrograph.metadata.warnings)


@pytest.mark.parametrize("other", ["same", "double", "printing"])
def test_a_tiff_resolution_that_contradicts_the_instrument_stops_both(tmp_path, other):
    per_cm = {"same": 0.01 / 5e-9, "double": 0.02 / 5e-9, "printing": 118.11}[other]
    tag = tescan("Device=VEGA3", "PixelSizeX=5e-9", "PixelSizeY=5e-9")
    path = tagged(tmp_path, TESCAN, tag, resolution=(per_cm, per_cm), resolutionunit="CENTIMETER")
    micrograph = opened(path)
    if other == "double":
        assert micrograph.pixel_size is None
        assert any("2.5 nm" in warning for warning in micrograph.metadata.warnings)
    else:
        assert micrograph.pixel_size == pytest.approx(5e-9)


JEOL = "$CM_FORMAT JEOL-SEM\n$CM_ACCEL_VOLT 1.00\n$CM_FULL_SIZE 128 80\n$CM_MAG 1000\n$$SM_WD 3.78\n"
HITACHI = "[SemImageFile]\r\nInstructName=SU8000\r\nDataSize=128x96\r\nAcceleratingVoltage=10000 Volt\r\n"


@pytest.mark.parametrize("suffix", ["tif", "png", "jpg", "bmp"])
def test_a_jeol_sidecar_is_read_beside_any_picture(tmp_path, suffix):
    Image.fromarray(PICTURE).save(tmp_path / f"a.{suffix}")
    text = JEOL + "$$SM_MICRON_BAR 100\n$$SM_MICRON_MARKER 10\xb5m\n$CM_DETECTOR LED\n"
    (tmp_path / "a.txt").write_bytes(text.encode("cp1252"))
    micrograph = opened(tmp_path / f"a.{suffix}")
    known = micrograph.metadata
    assert micrograph.pixel_size == pytest.approx(1e-7)
    assert (known.vendor, known.detector, known.voltage, known.magnification) == ("jeol", "LED", 1000, 1000)
    assert known.working_distance == pytest.approx(3.78e-3)
    assert known.data_bar == (80, 96)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (JEOL + "$$SM_MICRON_BAR 0\n$$SM_MICRON_MARKER 10um\n", "no length"),
        (JEOL + "$$SM_MICRON_BAR 106\n$$SM_MICRON_MARKER ten\n", "no length"),
        (JEOL.replace("128", "1280") + "$$SM_MICRON_BAR 106\n$$SM_MICRON_MARKER 10um\n", "1280 columns"),
        (HITACHI + "Magnification=15000\r\n", "no PixelSize"),
        (HITACHI + "PixelSize=0\r\n", "no pixel size"),
        (HITACHI.replace("128x96", "64x48") + "PixelSize=5.5\r\n", "64 columns"),
    ],
)
def test_sidecars_that_give_no_size_say_why(tmp_path, text, said):
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text(text)
    micrograph = opened(tmp_path / "a.png")
    assert micrograph.pixel_size is None
    assert any(said in warning for warning in micrograph.metadata.warnings)


def test_other_text_beside_a_picture_is_left_alone(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_bytes(b"PixelSize=5\xff\xfe notes of mine" * 20_000)
    assert opened(tmp_path / "a.png").metadata.vendor == ""


def test_two_programs_that_contradict_each_other_are_one_sentence(tmp_path):
    text = zeiss(AP_IMAGE_PIXEL_SIZE="2.5 nm").encode()
    tag = tescan("Device=VEGA3", "PixelSizeX=5e-9", "PixelSizeY=5e-9")
    extra = [(ZEISS, 2, len(text), text, True), (TESCAN, 1, len(tag), tag, True)]
    tifffile.imwrite(tmp_path / "a.tif", PICTURE, extratags=extra, resolution=(1e7, 1e7), resolutionunit=3)
    known = opened(tmp_path / "a.tif").metadata
    assert known.pixel_size is None
    assert len(known.warnings) == 1


def test_a_hostile_tag_is_kept_small_and_printable(tmp_path):
    lines = [f"Key{i}=\x1b[2J" + "x" * 180 for i in range(3000)]
    micrograph = opened(tagged(tmp_path, TESCAN, tescan("Device=VEGA\x1b]0;title\x07", *lines)))
    known = micrograph.metadata
    assert len(known.raw) <= 1000
    assert len(json.dumps(known.summary(), allow_nan=False)) < 400_000
    assert known.instrument.isprintable()
    assert all(str(value).isprintable() for value in known.raw.values())


# Checked by eye against the scale bars in the pictures: 200 µm are 77 px, 200 nm 17 px, 500 µm 149 px, 50 µm and
# 1 µm 182 px. zeiss_512.tif was stored with half of the columns that its AP_PIXEL_SIZE (5.825 nm) belongs to.
VENDOR = [
    ("zeiss_1k.tif", 2.615e-6, [(691, 767)], "zeiss", 25_000, "HE-SE2"),
    ("zeiss_512.tif", 11.65e-9, [(350, 383)], "zeiss", 5_000, "InLens"),
    ("fei_helios_16bit.tif", 3.3724e-6, [(442, 471)], "fei", 5_000, "ETD"),
    ("fei_navcam_bad_floats.tif", None, [(512, 551)], "fei", None, "Nav-Cam"),
    ("tescan_50000x.tif", 5.5004e-9, [(768, 858)], "tescan", 20_000, "SE"),
    ("tescan_1000x.tif", 275e-9, [(768, 858)], "tescan", 20_000, "SE"),
]


@pytest.mark.parametrize(("name", "size", "bars", "vendor", "voltage", "detector"), VENDOR)
def test_real_vendor_files(real_data, name, size, bars, vendor, voltage, detector):
    micrograph = opened(real_data / "vendor" / name)
    known = micrograph.metadata
    assert micrograph.pixel_size == (None if size is None else pytest.approx(size, rel=1e-3))
    assert [(bar.start, bar.stop) for bar in micrograph.data_bars] == bars
    assert (known.vendor, known.voltage, known.detector) == (vendor, voltage, detector)


@pytest.mark.parametrize(
    ("name", "shape", "size", "bar"),
    [
        ("jeol_sidecar.txt", (1024, 1280), 10e-6 / 106, (960, 1024)),
        ("hitachi_s4700_sidecar.txt", (960, 1280), None, None),
    ],
)
def test_real_sidecars(real_data, tmp_path, name, shape, size, bar):
    Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_bytes((real_data / "vendor" / name).read_bytes())
    micrograph = opened(tmp_path / "a.png")
    assert micrograph.pixel_size == (None if size is None else pytest.approx(size))
    assert micrograph.metadata.data_bar == bar
