"""Images of a project are found where they were, else by content; what is missing or has changed is said."""

import os
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr

from napari_semclass.annotate import ImageEntry, Project, locate_images, read_project, write_project


@pytest.fixture
def place(tmp_path):
    """A folder with two images and a project about them."""
    for number, name in enumerate(("a", "b")):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((20, 20), number, dtype=np.uint8))
    entries = tuple(ImageEntry(n, f"{n}.tif", str(tmp_path / f"{n}.tif"), (20, 20), "uint8") for n in ("a", "b"))
    write_project(Project(images=entries), tmp_path / "p.semclass")
    return tmp_path


def located(place):
    folder = place / "p.semclass"
    return locate_images(read_project(folder), folder)


def test_images_are_where_they_were(place):
    found = located(place)
    assert found.paths == {"a": place / "a.tif", "b": place / "b.tif"}
    assert found.sentences == ()


def test_an_image_that_was_moved_or_renamed_is_found_by_its_content(place):
    (place / "below").mkdir()
    (place / "a.tif").rename(place / "below" / "first.tif")
    (place / "b.tif").rename(place / "a.tif")  # and another one now has its name
    found = located(place)
    assert found.paths == {"a": place / "below" / "first.tif", "b": place / "a.tif"}
    assert found.sentences == ()


def test_a_file_touched_but_not_changed_is_the_same(place):
    os.utime(place / "a.tif", (1, 1))
    assert located(place).sentences == ()


def test_what_changed_and_what_is_missing_is_said(place):
    tifffile.imwrite(place / "a.tif", np.full((20, 20), 9, dtype=np.uint8))
    (place / "b.tif").unlink()
    found = located(place)
    assert found.paths == {"a": place / "a.tif", "b": None}
    assert found.sentences == (
        "a.tif has changed since the marks were made; check that they still fit.",
        f"b.tif was not found; put it into {place} and open the project again.",
    )


def test_an_image_that_never_had_a_file_is_missing(place):
    project = Project(images=(ImageEntry("c", "untitled", None, (5, 5), "uint8"),))
    assert located(place).paths.keys() == {"a", "b"}
    found = locate_images(project, place / "p.semclass")
    assert found.paths == {"c": None}
    assert found.sentences[0].startswith("untitled was not found")


def test_a_file_out_of_reach_when_it_was_saved_is_taken_when_it_is_back(place):
    entry = ImageEntry("a", "a", str(place / "late.tif"), (20, 20), "uint8")
    project = write_project(Project(images=(entry,)), place / "q.semclass")
    assert project.images[0].sha256 == ""
    assert locate_images(project, place / "q.semclass").paths == {"a": None}
    (place / "a.tif").rename(place / "late.tif")
    assert locate_images(project, place / "q.semclass").paths == {"a": place / "late.tif"}


def test_zarr_folders_are_images_too(tmp_path):
    zarr.save(str(tmp_path / "m.zarr"), np.arange(400, dtype=np.uint8).reshape(20, 20))
    entry = ImageEntry("m", "m", str(tmp_path / "m.zarr"), (20, 20), "uint8")
    project = write_project(Project(images=(entry,)), tmp_path / "p.semclass")
    (tmp_path / "new").mkdir()
    (tmp_path / "m.zarr").rename(tmp_path / "new" / "n.zarr")
    assert locate_images(project, tmp_path / "p.semclass").paths == {"m": tmp_path / "new" / "n.zarr"}


def test_many_missing_images_make_one_sentence(place):
    entries = tuple(
        replace(read_project(place / "p.semclass").images[0], id=str(n), name=f"{n}.tif", size=1) for n in range(9)
    )
    (place / "a.tif").unlink()
    found = locate_images(Project(images=entries), place / "p.semclass")
    assert len(found.sentences) == 1
    assert "0.tif, 1.tif, 2.tif, 3.tif, 4.tif and 4 more were not found" in found.sentences[0]
