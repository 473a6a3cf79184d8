"""The shortcut check: a model that reads the data bar is caught, one that looks at the specimen is not accused."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from napari_semclass.classify.forward import Forward
from napari_semclass.cli import main
from napari_semclass.learn.answers import answers_of
from napari_semclass.learn.audit import audit
from napari_semclass.learn.dataset import read_dataset
from napari_semclass.learn.evaluate import evaluate_model
from napari_semclass.learn.quick import fit_quick
from napari_semclass.learn.report import write_report
from napari_semclass.learn.sources import coincidence
from napari_semclass.learn.tiles import Cutting, cut_samples

KINDS = ("dark", "bright")


def picture(seed, kind, *, bar=True, tells="bar"):
    """160 x 224 px of noise with a data bar of 24 px below; its category is in the bar or in the specimen."""
    random = np.random.default_rng(seed)
    level = {"dark": 100, "bright": 155}[kind] if tells == "specimen" else 128
    pixels = np.clip(random.normal(level, 25, (160, 224)), 1, 254)
    pixels[0, :2] = 0, 255  # so that levels mean the same in every picture
    if not bar:
        return pixels.astype(np.uint8)
    white = kind == "bright" if tells == "bar" else bool(seed % 2)
    band = Image.new("L", (224, 24), 255 if white else 0)
    words = f"{random.integers(10, 99)} kV   WD {random.uniform(2, 9):.1f} mm   Mag {random.integers(1, 99)} kX"
    ImageDraw.Draw(band).text((6, 6), words, fill=0 if white else 255, font=ImageFont.load_default(size=11))
    return np.concatenate([pixels, np.array(band)]).astype(np.uint8)


def write(folder, pictures, sources=None):
    """A data set of `(category, pixels)`, each picture its own group."""
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "class", "group", *(("source",) if sources else ())))
        for number, (category, pixels) in enumerate(pictures):
            Image.fromarray(pixels).save(folder / f"{number}.png")
            writer.writerow((f"{number}.png", category, number, *((sources[number],) if sources else ())))
    return folder


def taught(base, folder, bars):
    """A model that learned from these pictures, with their data bars kept or masked."""
    dataset = read_dataset(folder)
    steps = replace(base.card.preprocessing, low_percentile=0.0, high_percentile=100.0)
    cutting = Cutting("tile", 32, 32, 32, steps, bars=bars)
    every = range(len(dataset.pictures))
    cut = cut_samples(dataset.pictures, every, cutting, list(every), KINDS)
    _, features = answers_of(Forward.on(base, "cpu"), cut.pixels, np.ones(len(cut), dtype=bool))
    base = replace(base, card=replace(base.card, preprocessing=steps))
    categories = [replace(base.card.categories[number], name=name) for number, name in enumerate(KINDS)]
    return fit_quick(
        features,
        cut.labels,
        cut.groups,
        cut.pictures,
        categories,
        base,
        tile=32,
        name="taught",
        title="Taught",
        tested="tested on other pictures",
    ).model


def set_of(folder, seeds, **how):
    return write(folder, [(KINDS[seed % 2], picture(7 * seed + seed // 2, KINDS[seed % 2], **how)) for seed in seeds])


def test_a_model_that_reads_the_bar_is_caught(tiny_model, tmp_path):
    model = taught(tiny_model, set_of(tmp_path / "learned", range(16)), "kept")
    test = set_of(tmp_path / "test", range(100, 120))
    Image.fromarray(picture(9, "dark", bar=False)).save(test / "bare.png")
    with (test / "manifest.csv").open("a") as file:
        file.write("bare.png,dark,bare\n")
    found = evaluate_model(model, test, tmp_path / "out", device="cpu")
    check = found.shortcut
    assert (check.images, check.with_bar, check.compared) == (21, 20, 20)  # the one without a bar is left out
    assert check.bars.kept.accuracy.value > 0.9
    assert check.bars.alone.accuracy.low > check.bars.majority == 0.5
    assert check.bars.masked.accuracy.value < 0.8
    assert any("reads the data bar" in text for text in found.warnings)
    page = write_report(found, tmp_path / "out").read_text(encoding="utf-8")
    assert "Does it read the data bar?" in page
    assert "The model reads the data bar" in page
    kept = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))["shortcut_check"]
    assert kept["data_bar"]["alone"]["accuracy"] == check.bars.alone.accuracy.value
    assert (kept["n_images"], kept["n_with_bar"]) == (21, 20)
    assert not list((tmp_path / "out").glob(".tiles*"))


def test_a_model_that_looks_at_the_specimen_is_not_accused(tiny_model, tmp_path):
    model = taught(tiny_model, set_of(tmp_path / "learned", range(16), tells="specimen"), "masked")
    test = set_of(tmp_path / "test", range(100, 120), tells="specimen")
    found = evaluate_model(model, test, tmp_path / "out", device="cpu")
    assert found.shortcut.bars.masked.accuracy.value > 0.9
    assert not found.shortcut.warnings()


def test_without_data_bars_nothing_is_claimed(tiny_model, tmp_path):
    model = taught(tiny_model, set_of(tmp_path / "learned", range(12), tells="specimen", bar=False), "masked")
    test = set_of(tmp_path / "test", range(100, 106), tells="specimen", bar=False)
    check = evaluate_model(model, test, tmp_path / "out", device="cpu").shortcut
    assert check.bars is None
    assert check.to_json()["data_bar"] is None
    assert "not checked" in check.sentences()[0]


def test_accuracy_is_shown_for_each_source(tiny_model, tmp_path):
    model = taught(tiny_model, set_of(tmp_path / "learned", range(12), tells="specimen", bar=False), "masked")
    sound = [(KINDS[n % 2], picture(50 + n, KINDS[n % 2], bar=False, tells="specimen")) for n in range(8)]
    wrong = [(KINDS[n % 2], picture(70 + n, KINDS[1 - n % 2], bar=False, tells="specimen")) for n in range(4)]
    test = write(tmp_path / "test", [*sound, *wrong], ["Zeiss"] * 8 + ["TESCAN"] * 4)
    found = evaluate_model(model, test, tmp_path / "out", device="cpu").shortcut
    first, second = found.sources
    assert (first.source, first.images, first.accuracy.value) == ("Zeiss", 8, 1.0)
    assert (second.source, second.images, second.accuracy.value) == ("TESCAN", 4, 0.0)
    assert "TESCAN" in found.sentences()[1]


@pytest.mark.parametrize(
    ("pairs", "strong"),
    [
        ([("Fibres", "Zeiss"), ("Powder", "TESCAN")] * 10, True),
        ([("Fibres", "Zeiss"), ("Powder", "TESCAN")], True),  # one source each, though two groups prove nothing
        ([("Fibres", "Zeiss"), ("Powder", "Zeiss")] * 10, False),  # one source tells nothing apart
        ([(c, s) for c in ("Fibres", "Powder") for s in ("Zeiss", "TESCAN")] * 5, False),
        ([("Fibres", "Zeiss"), ("Powder", "unknown")] * 10, False),
        ([(c, f"lab {n}") for n, c in enumerate(["Fibres", "Powder"] * 10)], False),  # each picture from elsewhere
    ],
)
def test_category_and_source_coincide_or_not(pairs, strong):
    found = coincidence([c for c, _ in pairs], [s for _, s in pairs], range(len(pairs)))
    assert found.is_strong == strong
    assert bool(found.sentence()) == strong


def test_groups_count_once():
    """Ten pictures of one specimen are not ten reasons to believe in a coincidence."""
    table = (
        [("Fibres", "Zeiss", 0)] * 30 + [("Powder", "TESCAN", 1)] + [("Fibres", "TESCAN", 2), ("Powder", "Zeiss", 3)]
    )
    assert coincidence(*zip(*table, strict=True)).cramers_v == 0


def test_the_audit_warns_of_coincidence_and_takes_the_instrument_from_the_manifest(tmp_path, capsys):
    pictures = [(KINDS[n % 2], picture(n, KINDS[n % 2], bar=False)) for n in range(8)]
    folder = write(tmp_path / "data", pictures, ["Zeiss", "TESCAN"] * 4)
    assert main(["audit", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "Category and source coincide" in said
    assert "one source only: bright, dark" in said


def test_folders_named_by_category_are_no_source(tmp_path):
    for number in range(4):
        path = tmp_path / KINDS[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture(number, "dark", bar=False)).save(path)
    found = audit(read_dataset(tmp_path))
    assert set(found.sources) == {"unknown"}
    assert not found.coincidence.sentence()
