"""Whatever metadata hold, micrographs open, with a believable pixel size or none and bounded records."""

import json
import string

import numpy as np
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_semclass.micrograph import open_micrographs
from napari_semclass.micrograph.metadata.ome import ome_metadata
from napari_semclass.micrograph.metadata.ome_zarr import ome_zarr_metadata
from napari_semclass.micrograph.metadata.quantities import quantity
from napari_semclass.micrograph.metadata.record import Outcome
from napari_semclass.micrograph.metadata.sidecars import parse_sidecar
from napari_semclass.micrograph.metadata.sources import read_vendors
from napari_semclass.micrograph.metadata.vendors import vendor_formats
from napari_semclass.micrograph.metadata.vendors.fei import fei_metadata
from napari_semclass.micrograph.metadata.vendors.tescan import tescan_metadata
from napari_semclass.micrograph.metadata.vendors.zeiss import zeiss_metadata

SHAPE = (64, 64)
briefly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NUMBERS = st.one_of(
    st.floats(),
    st.integers(),
    st.text(max_size=30),
    st.text(string.digits + "+-.,eE nmµukV", max_size=20),
    st.booleans(),
)
ZEISS_KEYS = ["ap_image_pixel_size", "ap_pixel_size", "ap_width", "ap_height", "ap_actualkv", "ap_mag", "ap_wd", "sv_x"]
FEI_SECTIONS = ["Scan", "EScan", "Image", "Beam", "System", "Detectors", "Stage", "PrivateFei"]
FEI_KEYS = ["PixelWidth", "PixelHeight", "ResolutionX", "ResolutionY", "DatabarHeight", "HV", "Scan", "Beam", "Name"]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def believable(found):
    if found is None:
        return
    assert found.pixel_size is None or all(1e-12 <= side <= 1e-2 for side in found.pixel_size)
    assert found.data_bar is None or 0 < found.data_bar[0] < found.data_bar[1] == SHAPE[0]
    assert all(len(warning) < 500 for warning in found.warnings)
    json.dumps(found.summary(), allow_nan=False)


@briefly
@given(st.dictionaries(st.sampled_from(ZEISS_KEYS), st.tuples(st.text(max_size=5), NUMBERS, NUMBERS) | NUMBERS))
def test_zeiss(tags):
    believable(zeiss_metadata(tags, SHAPE))


@briefly
@given(st.dictionaries(st.sampled_from(FEI_SECTIONS), st.dictionaries(st.sampled_from(FEI_KEYS), NUMBERS) | NUMBERS))
def test_fei(tags):
    believable(fei_metadata(tags, SHAPE))


@briefly
@given(st.dictionaries(st.sampled_from(["PixelSizeX", "PixelSizeY", "ImageStripSize", "HV", "Device"]), NUMBERS))
def test_tescan(entries):
    believable(tescan_metadata("".join(f"{k}={v}\r\n" for k, v in entries.items()).encode("utf-8", "replace"), SHAPE))


STARTS = [
    b"",
    b"$CM_FORMAT J\n$CM_FULL_SIZE 64 ",
    b"$CM_IMAGE_SIZE 64 48\n$CM_FIELD_OF_VIEW ",
    b"[SemImageFile]\nPixelSize=",
    b"[MAIN]\nPixelSizeX=",
]


@briefly
@given(st.binary(max_size=400))
def test_bytes_of_all_kinds(data):
    believable(tescan_metadata(data, SHAPE))
    for start in STARTS:
        for ending in (".txt", ".hdr"):
            believable(parse_sidecar(start + data, SHAPE, ending))
    ome_metadata(data.decode("latin-1"), (100, 100))
    quantity(data.decode("latin-1"))


@briefly
@given(JSON, JSON, JSON)
def test_ome_zarr(axes, datasets, transforms):
    believable(ome_zarr_metadata({"axes": axes, "datasets": datasets, "coordinateTransformations": transforms}))


JEOL_KEYS = ["CM_FULL_SIZE", "CM_IMAGE_SIZE", "CM_FIELD_OF_VIEW", "SM_MICRON_BAR", "SM_MICRON_MARKER", "SM_PNU_HEIGHT"]


@briefly
@given(st.dictionaries(st.sampled_from(JEOL_KEYS), st.lists(NUMBERS, min_size=1, max_size=3)))
def test_jeol(entries):
    lines = ["$CM_FORMAT J", *(f"$${key} {' '.join(map(str, values))}" for key, values in entries.items())]
    for ending in (".txt", ".hdr"):
        believable(parse_sidecar("\n".join(lines).encode("utf-8", "replace"), SHAPE, ending))


CODES = sorted({code for entry in vendor_formats() for code in (*entry.tags, *entry.texts)})
XML = ["<FeiImage><pixelWidth unit='{}'>{}</pixelWidth><pixelHeight unit='{}'>{}</pixelHeight></FeiImage>"]
XML += [
    "<Metadata><BinaryResult><PixelSize><X unit='{}'>{}</X><Y unit='{}'>{}</Y></PixelSize></BinaryResult></Metadata>"
]
XML += ["<Fibics><Image><Width>{1}</Width></Image><Scan><Ux>{1}</Ux><Uy>0</Uy><Vx>{3}</Vx><Vy>0</Vy></Scan></Fibics>"]
XML += ["<Fibics><Image><Width>{1}</Width></Image><Scan><FOV_X units='{0}'>{3}</FOV_X></Scan></Fibics>"]
ANYTHING = st.none() | NUMBERS | st.binary(max_size=60) | JSON | st.tuples(NUMBERS, NUMBERS)
DESCRIBED = st.builds(
    lambda layout, *parts: layout.format(*parts), st.sampled_from(XML), NUMBERS, NUMBERS, NUMBERS, NUMBERS
)


@settings(briefly, max_examples=200)
@given(st.dictionaries(st.sampled_from(CODES), ANYTHING | DESCRIBED))
def test_every_vendors_reader_takes_any_value(values):
    for found in read_vendors(values, SHAPE):
        believable(found)
        assert (found.outcome is Outcome.READ) == (found.pixel_size is not None)
        if found.outcome in (Outcome.UNUSABLE, Outcome.NOT_READ):
            assert found.warnings


@briefly
@given(JSON, JSON, JSON)
def test_fibsem_os(resolution, field, size):
    text = json.dumps(
        {"image": {"resolution": resolution, "hfw": field, "beam_type": 1}, "pixel_size": {"x": size, "y": size}}
    )
    for found in read_vendors({270: text}, SHAPE):
        believable(found)


def test_ome_with_entities_is_refused():
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]><OME><Pixels PhysicalSizeX="&a;"/></OME>'
    assert ome_metadata(bomb, (100, 100)).pixel_size is None


@settings(briefly, max_examples=30)
@given(st.sampled_from([*CODES, 50431]), st.binary(min_size=1, max_size=300))
def test_whole_files_open_whatever_their_tags_hold(tmp_path_factory, code, value):
    path = tmp_path_factory.mktemp("tags") / "a.tif"
    tifffile.imwrite(path, np.zeros(SHAPE, np.uint8), extratags=[(code, 2, len(value), value, True)], metadata=None)
    (micrograph,) = open_micrographs(path)
    assert micrograph.shape == SHAPE
    believable(micrograph.metadata)
