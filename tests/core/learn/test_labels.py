"""The label audit: wrong labels are found and named, sound ones left alone, and what cannot be judged is said."""

import csv

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from napari_semclass.cli import main
from napari_semclass.errors import SettingsError
from napari_semclass.learn.audit import audit
from napari_semclass.learn.dataset import read_dataset
from napari_semclass.learn.doubts import doubt_labels
from napari_semclass.learn.labels import COPY, NEAR, check_labels, save_labels

KINDS = ("fine", "coarse", "sparse")


def texture(kind, seed):
    """64 x 96 px of one of three textures; uint8."""
    random = np.random.default_rng(seed)
    if kind == "sparse":
        grey = gaussian_filter((random.random((64, 96)) < 0.01).astype(float), 1.5)
    else:
        grey = gaussian_filter(random.normal(size=(64, 96)), {"fine": 0.6, "coarse": 4.0}[kind])
    low, high = grey.min(), grey.max()
    return (255 * (grey - low) / (high - low)).astype(np.uint8)


def write(folder, rows):
    """A data set of rows `(name, category, group, pixels)`."""
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "class", "group"))
        for name, category, group, pixels in rows:
            Image.fromarray(pixels).save(folder / name)
            writer.writerow((name, category, group))
    return folder


def rows_of(per_kind=10):
    return [
        (f"{kind}{n}.png", kind, f"{kind} specimen {n // 2}", texture(kind, 100 * k + n))
        for k, kind in enumerate(KINDS)
        for n in range(per_kind)
    ]


def mislabelled(rows, name, category):
    return [(path, category if path == name else truth, *rest) for path, truth, *rest in rows]


def names(check):
    return [check.dataset.name(suspect.picture) for suspect in check.suspects]


def test_flipped_labels_are_found_named_and_ranked(tiny_model, tmp_path):
    rows = mislabelled(mislabelled(rows_of(), "fine3.png", "coarse"), "sparse8.png", "fine")
    check = check_labels(read_dataset(write(tmp_path / "data", rows)), tiny_model, device="cpu")
    assert set(names(check)[:2]) == {"fine3.png", "sparse8.png"}
    assert len(check.suspects) <= 3
    found = dict(zip(names(check), check.suspects, strict=True))
    assert (found["fine3.png"].picture.category, found["fine3.png"].suggested) == ("coarse", "fine")
    assert found["sparse8.png"].suggested == "sparse"
    margins = [suspect.margin for suspect in check.suspects]
    assert margins == sorted(margins)
    assert check.judged == 30


def test_sound_labels_are_left_alone(tiny_model, tmp_path):
    check = check_labels(read_dataset(write(tmp_path / "data", rows_of())), tiny_model, device="cpu")
    assert len(check.suspects) <= 1
    assert check.agreement > 0.9


def test_near_duplicates_and_copies_that_disagree_are_listed(tiny_model, tmp_path):
    brighter = np.clip(texture("fine", 0) * 0.8 + 20, 0, 255).astype(np.uint8)
    rows = [
        *rows_of(),
        ("edited.png", "coarse", "elsewhere", brighter),
        ("copied.png", "sparse", "elsewhere 2", texture("coarse", 100)),
    ]
    check = check_labels(read_dataset(write(tmp_path / "data", rows)), tiny_model, device="cpu")
    found = dict(zip(names(check), check.suspects, strict=True))
    assert NEAR in found["edited.png"].reason
    assert found["edited.png"].alike == ("fine0.png",)
    assert found["edited.png"].suggested == "fine"
    assert COPY in found["copied.png"].reason
    assert found["copied.png"].alike == ("coarse0.png",)
    assert {"fine0.png", "coarse0.png"} <= set(found)  # either of a pair may be the wrong one


def test_boxes_of_annotated_micrographs_are_judged_one_by_one(tiny_model, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    lines = ["path,class,group,y0,x0,y1,x1"]
    for number in range(8):
        pixels = np.concatenate([texture("fine", number), texture("coarse", 50 + number)])
        Image.fromarray(pixels).save(folder / f"{number}.png")
        for y0, truth in ((0, "fine"), (64, "coarse")):
            for x0 in (0, 32, 64):
                wrong = (number, y0, x0) == (2, 64, 32)
                lines.append(f"{number}.png,{'fine' if wrong else truth},{number},{y0},{x0},{y0 + 32},{x0 + 32}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    check = check_labels(read_dataset(folder), tiny_model, device="cpu")
    save_labels(check, tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["path"], first["label"], first["suggested"]) == ("2.png", "fine", "coarse")
    assert [first[key] for key in ("y0", "x0", "y1", "x1")] == ["64", "32", "96", "64"]
    assert len(check.suspects) <= 3


def test_a_category_of_one_group_is_said_not_to_be_judged(tiny_model, tmp_path):
    rows = [*rows_of()[:20], *((f"lone{n}.png", "lone", "one", texture("sparse", 900 + n)) for n in range(4))]
    check = check_labels(read_dataset(write(tmp_path / "data", rows)), tiny_model, device="cpu")
    assert check.judged == 20
    assert check.not_judged == ("lone",)
    assert "lone" in check.sentences()[-1]
    assert all("lone" not in (one.picture.category, one.suggested) for one in check.suspects)


def test_without_groups_to_keep_apart_one_sentence_says_what_to_do():
    features = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    with pytest.raises(SettingsError, match="two groups"):
        doubt_labels(features, np.arange(8) % 2, np.arange(8) % 2)


def test_a_label_is_never_judged_by_its_own_group():
    """A specimen mislabelled as a whole looks sound to whoever learned from it."""
    random = np.random.default_rng(0)
    labels, groups = np.repeat([0, 1], 40), np.arange(80) // 8
    features = (random.normal(size=(80, 6)) + 4 * labels[:, None]).astype(np.float32)
    swapped = groups == 2
    given = np.where(swapped, 1, labels)
    doubts = doubt_labels(features, given, groups)
    assert (doubts.margins[swapped] < 0).all()
    found = set(doubts.order)
    assert found <= set(np.flatnonzero(swapped))
    assert len(found) >= 4


def test_the_command_prints_a_table_and_writes_a_safe_csv(models, tmp_path, capsys):
    rows = mislabelled(rows_of(), "fine3.png", "coarse")
    rows = [("=1+1.png" if path == "fine3.png" else path, *rest) for path, *rest in rows]
    folder = write(tmp_path / "data", rows)
    out = tmp_path / "out"
    assert main(["audit", str(folder), "--labels", "--model", "tiny", "--device", "cpu", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "1.  =1+1.png  coarse -> fine" in said
    assert "30 of 30 usable pictures judged" in said
    with (out / "labels.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file))["path"] == "'=1+1.png"
    assert (out / "audit.json").exists()


def test_a_file_in_place_of_the_folder_gets_a_sentence(models, tmp_path, capsys):
    folder = write(tmp_path / "data", rows_of(4))
    (tmp_path / "taken").write_text("")
    arguments = ["audit", str(folder), "--labels", "--model", "tiny", "--out", str(tmp_path / "taken")]
    assert main(arguments) == 2
    assert "folder" in capsys.readouterr().err


def test_an_audit_that_was_made_is_used(tiny_model, tmp_path):
    dataset = read_dataset(write(tmp_path / "data", rows_of(4)))
    found = audit(dataset)
    assert check_labels(dataset, tiny_model, audited=found, device="cpu").audited is found
