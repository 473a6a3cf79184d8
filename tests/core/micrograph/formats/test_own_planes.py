"""A file gives its own planes, once each; what is missing is named or refused, and never read as zeros."""

import struct
import uuid
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_semclass.classify.inputs import Input
from napari_semclass.cli.info import info_of
from napari_semclass.errors import MicrographError
from napari_semclass.micrograph import open_micrographs, read_header
from napari_semclass.micrograph.formats import READERS, Image, tiff
from napari_semclass.micrograph.formats.presence import Inventory, ProvenPixels, proven

HEIGHT, WIDTH = 48, 64


def plane(seed):
    """A plane without a zero in it."""
    return np.random.default_rng(seed).integers(1, 255, (HEIGHT, WIDTH), dtype=np.uint8, endpoint=True)


def ome_xml(own, planes, blocks):
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="{urn(own)}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZTC" Type="uint8" '
        f'SizeX="{WIDTH}" SizeY="{HEIGHT}" SizeZ="{planes}" SizeC="1" SizeT="1">{blocks}</Pixels></Image></OME>'
    )


def urn(number):
    return uuid.UUID(int=number + 1).urn


def block(first, name="", number=0, count=1, ifd=0):
    named = f'<UUID FileName="{name}">{urn(number)}</UUID>' if name else ""
    return f'<TiffData FirstZ="{first}" IFD="{ifd}" PlaneCount="{count}">{named}</TiffData>'


def write_set(folder, per_file, files, written):
    """An OME data set of so many files of some planes each, of which only some are written."""
    names = [f"part_{i}.ome.tif" for i in range(files)]
    blocks = "".join(block(i * per_file + j, name, i, ifd=j) for i, name in enumerate(names) for j in range(per_file))
    for i in written:
        own = np.stack([plane(i * per_file + j) for j in range(per_file)])
        xml = ome_xml(i, files * per_file, blocks)
        tifffile.imwrite(folder / names[i], own, photometric="minisblack", metadata=None, description=xml)
    return [folder / names[i] for i in written]


@pytest.mark.parametrize("is_lazy", [False, True], ids=["at once", "lazily"])
@pytest.mark.parametrize("per_file", [1, 3])
@pytest.mark.parametrize("written", [[0, 1], [0], [1], [2, 0]])
def test_each_file_of_a_set_gives_its_own_planes_once(tmp_path, monkeypatch, written, per_file, is_lazy):
    if is_lazy:
        monkeypatch.setattr(tiff, "_EAGER_BYTES", 0)
    for path, part in zip(write_set(tmp_path, per_file, 3, written), written, strict=True):
        micrographs = open_micrographs(path)
        header = read_header(path)
        assert len(micrographs) == len(header.planes) == per_file
        for j, micrograph in enumerate(micrographs):
            np.testing.assert_array_equal(micrograph.read(0, HEIGHT, 0, WIDTH), plane(part * per_file + j))
            assert f"{per_file} of the {3 * per_file} planes" in micrograph.note
        missing = next(f"part_{i}" for i in range(3) if i not in written)
        assert missing in micrographs[0].note
        assert header.note == micrographs[0].note


def test_info_names_the_missing_planes(tmp_path):
    (path,) = write_set(tmp_path, 1, 50, [7])
    info = info_of(Input(path, path.name, path.stem))
    assert info.planes == 1
    assert any("1 of the 50 planes" in warning and "part_0.ome.tif" in warning for warning in info.warnings)
    assert not any("blank" in warning for warning in info.warnings)


def test_a_renamed_file_of_a_set_still_gives_its_own_plane(tmp_path):
    for path in write_set(tmp_path, 1, 2, [0, 1]):
        path.rename(path.with_name(f"renamed {path.name}"))
    for i in range(2):
        (micrograph,) = open_micrographs(tmp_path / f"renamed part_{i}.ome.tif")
        np.testing.assert_array_equal(micrograph.read(0, HEIGHT, 0, WIDTH), plane(i))
        assert "missing" in micrograph.note


@pytest.mark.parametrize("claimed", [2, 4, 50])
def test_a_file_with_fewer_planes_than_it_claims_gives_those_it_has(tmp_path, claimed):
    xml = ome_xml(0, claimed, block(0, count=claimed))
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.stack([plane(0)] * 1), photometric="minisblack", metadata=None, description=xml)
    (micrograph,) = open_micrographs(path)
    np.testing.assert_array_equal(micrograph.read(0, HEIGHT, 0, WIDTH), plane(0))
    assert f"1 of the {claimed} planes" in micrograph.note
    assert f"; {claimed - 1} {'is' if claimed == 2 else 'are'} missing" in micrograph.note


def test_a_file_described_by_a_companion_gives_its_own_planes(tmp_path):
    only = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<BinaryOnly MetadataFile="a.companion.ome" UUID="{urn(9)}"/></OME>'
    )
    stack = np.stack([plane(0), plane(1)])
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, photometric="minisblack", metadata=None, description=only)
    found = [micrograph.read(0, HEIGHT, 0, WIDTH) for micrograph in open_micrographs(tmp_path / "a.ome.tif")]
    np.testing.assert_array_equal(found, stack)


@pytest.mark.parametrize("kind", ["plain", "imagej", "ome"])
def test_a_stack_cut_short_is_refused_or_gives_what_is_there(tmp_path, kind):
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    stack = np.stack([plane(i) for i in range(6)])
    tifffile.imwrite(path, stack, photometric="minisblack", imagej=kind == "imagej", ome=kind == "ome")
    content = path.read_bytes()
    for share in (0.3, 0.6, 0.9, 0.99):
        path.write_bytes(content[: int(share * len(content))])
        try:
            micrographs = open_micrographs(path)
        except MicrographError as error:
            assert "\n" not in str(error)  # noqa: PT017
            continue
        for micrograph in micrographs:
            assert (micrograph.read(0, HEIGHT, 0, WIDTH) > 0).all()


def test_an_imagej_stack_that_claims_more_planes_than_it_has_bytes_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([plane(0), plane(1)]), imagej=True)
    content = path.read_bytes().replace(b"images=2", b"images=9").replace(b"slices=2", b"slices=9")
    path.write_bytes(content.replace(b"frames=2", b"frames=9").replace(b"channels=2", b"channels=9"))
    try:
        micrographs = open_micrographs(path)
    except MicrographError as error:
        assert "cut short" in str(error)  # noqa: PT017
    else:
        assert all((micrograph.read(0, HEIGHT, 0, WIDTH) > 0).all() for micrograph in micrographs)


@pytest.mark.parametrize("is_lazy", [False, True], ids=["at once", "lazily"])
@pytest.mark.parametrize(
    "options", [{"tile": (16, 16)}, {"tile": (16, 16), "compression": "zlib"}, {"rowsperstrip": 8}]
)
@pytest.mark.parametrize("tags", [(325, 279), (324, 273), (325, 279, 324, 273)])
def test_a_tiff_with_a_sparse_block_is_refused(tmp_path, monkeypatch, options, tags, is_lazy):
    if is_lazy:
        monkeypatch.setattr(tiff, "_EAGER_BYTES", 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, plane(0), photometric="minisblack", metadata=None, **options)
    with tifffile.TiffFile(path, mode="r+") as file:
        for code in tags:
            if code in file.pages[0].tags:
                values = list(file.pages[0].tags[code].value)
                file.pages[0].tags[code].overwrite([*values[:2], 0, *values[3:]])
    with pytest.raises(MicrographError, match=r"of 12 blocks|of 6 blocks|cannot be read"):
        open_micrographs(path)[0].read(0, HEIGHT, 0, WIDTH)


@pytest.mark.parametrize("is_lazy", [False, True], ids=["at once", "lazily"])
@pytest.mark.parametrize("compression", ["jpeg", "lzw", "packbits", "zlib", "zstd", "jpeg2000", "lzma"])
def test_a_block_that_ends_early_is_refused(tmp_path, monkeypatch, compression, is_lazy):
    if is_lazy:
        monkeypatch.setattr(tiff, "_EAGER_BYTES", 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, plane(0), photometric="minisblack", compression=compression, rowsperstrip=16, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        tag = file.pages[0].tags[279]
        tag.overwrite([tag.value[0], tag.value[1] // 2, *tag.value[2:]])
    with pytest.raises(MicrographError):
        open_micrographs(path)[0].read(0, HEIGHT, 0, WIDTH)


def thumbnail(factor=4):
    return np.full((HEIGHT // factor, WIDTH // factor), 7, np.uint8)


def flag_page(path, number, flag):
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[number].tags[254].overwrite(flag)


@pytest.mark.parametrize("flag", [1, 5, 0])
def test_a_thumbnail_before_the_micrograph_is_not_it(tmp_path, flag):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(thumbnail(), subfiletype=1, photometric="minisblack", metadata=None)
        writer.write(plane(0), photometric="minisblack", metadata=None)
    flag_page(path, 0, flag)
    (micrograph,) = open_micrographs(path)
    np.testing.assert_array_equal(micrograph.read(0, HEIGHT, 0, WIDTH), plane(0))
    assert read_header(path).shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(("tag", "value"), [(254, 1), (254, 4), (255, 2)])
def test_reduced_pages_and_masks_of_the_same_size_are_no_planes(tmp_path, tag, value, place):
    path = tmp_path / "a.tif"
    extra = [(255, "H", 1, 2, True)] if tag == 255 else []
    with tifffile.TiffWriter(path) as writer:
        for i in range(3):
            flagged = i == place
            flag = int(flagged and tag == 254)
            options = {"subfiletype": flag, "extratags": extra if flagged else [], "photometric": "minisblack"}
            writer.write(plane(i), metadata=None, contiguous=False, **options)
    if tag == 254:
        flag_page(path, place, value)
    micrographs = open_micrographs(path)
    kept = [plane(i) for i in range(3) if i != place]
    np.testing.assert_array_equal([micrograph.read(0, HEIGHT, 0, WIDTH) for micrograph in micrographs], kept)
    assert len(read_header(path).planes) == 2
    assert "reduced images or masks" in micrographs[0].note


def test_the_full_picture_may_be_below_its_thumbnail(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(thumbnail(), subfiletype=1, subifds=1, photometric="minisblack", metadata=None)
        writer.write(plane(0), photometric="minisblack", metadata=None)
    (micrograph,) = open_micrographs(path)
    np.testing.assert_array_equal(micrograph.read(0, HEIGHT, 0, WIDTH), plane(0))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("shards", [None, (32, 32)])
@pytest.mark.parametrize("fill", [0, 9])
def test_chunks_that_are_not_stored_are_named_and_hold_no_data(tmp_path, version, shards, fill):
    if version == 2 and shards:
        pytest.skip("zarr 2 has no shards")
    folder = tmp_path / "a.zarr"
    options = {"zarr_format": version, "chunks": (16, 16), "shards": shards, "fill_value": fill}
    array = zarr.create_array(str(folder), shape=(HEIGHT, WIDTH), dtype="uint8", **options)
    array[:16, :48] = plane(0)[:16, :48]
    (micrograph,) = open_micrographs(folder)
    pixels = micrograph.pixels[:, :]
    stored = np.zeros((HEIGHT, WIDTH), bool)
    stored[:16, :48] = True
    assert micrograph.alpha
    np.testing.assert_array_equal(pixels[..., 1] > 0, stored)
    np.testing.assert_array_equal(pixels[:16, :48, 0], plane(0)[:16, :48])
    np.testing.assert_array_equal(micrograph.pixels[8:40, 20:60], pixels[8:40, 20:60])
    assert f"9 of 12 chunks are not stored and count as no data (they read as {fill})" in micrograph.note
    assert read_header(folder).note == micrograph.note


def test_an_ome_zarr_without_its_full_resolution_is_refused(tmp_path):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    group.create_array("1", data=plane(0)[::2, ::2])
    group.attrs["multiscales"] = [
        {"axes": [{"name": n, "type": "space"} for n in "yx"], "datasets": [{"path": "0"}, {"path": "1"}]}
    ]
    with pytest.raises(MicrographError, match="lacks its full resolution"):
        open_micrographs(tmp_path / "a.zarr")


def test_pixels_can_only_be_made_by_proof(tmp_path):
    with pytest.raises(TypeError):
        ProvenPixels(plane(0), has_opacity=False, proof=None)
    for lacking in (Inventory((HEIGHT, WIDTH), 4, lacking=1), Inventory((HEIGHT, WIDTH), ends_at=2, file_bytes=1),
                    Inventory((HEIGHT + 1, WIDTH))):  # fmt: skip
        with pytest.raises(MicrographError, match="copy it again"):
            proven(plane(0), lacking, Path("a.tif"))


def test_each_reader_gives_proven_pixels(tmp_path):
    tifffile.imwrite(tmp_path / "0", plane(0))
    (tmp_path / "1").write_bytes(b"P5 64 48 255\n" + plane(0).tobytes())
    zarr.create_array(str(tmp_path / "2"), data=plane(0))
    for number, reader in enumerate(READERS):
        image = reader(tmp_path / str(number))
        assert isinstance(image, Image)
        assert isinstance(image.pixels, ProvenPixels)
        np.testing.assert_array_equal(image.pixels.array[:, :], plane(0))


def test_a_jpeg_or_jpeg_2000_cut_short_is_refused(tmp_path):
    import imagecodecs

    for name, content in {
        "a.jpg": imagecodecs.jpeg8_encode(plane(0)),
        "a.jp2": imagecodecs.jpeg2k_encode(plane(0), level=0),
        "b.jp2": imagecodecs.jpeg2k_encode(plane(0).astype(np.uint16) * 16, level=0, bitspersample=12),
        "a.png": imagecodecs.png_encode(plane(0)),
        "b.png": imagecodecs.png_encode(plane(0).astype(np.uint16)),
        "a.webp": imagecodecs.webp_encode(np.stack([plane(0)] * 3, -1), lossless=True),
    }.items():
        for share in (0.5, 0.9):
            (tmp_path / name).write_bytes(content[: int(len(content) * share)])
            with pytest.raises(MicrographError):
                open_micrographs(tmp_path / name)


def test_gigabytes_that_a_small_file_claims_take_no_memory(tmp_path):
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 16, 2, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + bytes(4))
    (tmp_path / "a.ppm").write_bytes(b"P6 60000 60000 65535\n" + bytes(100))
    for name in ("a.png", "a.ppm"):
        with pytest.raises(MicrographError):
            open_micrographs(tmp_path / name)


def ome_image(number, side, size):
    return (
        f'<Image ID="Image:{number}"><Pixels ID="Pixels:{number}" DimensionOrder="XYZCT" Type="uint8" SizeX="{side}" '
        f'SizeY="{side}" SizeZ="1" SizeC="1" SizeT="1" PhysicalSizeX="{size}" PhysicalSizeXUnit="nm" '
        f'PhysicalSizeY="{size}" PhysicalSizeYUnit="nm"><TiffData IFD="{number}" PlaneCount="1"/></Pixels></Image>'
    )


def test_a_picture_has_the_pixel_size_of_its_own_image_and_its_fellows_are_not_missing(tmp_path):
    """A thumbnail comes first, in the file and in its OME-XML."""
    xml = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">' + ome_image(0, 32, 8) + ome_image(1, 128, 2)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        for side, text in ((32, xml + "</OME>"), (128, None)):
            pixels = np.random.default_rng(side).integers(0, 255, (side, side), dtype=np.uint8)
            writer.write(pixels, metadata=None, description=text, photometric="minisblack")
    (micrograph,) = open_micrographs(tmp_path / "a.ome.tif")
    assert micrograph.shape == (128, 128)
    assert micrograph.pixel_size == pytest.approx(2e-9)
    assert "missing" not in micrograph.note
