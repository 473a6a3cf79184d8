"""The page and the charts: whole, safe to open, and readable whatever the categories are called."""

import io
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from napari_semclass.classify.figure import png, short
from napari_semclass.errors import OutputError
from napari_semclass.learn.charts import category_chart, confusion_chart, learning_curves
from napari_semclass.learn.contact_sheet import MOST, Mistake, contact_sheet, worst
from napari_semclass.learn.evaluate import Evaluation
from napari_semclass.learn.measure import measure
from napari_semclass.learn.metrics import Share
from napari_semclass.learn.report import write_report
from napari_semclass.learn.shortcut import Bars, ShortcutCheck, SourceScore
from napari_semclass.learn.sources import Coincidence

EVIL = "<script>alert('x')</script>"
NASTY = (EVIL, 'a" onload="x', "$\\frac{$ broken & mathtext", "_hidden\nname")


def metrics_of(names, per_category=24):
    """Metrics of scores that are right most of the time; every category has two groups."""
    labels = np.repeat(np.arange(len(names)), per_category)
    logits = np.random.default_rng(0).normal(0, 1, (len(labels), len(names)))
    logits[np.arange(len(labels)), labels] += 2
    pictures = np.arange(len(labels)) // 6
    return measure(logits, labels, pictures, pictures // 2, names, unit="tile", temperature=0.7)


def shortcut_of(names):
    """A check that found something, of sources with nasty names."""
    scores = metrics_of(names).per_image
    share = Share(0.5, 0.2, 0.8)
    return ShortcutCheck(
        images=16,
        with_bar=16,
        compared=16,
        bars=Bars(scores, scores, scores, share, 0.1),
        sources=(SourceScore(names[0], 8, 4, share), SourceScore(names[3], 8, 4, share)),
        coincidence=Coincidence(16, 0, 2, 0.9, names[:1], 4),
    )


@pytest.fixture
def evaluation(tiny_card):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    return Evaluation(
        card=replace(tiny_card, title=f"Model {EVIL}"),
        metrics=metrics_of(NASTY),
        random_split=f"Skipped for {EVIL}.",
        shortcut=shortcut_of(NASTY),
        mistakes=(Mistake(pixels, EVIL, NASTY[1], 0.93, f"{EVIL}/$file$.png", (0, 32, 32, 64)),),
        warnings=(f"It knew {EVIL}.",),
        notes=(f"Mind {EVIL}.",),
        made={"model": {"name": EVIL}, "device": EVIL},
    )


class Page(HTMLParser):
    """Tags and sources of images of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.attributes = set(), [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.sources += [value for name, value in attrs if name in ("src", "href")]


def test_the_page_holds_everything_and_loads_nothing(evaluation, tmp_path):
    page = write_report(evaluation, tmp_path)
    found = Page(page.read_text(encoding="utf-8"))
    assert len(found.sources) == 4
    assert all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert "link" not in found.tags


def test_names_cannot_become_markup(evaluation, tmp_path):
    text = write_report(evaluation, tmp_path).read_text(encoding="utf-8")
    found = Page(text)
    assert "script" not in found.tags
    assert not {name for name in found.attributes if name.startswith("on")}
    assert "&lt;script&gt;alert(" in text


def test_files_are_whole_pictures_and_repeat_exactly(evaluation, tmp_path):
    for name in ("first", "second"):
        write_report(evaluation, tmp_path / name)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()
        if path.suffix == ".png":
            Image.open(path).load()


def test_a_folder_that_cannot_be_written_to_gets_a_sentence(evaluation, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(evaluation, tmp_path / "file")


@pytest.mark.parametrize("count", [2, 7, 30])
def test_counts_in_the_confusion_matrix_fit_their_cells(count):
    scores = metrics_of([f"Category_{number}_with_a_name_that_is_long" for number in range(count)]).scores
    figure = confusion_chart(scores)
    png(figure)
    axes = figure.axes[0]
    cell = axes.get_window_extent().width / count
    texts = [text.get_window_extent() for text in axes.texts]
    assert len(texts) == np.count_nonzero(scores.confusion)
    assert max(text.width for text in texts) < cell
    assert min(text.get_fontsize() for text in axes.texts) >= 6


def test_the_worst_category_is_on_top():
    chart = category_chart(metrics_of(("good", "bad")).scores)
    scores = metrics_of(("good", "bad")).scores
    weakest = min(scores.categories, key=lambda each: each.f1.value)
    assert chart.axes[0].get_yticklabels()[-1].get_text().startswith(weakest.name)


def test_learning_curves_leave_gaps_where_nothing_was_measured():
    epochs = [
        {"epoch": 1, "stage": 1, "train_loss": 2.0, "valid_loss": None, "accuracy": None, "macro_f1": None},
        {"epoch": 2, "stage": 2, "train_loss": 1.0, "valid_loss": 1.1, "accuracy": 0.7, "macro_f1": 0.6},
    ]
    losses, shares = learning_curves(epochs).axes
    training, validation = losses.lines[:2]
    assert training.get_ydata().tolist() == [2.0, 1.0]
    assert np.isnan(validation.get_ydata()).tolist() == [True, False]
    assert [line.get_label() for line in shares.lines[:2]] == ["accuracy", "macro-F1"]
    assert len(losses.lines) == 3  # the third marks the new stage


def test_the_most_confident_mistakes_come_first_and_one_of_each_picture():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.99, 0.01], [0.6, 0.4]])
    labels = np.array([1, 0, 0, 0, 1])
    pictures = np.array([0, 1, 1, 2, 3])
    assert worst(probabilities, labels, pictures) == [0, 1, 4]


def test_the_sheet_is_never_endless():
    probabilities = np.tile([0.9, 0.1], (50, 1))
    assert len(worst(probabilities, np.ones(50, dtype=int), np.arange(50))) == MOST


def test_without_mistakes_the_sheet_says_so():
    assert Image.open(io.BytesIO(png(contact_sheet([])))).width > 100


def test_long_names_keep_their_ends():
    assert short("MEMS_devices_and_electrodes_large", 20) == "MEMS_devic…des_large"
    assert short("two\nlines") == "two lines"
