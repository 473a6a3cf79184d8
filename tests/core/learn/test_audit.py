"""The audit: what cannot be used is left out and said, and what shows the same field is never taken for two."""

import json

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

from napari_semclass.cli import main
from napari_semclass.learn.audit import audit, save_audit
from napari_semclass.learn.dataset import read_dataset


def micrograph(seed, shape=(192, 256)):
    """Grains of noise with shading that all pictures share, as all of one microscope do; uint8."""
    grains = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return np.clip(128 + 220 * grains - 50 * (x**2 + y**2), 0, 255).astype(np.uint8)


def save(pixels, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """Two categories of four unlike pictures each."""
    for seed in range(8):
        save(micrograph(seed), tmp_path / ("Fibres" if seed % 2 else "Powder") / f"{seed}.png")
    return tmp_path


def audited(folder):
    dataset = read_dataset(folder)
    found = audit(dataset)
    names = [dataset.name(picture) for picture in dataset.pictures]
    return found, dict(zip(names, found.groups, strict=True)), {names[index] for index in found.usable}


def said(found, part):
    return [sentence for sentence in found.sentences() if part in sentence]


def test_sound_data_are_used_whole_and_nothing_is_said_against_them(folder):
    found, groups, usable = audited(folder)
    assert len(usable) == len(set(groups.values())) == 8
    summary, hint = found.sentences()
    assert summary == "8 pictures, 8 of them usable, in 2 categories and 8 groups."
    assert "column group" in hint  # nothing is said of specimens, and figures depend on them


def resized(pixels, share):
    height, width = pixels.shape
    return np.asarray(
        Image.fromarray(pixels).resize((round(width * share), round(height * share)), Image.Resampling.BICUBIC)
    )


EDITS = {
    "brighter": lambda p: np.clip(p * 1.15 + 15, 0, 255).astype(np.uint8),
    "darker": lambda p: (p * 0.5).astype(np.uint8),
    "gamma": lambda p: (255 * (p / 255) ** 0.7).astype(np.uint8),
    "smaller": lambda p: resized(p, 0.6),
    "trimmed": lambda p: p[2:-2, 2:-2],
    "mirrored": lambda p: p[:, ::-1],
    "upside down": lambda p: p[::-1],
    "turned left": lambda p: np.rot90(p),
    "turned right": lambda p: np.rot90(p, 3),
    "transposed": lambda p: p.T,
    "noisy": lambda p: np.clip(p + np.random.default_rng(0).normal(0, 8, p.shape), 0, 255).astype(np.uint8),
    "blurred": lambda p: np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(1))),
    "16 bit": lambda p: p.astype(np.uint16) * 200,
}


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_an_edited_copy_is_kept_with_its_original(folder, edit):
    save(EDITS[edit](micrograph(3)), folder / "Fibres" / "edited.png")
    found, groups, usable = audited(folder)
    assert groups["Fibres/edited.png"] == groups["Fibres/3.png"]
    assert len(set(groups.values())) == 8
    assert "Fibres/edited.png" in usable
    assert [alike.pictures for alike in found.near] == [("Fibres/3.png", "Fibres/edited.png")]


def test_a_picture_saved_as_jpeg_is_kept_with_its_original(folder):
    save(micrograph(3), folder / "Fibres" / "again.jpg", quality=40)
    _, groups, _ = audited(folder)
    assert groups["Fibres/again.jpg"] == groups["Fibres/3.png"]


def test_unlike_pictures_of_one_specimen_are_not_joined(tmp_path):
    for seed in range(120):
        save(micrograph(seed, (64, 64)), tmp_path / ("A" if seed % 2 else "B") / f"{seed}.png")
    found, groups, _ = audited(tmp_path)
    assert found.near == ()
    assert len(set(groups.values())) == 120


def test_an_exact_copy_is_left_out_whatever_its_file_format(folder):
    save(micrograph(3), folder / "Fibres" / "copy.bmp")
    save(np.repeat(micrograph(3)[..., None], 3, axis=2), folder / "Fibres" / "copy.tif")
    found, groups, usable = audited(folder)
    assert not {"Fibres/copy.bmp", "Fibres/copy.tif"} & usable
    assert groups["Fibres/copy.bmp"] == groups["Fibres/3.png"]
    assert said(found, "2 exact copies left out, such as Fibres/copy.bmp, Fibres/copy.tif.")


def test_copies_under_two_categories_are_both_left_out(folder):
    save(micrograph(3), folder / "Powder" / "copy.png")
    found, _, usable = audited(folder)
    assert not {"Powder/copy.png", "Fibres/3.png"} & usable
    assert said(found, "as the same picture is in Fibres and Powder: Fibres/3.png, Powder/copy.png.")


def test_near_duplicates_under_two_categories_are_named(folder):
    save(micrograph(3), folder / "Powder" / "again.jpg", quality=60)
    found, _, usable = audited(folder)
    assert said(found, "Near-duplicates are in Fibres and Powder; check which is right")
    assert "Powder/again.jpg" in usable


def test_near_duplicates_join_the_manifests_groups(folder):
    save(micrograph(3), folder / "Fibres" / "again.jpg", quality=60)
    rows = [("Fibres/1.png", "wool"), ("Fibres/3.png", "wool"), ("Fibres/again.jpg", "silk"), ("Fibres/5.png", "silk")]
    lines = [f"{path},Fibres,{group}" for path, group in rows] + ["Powder/2.png,Powder,zinc"]
    (folder / "manifest.csv").write_text("\n".join(["path,class,group", *lines]), encoding="utf-8")
    found, _, _ = audited(folder)
    assert found.groups == (0, 0, 0, 0, 1)
    assert said(found, "Near-duplicates join groups: silk, wool.")


def test_files_that_cannot_be_used_are_named(folder):
    (folder / "Fibres" / "cut.png").write_bytes((folder / "Fibres" / "1.png").read_bytes()[:300])
    (folder / "Fibres" / "empty.png").write_bytes(b"")
    (folder / "Fibres" / "words.png").write_text("no picture")
    save(np.full((64, 64), 7, np.uint8), folder / "Fibres" / "blank.png")
    (folder / "Fibres" / "notes.txt").write_text("seen")
    found, _, usable = audited(folder)
    assert len(found.unreadable) == 4
    assert len(usable) == 8
    for name in ("cut.png", "empty.png", "words.png", "blank.png"):
        assert said(found, name)
    assert said(found, "Not used: Fibres/notes.txt")


def test_few_and_uneven_pictures_are_said(folder):
    save(micrograph(50), folder / "Tips" / "1.png")
    save(micrograph(51), folder / "Films" / "1.png")
    save(micrograph(51), folder / "Films" / "again.jpg", quality=60)
    (folder / "Sponge").mkdir()
    found, _, _ = audited(folder)
    assert said(found, "Tips has one usable picture only")
    assert said(found, "Films has one group only (2 pictures)")
    assert said(found, "Categories are uneven: Powder has 4 pictures, Tips 1 (4 : 1).")
    assert said(found, "Sponge: holds no pictures")


def test_one_category_only_is_said(tmp_path):
    save(micrograph(0), tmp_path / "Fibres" / "0.png")
    assert said(audited(tmp_path)[0], "learning needs at least two")


def test_sizes_colours_and_stacks_are_said(folder):
    tinted = np.stack([micrograph(60), micrograph(60) // 2, micrograph(60) // 3], axis=2)
    save(tinted, folder / "Fibres" / "tinted.png")
    save(np.repeat(micrograph(61, (128, 128))[..., None], 3, axis=2), folder / "Fibres" / "grey.jpg", quality=50)
    planes = [Image.fromarray(micrograph(seed)) for seed in (62, 63)]
    planes[0].save(folder / "Powder" / "stack.tif", save_all=True, append_images=planes[1:])
    found, _, _ = audited(folder)
    assert said(found, "2 sizes, from 128 x 128 to 256 x 192 px.")
    assert said(found, "Pictures in colour (1 of Fibres)")
    assert said(found, "several planes, all of which are used: Powder/stack.tif")


def test_boxes_of_a_micrograph_are_looked_at_one_by_one(tmp_path):
    save(micrograph(0, (300, 300)), tmp_path / "a.png")
    rows = ["0,0,100,100,Powder", "100,100,200,200,Fibres", "200,200,300,300,Powder", "200,200,300,300,Powder"]
    rows += ["250,250,350,350,Powder"]
    lines = ["path,group,y0,x0,y1,x1,class", *(f"a.png,{index},{row}" for index, row in enumerate(rows))]
    (tmp_path / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    found, _, _ = audited(tmp_path)
    assert found.usable == (0, 1, 2)
    assert found.groups == (0, 1, 2, 2, 3)
    assert said(found, "lies outside its 300 x 300 px")


def test_blank_boxes_do_not_join_the_groups_of_unlike_micrographs(tmp_path):
    for name in ("a", "b"):
        pixels = micrograph(ord(name))
        pixels[:64, :64] = 0
        save(pixels, tmp_path / f"{name}.png")
    rows = [f"{n}.png,{c},{y},0,{y + 64},64" for n in "ab" for y, c in ((0, "Ground"), (64, "Powder"))]
    (tmp_path / "manifest.csv").write_text("\n".join(["path,class,y0,x0,y1,x1", *rows]), encoding="utf-8")
    assert audited(tmp_path)[0].groups == (0, 0, 1, 1)


def test_progress_counts_files(folder):
    told = []
    audit(read_dataset(folder), lambda done, total: told.append((done, total)))
    assert told == [(done, 8) for done in range(1, 9)]


def test_the_command_prints_the_audit_and_saves_it(folder, tmp_path, capsys):
    out = tmp_path / "new" / "audit.json"
    assert main(["audit", str(folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    saved = json.loads(out.read_text(encoding="utf-8"))
    assert saved["sentences"][0] in printed
    assert saved["pictures"] == len(saved["groups"]) == 8
    assert {category["name"] for category in saved["categories"]} == {"Fibres", "Powder"}


def test_the_command_says_in_one_sentence_what_is_not_there(tmp_path, capsys):
    assert main(["audit", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_audit_that_cannot_be_written_says_so(folder):
    with pytest.raises(OSError, match="cannot be written"):
        save_audit(audit(read_dataset(folder)), folder / "Fibres" / "1.png" / "audit.json")


def test_of_many_small_pictures_each_is_usable(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 32, 32), dtype=np.uint8)
    for index, picture in enumerate(pixels):
        save(picture, tmp_path / f"C{index % 3}" / f"{index}.png")
    assert len(audited(tmp_path)[2]) == 300


@pytest.mark.parametrize("name", ["materials", "nffa"])
def test_no_groups_of_real_specimens_are_joined(real_data, name):
    dataset = read_dataset(real_data / name)
    found = audit(dataset)
    assert len(set(found.groups)) == len({picture.group for picture in dataset.pictures})
    assert len(found.usable) == len(dataset.pictures)
