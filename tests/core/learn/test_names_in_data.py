"""Categories, groups and folders in two Unicode forms are one, wherever they are compared; others get a word."""

import csv
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_semclass.annotate import Categories
from napari_semclass.annotate.imported import read_examples
from napari_semclass.cli import main
from napari_semclass.errors import SettingsError
from napari_semclass.learn.audit import audit
from napari_semclass.learn.compare import shared_categories
from napari_semclass.learn.dataset import data_sha256, read_dataset
from napari_semclass.learn.evaluate import evaluate_model
from napari_semclass.learn.model_names import unfit
from napari_semclass.learn.split import split_samples
from napari_semclass.model import Category, Preprocessing, load_model, save_model

NFC, NFD = "Körner", unicodedata.normalize("NFD", "Körner")
LEVELS = {NFC: 20, NFD: 20, "grey": 125, "bright": 235}


def draw(path, level, seed):
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.normal(level, 4, (6, 9)).astype(np.float32))
    pixels = np.array(coarse.resize((96, 64), Image.Resampling.BICUBIC)) + random.normal(0, 4, (64, 96))
    pixels[0, 0], pixels[-1, -1] = 0, 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def folders(root, *names, first=0):
    for number, name in enumerate(names):
        for copy in range(3):
            draw(root / name / f"{copy}.png", LEVELS.get(name.strip(), 60), first + 10 * number + copy)
    return root


def table(root, header, *rows):
    for row in rows:
        if not (root / row[0]).exists():
            draw(root / row[0], 60, len(list(root.rglob("*.png"))))
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return root


@pytest.fixture
def knows_grains(tiny_model, tmp_path):
    """The file of a model that knows Körner in the composed form."""
    categories = (Category(NFC, "#d55e00"), *tiny_model.card.categories[1:])
    steps = Preprocessing(mean=0.5, std=0.5, low_percentile=0.0, high_percentile=100.0)
    card = replace(tiny_model.card, categories=categories, preprocessing=steps)
    return save_model(tiny_model.network, card, tmp_path / "m.safetensors", half=False)


def test_a_category_in_two_forms_is_one_and_shown_as_it_was_written_first(tmp_path):
    folders(tmp_path / "train", NFD, "grey")
    folders(tmp_path / "valid", NFC, "grey", first=50)
    dataset = read_dataset(tmp_path)
    assert dataset.categories == (NFD, "grey")
    assert dataset.notes == ()
    found = audit(dataset)
    assert "in 2 categories" in found.sentences()[0]
    assert not found.contradictory


def test_both_forms_of_one_data_set_give_the_same_hash_and_order(tmp_path):
    one, other = (
        read_dataset(folders(tmp_path / form, name, "grey", "Kurz")) for form, name in (("c", NFC), ("d", NFD))
    )
    assert data_sha256(one.pictures) == data_sha256(other.pictures)
    assert [unicodedata.normalize("NFC", name) for name in other.categories] == list(one.categories)


@pytest.mark.parametrize("written", [NFC, NFD])
def test_a_model_is_evaluated_on_its_categories_in_any_form(tmp_path, knows_grains, written):
    found = evaluate_model(knows_grains, folders(tmp_path / "data", written, "grey"), tmp_path / "out", device="cpu")
    assert found.metrics.scores.accuracy.value == 1
    assert [each.name for each in found.metrics.scores.categories] == [NFC, "grey", "bright"]


def test_a_model_is_evaluated_where_the_manifest_has_the_other_form(tmp_path, knows_grains, capsys):
    rows = [(f"{number}.png", name) for number, name in enumerate([NFD, NFC, "grey", " bright"])]
    for path, name in rows:
        draw(tmp_path / "data" / path, LEVELS[name.strip()], int(path[0]))
    table(tmp_path / "data", ("path", "class"), *rows)
    assert (
        main(["evaluate", str(tmp_path / "m.safetensors"), str(tmp_path / "data"), "--out", str(tmp_path / "o")]) == 0
    )


def test_a_category_of_other_case_is_refused_with_the_reason(tmp_path, knows_grains):
    folders(tmp_path / "data", "körner", "grey")
    with pytest.raises(SettingsError, match="Körner and körner differ by case only"):
        evaluate_model(knows_grains, tmp_path / "data", tmp_path / "out", device="cpu")


@pytest.mark.parametrize(
    ("names", "count", "word"),
    [
        (("Pores", "pores"), 2, "differ by case only"),
        (("Pores", "PORES", "pores"), 3, "differ by case only"),
        (("Pores", "Pores "), 1, "differ by blanks only"),
        (("Cross section", "Cross\xa0section"), 1, "differ by blanks only"),
        (("Pores", "Ｐｏｒｅｓ"), 2, "look alike"),
        (("Pores", "Po\u200bres"), 2, "cannot be seen"),
    ],
)
def test_names_that_look_the_same_get_a_word(tmp_path, names, count, word, capsys):
    table(tmp_path, ("path", "class"), *((f"{number}.png", name) for number, name in enumerate([*names, "Matrix"])))
    assert main(["audit", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert word in said
    assert f"in {count + 1} categories" in said.splitlines()[0]
    assert (word in said.splitlines()[0]) == (count > 1)


def test_a_note_shows_names_without_the_breaks_around_them(tmp_path):
    table(tmp_path, ("path", "class"), ("0.png", "Pore\n"), ("1.png", "pore"))
    (note,) = read_dataset(tmp_path).notes
    assert note.startswith("Categories: Pore and pore differ by case only")


def test_names_that_differ_in_more_get_none(tmp_path):
    table(tmp_path, ("path", "class", "group"), ("0.png", "Pores", "s1"), ("1.png", "Poren", "s2"))
    dataset = read_dataset(tmp_path)
    assert dataset.notes == ()
    assert "differ by" not in " ".join(audit(dataset).sentences())


@pytest.mark.parametrize("other", [NFD, f" {NFC}", f"{NFC} ", f"{NFC}\xa0"])
def test_a_group_in_two_forms_is_never_on_both_sides(tmp_path, other):
    rows = [(f"{number}.png", "PQ"[number % 2], (NFC, other, "s2", "s3")[number // 2]) for number in range(8)]
    dataset = read_dataset(table(tmp_path, ("path", "class", "group"), *rows))
    assert len({picture.group for picture in dataset.pictures}) == 3
    found = audit(dataset)
    labels = np.array([dataset.categories.index(p.category) for p in dataset.pictures])
    boxes = np.zeros((8, 4), dtype=np.int64)
    for seed in range(5):
        held = split_samples(labels, np.array(found.groups), np.arange(8), boxes, 0.3, seed, categories=("P", "Q"))
        groups = [{unicodedata.normalize("NFC", rows[i][2]).strip() for i in side} for side in (held.train, held.valid)]
        assert not groups[0] & groups[1]


def test_groups_of_other_case_are_kept_apart_with_a_word(tmp_path):
    rows = [("0.png", "P", "Wool"), ("1.png", "Q", "wool")]
    assert read_dataset(table(tmp_path, ("path", "class", "group"), *rows)).notes == (
        "Groups: Wool and wool differ by case only, and are 2 groups; give them one name if they are the same.",
    )


@pytest.mark.parametrize(("train", "valid"), [("Train", "Valid"), ("train", "val"), ("training", "VALIDATION")])
def test_folders_of_parts_are_known_by_their_usual_names(tmp_path, train, valid):
    folders(tmp_path / train, "grey")
    folders(tmp_path / valid, "grey", first=50)
    folders(tmp_path / "test", "grey", first=70)
    dataset = read_dataset(tmp_path)
    assert dataset.categories == ("grey",)
    assert {picture.part for picture in dataset.pictures} == {"train", "valid"}
    assert dataset.ignored == ("test: is neither train nor valid.",)


def test_categories_that_are_called_like_parts_are_categories(tmp_path):
    assert read_dataset(folders(tmp_path, "Training", "val")).categories == ("Training", "val")


def test_marks_examples_and_comparisons_take_both_forms_for_one(tmp_path, tiny_card):
    categories = Categories().add(NFC).add("grey")
    assert categories.by_name(NFD.upper()) is categories.items[0]
    with pytest.raises(SettingsError, match="two categories named"):
        categories.add(f" {NFD}")
    examples = read_examples([str(folders(tmp_path / "data", NFD, "grey"))], tiny_card, 32)
    assert {categories.by_name(name).number for name in examples.names} == {1, 2}
    assert shared_categories((NFC, "grey"), (NFD, "bright")) == (NFC,)
    assert "is there already" in unfit(NFD, frozenset({NFC.casefold()}))


def test_a_folder_and_a_model_are_found_in_the_form_they_have_on_disk(tmp_path, monkeypatch, tiny_model):
    folders(tmp_path / f"{NFD}-data", "grey", "bright")
    assert len(read_dataset(tmp_path / f"{NFC}-data").pictures) == 6
    monkeypatch.setenv("SEMCLASS_MODELS", str(tmp_path / "models"))
    save_model(tiny_model.network, tiny_model.card, tmp_path / "models" / f"{NFD}.safetensors", half=False)
    assert load_model(NFC).card == load_model(tmp_path / "models" / f"{NFC}.safetensors").card == tiny_model.card


def test_an_import_takes_no_category_twice(tmp_path, capsys):
    assert main(["import", str(tmp_path / "w"), "--out", str(tmp_path / "m.safetensors"), "--backbone", "test_resnet",
                 "--categories", f"{NFC},{NFD}"]) == 2  # fmt: skip
    assert "each once" in capsys.readouterr().err
