"""Reading a data set: what a manifest must hold, and when two data sets are the same."""

from pathlib import Path

import pytest

from napari_semclass.errors import SettingsError
from napari_semclass.learn.dataset import data_sha256, read_manifest

ROWS = [("a/1.png", "Fibres", "wool"), ("a/2.png", "Fibres", "wool"), ("b/1.png", "Powder", "zinc")]


def make_data(folder: Path, rows=ROWS, header="path,class,group,note") -> Path:
    for path, *_ in rows:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(f"pixels of {path}".encode())
    lines = [header, *(",".join([*row, "seen"]) for row in rows)]
    (folder / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_pictures_come_in_the_manifests_order_with_category_and_group(tmp_path):
    pictures = read_manifest(make_data(tmp_path))
    assert [(p.path.relative_to(tmp_path).as_posix(), p.category, p.group) for p in pictures] == ROWS


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"manifest\.csv.*cannot be read"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(("header", "named"), [("path,label,group,note", "class"), ("path,class,sample,note", "group")])
def test_a_missing_column_is_named(tmp_path, header, named):
    with pytest.raises(SettingsError, match=named):
        read_manifest(make_data(tmp_path, header=header))


def test_an_empty_manifest_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no rows"):
        read_manifest(make_data(tmp_path, rows=[]))


def test_a_picture_that_is_not_there_is_named(tmp_path):
    make_data(tmp_path)
    (tmp_path / "a" / "2.png").unlink()
    with pytest.raises(SettingsError, match=r"2\.png"):
        read_manifest(tmp_path)


def test_the_hash_follows_content_not_order_or_place(tmp_path):
    here = data_sha256(read_manifest(make_data(tmp_path / "here")))
    turned = data_sha256(read_manifest(make_data(tmp_path / "there", rows=ROWS[::-1])))
    assert here == turned
    assert len(here) == 64


@pytest.mark.parametrize("change", ["pixels", "category", "group"])
def test_the_hash_changes_with_anything_that_changes_what_is_learned(tmp_path, change):
    before = data_sha256(read_manifest(make_data(tmp_path / "before")))
    path, category, group = ROWS[0]
    first = {"category": (path, "Powder", group), "group": (path, category, "silk")}.get(change, ROWS[0])
    after = make_data(tmp_path / "after", rows=[first, *ROWS[1:]])
    if change == "pixels":
        (after / path).write_bytes(b"other pixels")
    assert data_sha256(read_manifest(after)) != before
