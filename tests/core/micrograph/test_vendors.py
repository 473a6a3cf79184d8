"""Instruments' tags and EXIF give the pixel size, or one sentence that says why they do not."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semclass.micrograph import open_micrographs
from napari_semclass.micrograph.metadata import Metadata
from napari_semclass.micrograph.metadata.formats import Format
from napari_semclass.micrograph.metadata.table import with_table
from napari_semclass.micrograph.metadata.vendors import vendor_formats

ROWS, COLUMNS = 96, 128
PICTURE = np.random.default_rng(0).integers(0, 255, (ROWS, COLUMNS), dtype=np.uint8)
USER_COMMENT, MAKER_NOTE, EXIF = 37510, 37500, 34665


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


def phenom(value="0.2695", unit="um", bar=16):
    return (
        f'<FeiImage version="1.0"><databarHeight>{bar}</databarHeight><pixelWidth unit="{unit}">{value}</pixelWidth>'
        f'<pixelHeight unit="{unit}">{value}</pixelHeight><workingDistance unit="mm">6.1</workingDistance>'
        "<instrument><type>Phenom XL</type></instrument><acquisition><scan><detector>All</detector>"
        '<highVoltage unit="kV">-15</highVoltage></scan></acquisition></FeiImage>'
    )


PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>'


@pytest.mark.parametrize(
    "tag",
    [
        phenom(),
        phenom("269.5", "nm"),
        phenom("269,5", "nm"),
        phenom("2.695e-4", "mm").encode(),
        PROLOGUE.encode() + phenom().encode() + b"\0\0\0",
        b"\xef\xbb\xbf" + PROLOGUE.encode() + phenom(unit="µm").encode(),
        phenom(unit="µm").encode("latin-1"),
        (PROLOGUE.replace("UTF-8", "UTF-16") + phenom(unit="µm")).encode("utf-16"),
        phenom().encode("utf-16-le"),
        phenom().encode("utf-16-be"),
    ],
    ids=range(10),
)
def test_phenom_tag(tmp_path, tag):
    found = tagged(tmp_path, (34683, tag))
    assert found.pixel_size == pytest.approx((269.5e-9, 269.5e-9))
    assert (found.vendor, found.instrument, found.detector) == ("phenom", "Phenom XL", "All")
    assert (found.voltage, found.working_distance, found.data_bar) == (15_000, pytest.approx(6.1e-3), (80, 96))
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("tag", "sentence"),
    [
        (phenom(unit=""), "no length"),
        (phenom("0"), "no pixel size"),
        (phenom("nan"), "no length"),
        (phenom(unit="1/um"), "no length"),
        ("<FeiImage><pixelWidth>", "damaged"),
        (PROLOGUE + '<!DOCTYPE a [<!ENTITY b "c">]>' + phenom(), "declarations"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + phenom(), "declarations"),
        ("<FeiImage><databarHeight>16</databarHeight></FeiImage>", "(phenom) do not give it"),
    ],
)
def test_phenom_tags_without_a_usable_size(tmp_path, tag, sentence):
    refused(tagged(tmp_path, (34683, tag)), sentence)


@pytest.mark.parametrize("bar", ["0", "-3", "", "x", "90", "96", "1e9"])
def test_a_phenom_bar_that_cannot_be_is_none(tmp_path, bar):
    found = tagged(tmp_path, (34683, phenom(bar=bar)))
    assert found.data_bar is None
    assert found.pixel_size == pytest.approx((269.5e-9, 269.5e-9))


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize(
    ("code", "value"),
    [
        (34683, phenom()),
        (270, phenom()),
        (USER_COMMENT, b"ASCII\0\0\0" + phenom().encode()),
        (USER_COMMENT, b"UNICODE\0" + phenom(unit="µm").encode("utf-16-le")),
        (MAKER_NOTE, b"\1\2PHENOM<\0" + phenom().encode() + b"\0\0"),
    ],
)
def test_phenom_exif(tmp_path, name, code, value):
    exif = Image.Exif()
    exif[305] = "software"  # without an entry of its own Pillow leaves EXIF out of PNG
    (exif.get_ifd(EXIF) if code in (USER_COMMENT, MAKER_NOTE) else exif)[code] = value
    Image.fromarray(PICTURE).save(tmp_path / name, exif=exif)
    found = known(tmp_path / name)
    assert found.pixel_size == pytest.approx((269.5e-9, 269.5e-9))
    assert (found.vendor, found.data_bar, found.warnings) == ("phenom", (80, 96), ())


def test_exif_of_a_picture_that_was_resized_gives_no_size(tmp_path):
    exif = Image.Exif()
    exif[34683] = phenom()
    exif.get_ifd(EXIF).update({40962: 2 * COLUMNS, 40963: 2 * ROWS})
    Image.fromarray(PICTURE).save(tmp_path / "a.jpg", exif=exif)
    refused(known(tmp_path / "a.jpg"), "256 x 192")


THERMO = (
    '<Metadata xmlns:nil="http://example.org/nil"><Instrument><InstrumentClass>Helios</InstrumentClass></Instrument>'
    "<Optics><AccelerationVoltage>2000</AccelerationVoltage></Optics><BinaryResult><PixelSize>"
    '<X unit="m" unitPrefixPower="1">5e-9</X><Y unit="m" unitPrefixPower="1">5e-9</Y>'
    "</PixelSize></BinaryResult></Metadata>"
)


@pytest.mark.parametrize("code", [34682, 34683])
@pytest.mark.parametrize("text", [THERMO, PROLOGUE + THERMO, THERMO.replace('"m"', '"nm"').replace("5e-9", "5")])
def test_thermo_xml(tmp_path, code, text):
    found = tagged(tmp_path, (code, text))
    assert found.pixel_size == pytest.approx((5e-9, 5e-9))
    assert (found.vendor, found.instrument, found.voltage, found.warnings) == ("fei", "Helios", 2000, ())


def fei_sections(height, rows=80):
    return (
        "[System]\r\nSystemType=Scios\r\n[Beam]\r\nHV=2000\r\n[Scan]\r\nPixelWidth=3e-9\r\nPixelHeight=3e-9\r\n"
        f"[Image]\r\nResolutionX={COLUMNS}\r\nResolutionY={rows}\r\n[PrivateFei]\r\n{height}\r\n"
    )


@pytest.mark.parametrize("height", ["DatabarHeight=0", "DatabarHeight=", "DatabarHeight=-1", "", "DatabarHeight=16"])
def test_a_databar_height_of_0_says_nothing(tmp_path, height):
    found = tagged(tmp_path, (34682, fei_sections(height)))
    assert (found.data_bar, found.warnings) == ((80, 96), ())


@pytest.mark.parametrize(("height", "bar"), [("16", (80, 96)), ("0", None), ("90", None)])
def test_a_databar_height_counts_where_the_scan_is_unknown(tmp_path, height, bar):
    text = fei_sections(f"DatabarHeight={height}").replace("ResolutionY=80", "")
    assert tagged(tmp_path, (34682, text)).data_bar == bar


def test_a_databar_height_that_contradicts_the_scan_is_said(tmp_path):
    found = tagged(tmp_path, (34682, fei_sections("DatabarHeight=20")))
    assert found.data_bar is None
    assert "16 rows" in found.warnings[0]


def test_fei_sections_and_xml_that_contradict_each_other(tmp_path):
    refused(tagged(tmp_path, (34682, fei_sections("")), (34683, THERMO)), "5 nm; neither is used")
    agreeing = tagged(tmp_path, (34682, fei_sections("")), (34683, THERMO.replace("5e-9", "3.01e-9")))
    assert agreeing.pixel_size == pytest.approx((3e-9, 3e-9))


@pytest.mark.parametrize(
    ("code", "value", "sentence"),
    [
        (34680, "<MementoItemCollection/>", "MementoItemCollection"),
        (34682, b"\0\1\2 anything", "tag 34682, which this version does not read"),
        (34683, "<MicroscopeImage/>", "MicroscopeImage"),
        (34683, "<Metadata><BinaryResult>", "damaged"),
        (34683, THERMO.replace('Power="1"', 'Power="-9"'), "unitPrefixPower"),
        (51023, "<Fibics><Image/></Fibics>", "(fibics) do not give it"),
        (51023, "anything", "does not read"),
        (33560, b"anything" * 20, "Olympus SIS metadata, which this version does not read"),
        (34119, b"anything", "Zeiss' tag 34119, which this version does not read"),
        (37706, b"anything", "TVIPS camera"),
        (272, "JSM-IT500", "(jeol) do not give it"),
        (65027, b"anything", "TEM metadata in JEOL's tag 65027, which this version does not read"),
    ],
)
def test_what_is_there_and_not_understood_is_named(tmp_path, code, value, sentence):
    refused(tagged(tmp_path, (code, value)), sentence)


def test_a_tag_that_breaks_its_reader_hides_no_other(tmp_path, monkeypatch):
    from napari_semclass.micrograph.metadata import sources, tiff

    def broken(values, shape):
        raise KeyError("entry")

    entry = Format("acme", "", "", "", "", "", read=broken, tags=(61234,))
    for module in (sources, tiff):
        monkeypatch.setattr(module, "vendor_formats", lambda: (*vendor_formats(), entry))
    found = tagged(tmp_path, (61234, "x"), (34683, phenom()))
    assert found.pixel_size == pytest.approx((269.5e-9, 269.5e-9))
    refused(tagged(tmp_path, (61234, "x")), "acme metadata cannot be read")


@pytest.mark.parametrize("text", [phenom().replace("pixelHeight", "other"), phenom().replace("pixelWidth", "other")])
def test_a_size_along_one_axis_is_not_used(tmp_path, text):
    refused(tagged(tmp_path, (34683, text)), "one axis only")


def test_a_new_vendor_needs_no_other_file(tmp_path, monkeypatch):
    from napari_semclass.micrograph.metadata import sources, tiff

    entry = Format(
        "acme",
        "",
        "",
        "",
        "",
        "",
        read=lambda values, shape: Metadata(vendor="acme", detector=values[61234]),
        tags=(61234,),
    )
    for module in (sources, tiff):
        monkeypatch.setattr(module, "vendor_formats", lambda: (*vendor_formats(), entry))
    assert tagged(tmp_path, (61234, "BSE")).detector == "BSE"


def test_the_table_in_the_documentation_is_what_the_code_declares():
    page = (Path(__file__).parents[3] / "docs" / "metadata.md").read_text(encoding="utf-8")
    assert page == with_table(page), "python -m napari_semclass.micrograph.metadata.table docs/metadata.md"


def test_a_tescan_tag_and_a_header_file_that_contradict_are_both_named(tmp_path):
    entries = "Device=MIRA3\r\nPixelSizeX={0}\r\nPixelSizeY={0}\r\n"
    (tmp_path / "a-tif.hdr").write_text(entries.format("2e-07"), encoding="utf-8")
    found = tagged(tmp_path, (50431, entries.format("1e-07").encode()))
    refused(found, "TESCAN tag's PixelSizeX gives 100 nm per pixel, TESCAN header file's PixelSizeX 200 nm")


@pytest.mark.parametrize("planes", [1, 2])
def test_planes_of_a_stack_are_described_as_a_single_one_is(tmp_path, planes):
    """Their own tags are alike, and so is what contradicts or completes them."""
    pixels = np.random.default_rng(0).integers(0, 255, (planes, 100, 120), dtype=np.uint8)
    for name, known, found in (("contradicted", "5", None), ("completed", "", 10e-9)):
        width = (
            f'<pixelWidth unit="nm">{known}</pixelWidth><pixelHeight unit="nm">{known}</pixelHeight>' if known else ""
        )
        xml = f"<?xml version='1.0'?><FeiImage><databarHeight>10</databarHeight>{width}</FeiImage>"
        with tifffile.TiffWriter(tmp_path / f"{name}.tif") as writer:
            for plane in pixels:
                tag = (34683, "s", 0, xml, True)
                writer.write(plane, extratags=[tag], resolution=(1e6, 1e6), resolutionunit="CENTIMETER", metadata=None)
        opened = open_micrographs(tmp_path / f"{name}.tif")
        assert len(opened) == planes
        for micrograph in opened:
            assert micrograph.pixel_size == (None if found is None else pytest.approx(found))
            assert len(micrograph.metadata.warnings) == (found is None)
