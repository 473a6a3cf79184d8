"""Reading a data set: what a manifest must hold, and when two data sets are the same."""

from pathlib import Path

import pytest

from napari_semclass.errors import SettingsError
from napari_semclass.learn.dataset import Picture, data_sha256, read_dataset, read_manifest
from napari_semclass.micrograph import GreyRange

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


def test_overlays_that_were_written_among_the_pictures_are_no_pictures(tmp_path):
    (tmp_path / "pores").mkdir()
    for name in ("a.png", "a.overlay.png"):
        (tmp_path / "pores" / name).write_bytes(b"pixels")
    found = read_dataset(tmp_path)
    assert [one.path.name for one in found.pictures] == ["a.png"]
    assert found.ignored == ("pores/a.overlay.png: is an overlay that classifying drew.",)


@pytest.mark.parametrize("change", ["pixels", "category", "group"])
def test_the_hash_changes_with_anything_that_changes_what_is_learned(tmp_path, change):
    before = data_sha256(read_manifest(make_data(tmp_path / "before")))
    path, category, group = ROWS[0]
    first = {"category": (path, "Powder", group), "group": (path, category, "silk")}.get(change, ROWS[0])
    after = make_data(tmp_path / "after", rows=[first, *ROWS[1:]])
    if change == "pixels":
        (after / path).write_bytes(b"other pixels")
    assert data_sha256(read_manifest(after)) != before


def place(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def manifest(folder: Path, *lines: str) -> Path:
    place(folder, "a.png", "b.png")
    (folder / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_folders_are_categories_and_each_file_its_own_group(tmp_path):
    dataset = read_dataset(place(tmp_path, "Powder/2.TIF", "Powder/1.png", "Fibres/1.png"))
    found = [(dataset.name(p), p.category, p.group, p.part) for p in dataset.pictures]
    assert found == [
        ("Fibres/1.png", "Fibres", "Fibres/1.png", ""),
        ("Powder/1.png", "Powder", "Powder/1.png", ""),
        ("Powder/2.TIF", "Powder", "Powder/2.TIF", ""),
    ]
    assert dataset.categories == ("Fibres", "Powder")
    assert dataset.ignored == ()


def test_train_and_valid_folders_are_parts(tmp_path):
    dataset = read_dataset(place(tmp_path, "train/Powder/1.png", "valid/Powder/1.png", "valid/Fibres/9.png"))
    assert [(p.category, p.part) for p in dataset.pictures] == [
        ("Powder", "train"),
        ("Fibres", "valid"),
        ("Powder", "valid"),
    ]
    assert len({p.group for p in dataset.pictures}) == 3


def test_what_is_no_picture_is_left_out_and_named(tmp_path):
    place(
        tmp_path, "Powder/1.png", "Powder/notes.txt", "Powder/old/2.png", "Powder/.DS_Store", "loose.png", "readme.md"
    )
    (tmp_path / "Tips").mkdir()
    dataset = read_dataset(tmp_path)
    assert [dataset.name(p) for p in dataset.pictures] == ["Powder/1.png"]
    reasons = dict(line.split(": ", 1) for line in dataset.ignored)
    assert set(reasons) == {"Powder/notes.txt", "Powder/old", "loose.png", "readme.md", "Tips"}
    assert "holds no pictures" in reasons["Tips"]


def test_a_zarr_folder_is_a_picture_and_counts_by_its_content(tmp_path):
    first = read_dataset(place(tmp_path / "first", "Powder/1.zarr/zarr.json"))
    second = read_dataset(place(tmp_path / "second", "Powder/1.zarr/zarr.json", "Powder/1.zarr/c/0"))
    assert len(first.pictures) == len(second.pictures) == 1
    assert data_sha256(first.pictures) != data_sha256(second.pictures)


def test_boxes_of_one_file_are_pictures_of_their_own(tmp_path):
    dataset = read_dataset(
        manifest(
            tmp_path,
            "path,class,group,y0,x0,y1,x1,pixel_size,licence",
            "a.png,Powder,g1,0,0,224,224,2.5e-9,CC0",
            "a.png,Fibres,g2,0,224,224,448,,",
            "b.png,Fibres,g2,,,,,,",
        )
    )
    first, second, whole = dataset.pictures
    assert (first.box, second.box, whole.box) == ((0, 0, 224, 224), (0, 224, 224, 448), None)
    assert (first.pixel_size, first.licence, second.pixel_size) == (2.5e-9, "CC0", None)
    assert dataset.files == (0, 0, 1)
    assert dataset.name(second) == "a.png[0:224, 224:448]"
    assert data_sha256([first]) != data_sha256([Picture(first.path, "Powder", "g1")])


def test_grey_levels_are_read_and_count_for_the_hash(tmp_path):
    header = "path,class,grey_low,grey_high"
    first, second = read_dataset(manifest(tmp_path, header, "a.png,P,-1.5,200", "b.png,Q,,")).pictures
    assert (first.grey, second.grey) == (GreyRange(-1.5, 200), None)
    assert data_sha256([first]) != data_sha256([Picture(first.path, "P", "a.png")])


def test_without_a_group_column_the_file_is_the_group(tmp_path):
    dataset = read_dataset(
        manifest(tmp_path, "path,class,y0,x0,y1,x1", "a.png,P,0,0,9,9", "a.png,Q,9,9,18,18", "b.png,Q,0,0,9,9")
    )
    assert [p.group for p in dataset.pictures] == ["a.png", "a.png", "b.png"]


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("path,class,part", "b.png,P,test", r"line 3 has the part 'test'"),
        ("path,class,part", "b.png,P,", r"line 3 has the part ''"),
        ("path,class,y0,x0,y1,x1", "b.png,P,0,0,9,", r"line 3 has the box 0, 0, 9, ;"),
        ("path,class,y0,x0,y1,x1", "b.png,P,9,0,9,9", r"line 3 has the box 9, 0, 9, 9, which is empty"),
        ("path,class,pixel_size", "b.png,P,tiny", r"line 3 has the pixel size 'tiny'"),
        ("path,class,pixel_size", "b.png,P,-1", r"line 3 has the pixel size '-1'"),
        ("path,class,grey_low,grey_high", "b.png,P,9,9", r"line 3 has the grey levels 9, 9;"),
        ("path,class,grey_low,grey_high", "b.png,P,9,", r"line 3 has the grey levels 9, ;"),
        ("path,class,group", "b.png,P,", r"line 3 lacks its group"),
        ("path,class,note", "c.png,P,", r"c\.png, which is not there"),
        ("path,class,note", "a.png,P,", r"a\.png more than once"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, header, row, said):
    first = {"part": "a.png,P,train", "y0": "a.png,P,,,,", "group": "a.png,P,g", "grey_low": "a.png,P,,"}.get(
        header.split(",")[2], "a.png,P,"
    )
    with pytest.raises(SettingsError, match=said):
        read_dataset(manifest(tmp_path, header, first, row))


def test_a_missing_folder_and_one_without_pictures_are_named(tmp_path):
    with pytest.raises(SettingsError, match="no such folder"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match="holds no labelled pictures"):
        read_dataset(place(tmp_path, "a.png"))


def test_a_manifest_may_name_files_outside_its_folder(tmp_path):
    place(tmp_path, "a.png")
    inner = tmp_path / "inner"
    inner.mkdir()
    place(tmp_path, "b.png")
    (inner / "manifest.csv").write_text(f"path,class\n../a.png,P\n{tmp_path / 'b.png'},Q", encoding="utf-8")
    dataset = read_dataset(inner)
    assert all(picture.path.is_file() for picture in dataset.pictures)
    assert [dataset.name(picture) for picture in dataset.pictures] == ["../a.png", (tmp_path / "b.png").as_posix()]
