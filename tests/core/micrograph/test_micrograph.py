"""Arrays in: every kind of array becomes the right grey planes, or one clear sentence."""

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_semclass.errors import MicrographError
from napari_semclass.micrograph import as_micrographs

GREY = np.arange(60 * 80, dtype=np.uint16).reshape(60, 80)


def whole(micrograph):
    return micrograph.read(0, micrograph.shape[0], 0, micrograph.shape[1])


@pytest.mark.parametrize("wrap", [np.asarray, da.asarray, zarr.array], ids=["numpy", "dask", "zarr"])
def test_every_array_library_gives_the_same_pixels(wrap):
    (micrograph,) = as_micrographs(wrap(GREY), source="a")
    assert micrograph.shape == (60, 80)
    np.testing.assert_array_equal(micrograph.read(5, 9, 70, 80), GREY[5:9, 70:80])


def test_colour_of_equal_channels_gives_back_the_grey_level():
    grey = (GREY % 251).astype(np.uint8)
    for channels in (3, 4):
        colour = np.repeat(grey[..., None], channels, axis=-1)
        colour[..., 3:] = 255
        (micrograph,) = as_micrographs(colour)
        np.testing.assert_allclose(whole(micrograph), grey, atol=1e-3)


@pytest.mark.parametrize("wrap", [np.asarray, zarr.array], ids=["numpy", "zarr"])
def test_a_stack_is_walked_plane_by_plane(wrap):
    stack = np.stack([np.stack([GREY + 10 * i + j for j in range(3)]) for i in range(2)])
    planes = as_micrographs(wrap(stack), source="s.tif")
    assert [plane.name for plane in planes] == [f"s.tif#{i}" for i in range(6)]
    np.testing.assert_array_equal(whole(planes[5]), GREY + 12)


def test_one_plane_in_a_stack_has_no_number():
    (plane,) = as_micrographs(GREY[None, None], source="s.tif")
    assert plane.name == "s.tif"


def test_a_pyramid_uses_its_finest_level_and_says_so():
    (micrograph,) = as_micrographs([GREY, GREY[::2, ::2]])
    assert micrograph.shape == GREY.shape
    assert "level 0 of 2" in micrograph.note


def test_a_stack_is_never_read_whole():
    read = []

    def block(block_info):
        read.append(block_info[None]["array-location"])
        return np.ones((1, 100, 100))

    stack = da.map_blocks(block, chunks=((1,) * 50, (100,) * 10, (100,) * 10), dtype=float, meta=np.empty((0, 0, 0)))
    planes = as_micrographs(stack)
    planes[7].read(0, 100, 0, 100)
    assert {location[0][0] for location in read} == {7}


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros(5), "1 axes"),
        (np.float64(3), "0 axes"),
        (np.zeros((0, 7)), "no pixels"),
        ([], "no pixels"),
        (np.zeros((4, 0, 7)), "no pixels"),
        (np.ones((9, 9), complex), "complex"),
        (np.array([["a", "b"]]), "not grey levels"),
        (np.array([[None, 1]], dtype=object), "not grey levels"),
        (np.zeros((5, 5), "datetime64[s]"), "not grey levels"),
    ],
)
def test_what_cannot_be_a_micrograph_is_refused_in_one_sentence(array, sentence):
    with pytest.raises(MicrographError, match=sentence) as caught:
        as_micrographs(array, source="odd.tif")
    assert str(caught.value).startswith("odd.tif: ")
    assert "\n" not in str(caught.value)


def test_a_source_that_fails_while_read_is_named():
    class Broken:
        shape, dtype = (10, 10), np.dtype("uint8")

        def __getitem__(self, box):
            raise RuntimeError("chunk 3 is damaged\nand more")

    (micrograph,) = as_micrographs(Broken(), source="far.zarr")
    with pytest.raises(MicrographError, match=r"far\.zarr: pixels cannot be read \(chunk 3 is damaged\)"):
        micrograph.read(0, 1, 0, 1)
