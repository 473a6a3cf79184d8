"""SEM TIFFs open in napari with scale, units and metadata; other files are left to napari."""

import npe2
import numpy as np
import pytest
import tifffile

from napari_semclass.viewer.layer_facts import DATA_BAR_KEY, READER_KEY, pixel_size
from napari_semclass.viewer.layers import target_of

PICTURE = np.random.default_rng(0).integers(0, 255, (96, 128), dtype=np.uint8)
FEI = (
    "[System]\r\nSystemType=Apreo\r\n[Beam]\r\nHV=5000\r\n[Scan]\r\nPixelWidth=3e-9\r\nPixelHeight=3e-9\r\n"
    "[Image]\r\nResolutionX=128\r\nResolutionY=88\r\n[Detectors]\r\nName=ETD\r\n"
)


def sem_tiff(path, text=FEI, code=34682, pictures=(PICTURE,)):
    with tifffile.TiffWriter(path) as writer:
        for picture in pictures:
            writer.write(picture, extratags=[(code, 2, len(text), text, True)], metadata=None, contiguous=False)
    return str(path)


def test_an_sem_tiff_opens_with_scale_units_metadata_and_its_bar_marked(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    viewer.open(sem_tiff(tmp_path / "grain.tif"), plugin="napari-semclass")
    image, bar = viewer.layers
    assert (image.name, bar.name) == ("grain", "grain data bar")
    np.testing.assert_array_equal(image.data, PICTURE)  # the bar is marked, not cut
    assert pixel_size(image) == pixel_size(bar) == pytest.approx(3e-9)
    known = image.metadata[READER_KEY]
    assert (known["vendor"], known["detector"], known["voltage"]) == ("fei", "ETD", 5000)
    assert known["pixel_size"] == pytest.approx((3e-9, 3e-9))
    assert known["data_bar"] == bar.metadata[DATA_BAR_KEY] == [(88, 96)]
    (corners,) = bar.data
    assert corners.min(axis=0) == pytest.approx([87.5, -0.5])
    assert corners.max(axis=0) == pytest.approx([95.5, 127.5])


def test_planes_of_an_sem_tiff_are_layers_of_their_own(make_napari_viewer, tmp_path):
    text = FEI.replace("ResolutionY=88", "ResolutionY=96")
    viewer = make_napari_viewer()
    viewer.open(sem_tiff(tmp_path / "s.tif", text, pictures=(PICTURE, 255 - PICTURE)), plugin="napari-semclass")
    assert [layer.name for layer in viewer.layers] == ["s #1", "s #0"]
    np.testing.assert_array_equal(viewer.layers["s #1"].data, 255 - PICTURE)


def test_an_unknown_pixel_size_leaves_pixels(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    viewer.open(sem_tiff(tmp_path / "a.tif", "[System]\r\nType=SEM\r\n"), plugin="napari-semclass")
    (image,) = viewer.layers
    assert tuple(image.scale) == (1, 1)
    assert pixel_size(image) is None
    assert image.metadata[READER_KEY]["pixel_size"] is None


def test_other_files_open_as_napari_opens_them(make_napari_viewer, tmp_path):
    """Whoever told napari to open TIFFs with this reader is not refused those of other programs."""
    tifffile.imwrite(tmp_path / "plain.tif", PICTURE)
    viewer = make_napari_viewer()
    viewer.open(str(tmp_path / "plain.tif"), plugin="napari-semclass")
    (image,) = viewer.layers
    np.testing.assert_array_equal(image.data, PICTURE)
    assert READER_KEY not in image.metadata
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    with pytest.raises(Exception, match=r"broken\.tif: cannot be read as an image"):
        viewer.open(str(tmp_path / "broken.tif"), plugin="napari-semclass")


def test_the_bar_that_the_reader_knows_is_left_out_of_the_tiles(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    image = viewer.add_image(PICTURE, metadata={READER_KEY: {"data_bar": [(50, 60)]}})
    (micrograph,) = target_of(image).micrographs
    assert [(bar.start, bar.stop) for bar in micrograph.data_bars] == [(50, 60)]


def test_what_naparis_reader_leaves_out_comes_from_the_file(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    (image,) = viewer.open(sem_tiff(tmp_path / "a.tif"), plugin="napari")
    (micrograph,) = target_of(image).micrographs
    assert micrograph.pixel_size == pytest.approx(3e-9)
    assert micrograph.pixel_size_source == "FEI Scan.PixelWidth"
    assert [(bar.start, bar.stop) for bar in micrograph.data_bars] == [(88, 96)]
    image.scale, image.units = (5, 5), ("nm", "nm")  # the user's word goes before the file's
    (micrograph,) = target_of(image).micrographs
    assert micrograph.pixel_size == pytest.approx(5e-9)
    image.data = PICTURE[:50, :50]  # no longer what is in the file
    image.units = ("pixel", "pixel")
    (cut,) = target_of(image).micrographs
    assert cut.pixel_size is None
    assert cut.metadata.data_bar is None


def test_each_plane_of_a_stack_has_its_own_pixel_size(make_napari_viewer, tmp_path):
    with tifffile.TiffWriter(tmp_path / "s.tif") as writer:
        for text in (FEI, FEI.replace("3e-9", "6e-9")):
            writer.write(PICTURE, extratags=[(34682, 2, len(text), text, True)], metadata=None, contiguous=False)
    viewer = make_napari_viewer()
    (stack,) = viewer.open(str(tmp_path / "s.tif"), plugin="napari")
    assert [one.pixel_size for one in target_of(stack).micrographs] == pytest.approx([3e-9, 6e-9])


def test_a_file_changed_since_is_read_again(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    (image,) = viewer.open(sem_tiff(tmp_path / "a.tif"), plugin="napari")
    assert target_of(image).micrographs[0].pixel_size == pytest.approx(3e-9)
    sem_tiff(tmp_path / "a.tif", FEI.replace("3e-9", "4.25e-9"))
    assert target_of(image).micrographs[0].pixel_size == pytest.approx(4.25e-9)
    (tmp_path / "a.tif").unlink()
    assert target_of(image).micrographs[0].pixel_size is None


def test_the_manifest_offers_the_reader_for_tiffs():
    (reader,) = npe2.PluginManifest.from_distribution("napari-semclass").contributions.readers
    assert set(reader.filename_patterns) == {"*.tif", "*.tiff"}


@pytest.mark.parametrize(
    ("name", "size", "bar"),
    [
        ("zeiss_1k.tif", 2.615e-6, (691, 767)),
        ("zeiss_512.tif", 11.65e-9, (350, 383)),
        ("fei_helios_16bit.tif", 3.3724e-6, (442, 471)),
        ("tescan_50000x.tif", 5.5004e-9, (768, 858)),
    ],
)
def test_real_files_open(make_napari_viewer, real_data, name, size, bar):
    viewer = make_napari_viewer()
    viewer.open(str(real_data / "vendor" / name), plugin="napari-semclass")
    image, marked = viewer.layers
    assert image.ndim == 2
    assert not image.rgb
    assert pixel_size(image) == pytest.approx(size, rel=1e-3)
    assert marked.metadata[DATA_BAR_KEY] == [bar]
