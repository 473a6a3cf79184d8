"""The widget without a browser: its traits, what its buttons ask for, and the same numbers as everywhere else."""

import threading

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="the widget needs the extra `notebook`")

from napari_semclass.annotate import Marks, Region, Source, collect_tiles, mark_tiles
from napari_semclass.annotate.categories import Categories
from napari_semclass.annotate.learning import learn_labelled, predicted
from napari_semclass.classify import Settings, classify_micrograph
from napari_semclass.classify.features import feature_steps
from napari_semclass.errors import MicrographError, ModelError, SettingsError
from napari_semclass.micrograph import as_micrographs
from napari_semclass.notebook import SemClassifier

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def widget(three_bands, tiny_model):
    made = SemClassifier(three_bands, tiny_model, ["dark", "bright"])
    yield made
    made.close()


def mark_both(widget):
    for y in (10, 80):
        widget.mark(y, 10, "dark")
        widget.mark(y, 150, "bright")


def ask(widget, kind, **more):
    """Say what a browser says."""
    widget._handle_custom_msg({"kind": kind, **more}, [])


def returned(steps):
    """What a generator returns in the end."""
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            return ended.value


def test_classify_gives_what_the_core_gives(widget, three_bands, tiny_model):
    found = widget.classify()
    expected = classify_micrograph(as_micrographs(three_bands)[0], tiny_model)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)
    assert widget.prediction is found
    assert [entry["name"] for entry in widget._legend] == ["dark", "bright", "grey"]
    assert "dark 40 %" in widget.summary
    assert "dark 40 %" in widget._status["sentence"]


def test_the_browser_is_told_the_label_of_every_cell(widget):
    cells = widget.classify().cells()
    told = widget._overlay
    labels = np.frombuffer(told["labels"], "<u2").reshape(len(told["y"]) - 1, len(told["x"]) - 1)
    np.testing.assert_array_equal(labels, cells.labels())
    assert told["names"] == ["not classified", "dark", "grey", "bright"]
    assert told["colors"][1:] == ["#d55e00", "#009e73", "#56b4e9"]


def test_marks_give_the_same_model_and_prediction_as_annotate(widget, three_bands, tiny_model):
    mark_both(widget)
    result = widget.learn()
    micrograph, settings = as_micrographs(three_bands)[0], Settings()
    grid = settings.grid(micrograph, tiny_model.card)
    regions = tuple(
        Region(number, np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]]) - 0.5)
        for number, (y0, x0, y1, x1) in (
            (1, grid.box(grid.tile_at(10, 10))),
            (2, grid.box(grid.tile_at(10, 150))),
            (1, grid.box(grid.tile_at(80, 10))),
            (2, grid.box(grid.tile_at(80, 150))),
        )
    )
    tiles = mark_tiles(Marks(regions=regions), grid)
    categories = Categories().add("dark").add("bright")
    labelled = collect_tiles([(Source("image", micrograph.name, micrograph), tiles)], categories, 32)
    expected = returned(learn_labelled(labelled, tiny_model, name="quick", title="My marks"))
    assert not expected.model.card.windows  # tiles do not overlap
    *_, step = feature_steps(micrograph, tiny_model, grid.boxes(), tile=32)
    shown = predicted(step.features, grid, micrograph, expected.model, settings.reject)
    np.testing.assert_allclose(widget.prediction.probabilities, shown.probabilities, rtol=1e-5)
    assert result.sentence == expected.sentence
    assert result.sentence in widget._learned
    np.testing.assert_array_equal(widget.labelled.boxes, labelled.boxes)


def test_marks_of_the_browser_are_learned_by_themselves_unless_that_is_unwanted(widget, wait_until):
    mark_both(widget)
    rows = list(widget.annotations)
    widget.annotations = []
    widget.live = False
    widget.set_state({"annotations": rows})
    assert widget.annotations == rows
    widget.annotations = []
    widget.live = True
    widget.set_state({"annotations": rows})
    wait_until(lambda: widget.prediction is not None)
    assert widget.prediction.names == ("dark", "bright")


def test_a_mark_replaces_what_was_said_of_its_tile(widget):
    widget.mark(10, 10, "dark")
    widget.mark(12, 20, "bright")
    assert widget.annotations == [{"y0": 0, "x0": 0, "y1": 32, "x1": 32, "category": "bright"}]
    assert widget._counts["tiles"] == {"dark": 0, "bright": 1}


def test_annotations_must_be_boxes_of_the_micrograph_with_a_known_category(widget):
    box = {"y0": 0, "x0": 0, "y1": 32, "x1": 32}
    with pytest.raises(SettingsError, match="no category 'pore'"):
        widget.annotations = [{**box, "category": "pore"}]
    with pytest.raises(SettingsError, match="not in the micrograph of 96 x 160 px"):
        widget.annotations = [{**box, "y1": 97, "category": "dark"}]
    with pytest.raises(SettingsError, match="is not an annotation"):
        widget.annotations = [{"category": "dark"}]
    with pytest.raises(SettingsError, match="no tile at y = 500"):
        widget.mark(500, 10, "dark")
    assert widget.annotations == []


def test_categories_are_added_renamed_and_removed_from_the_browser(widget):
    ask(widget, "add", name=EVIL)
    assert [row["name"] for row in widget.categories] == ["dark", "bright", EVIL]
    assert [row["key"] for row in widget.categories] == [1, 2, 3]
    ask(widget, "add", name="Dark")
    assert widget._status == {
        "sentence": "there are two categories named dark; give one another name.",
        "problem": True,
    }
    widget.mark(10, 10, "dark")
    ask(widget, "rename", number=1, name="matrix")
    assert widget.annotations[0]["category"] == "matrix"
    ask(widget, "remove", number=1)
    assert widget._status["sentence"] == "matrix has marks; clear them first."
    ask(widget, "remove", number=3)
    assert [row["name"] for row in widget.categories] == ["matrix", "bright"]


def test_a_category_with_marks_cannot_vanish(widget):
    widget.mark(10, 10, "dark")
    with pytest.raises(SettingsError, match="no category 'dark'"):
        widget.categories = ["bright"]


def test_the_models_own_categories_can_be_taken(three_bands, tiny_model):
    widget = SemClassifier(three_bands, tiny_model)
    ask(widget, "adopt")
    assert [(row["name"], row["color"]) for row in widget.categories][:2] == [("dark", "#d55e00"), ("grey", "#009e73")]


def test_learning_too_little_is_one_sentence_there_and_here(widget):
    widget.mark(10, 10, "dark")
    with pytest.raises(SettingsError, match="Mark bright: it has no tiles yet"):
        widget.learn()
    assert widget._status["problem"]
    assert "Mark bright" in widget._status["sentence"]
    assert widget._work == {}


def test_what_cannot_be_opened_is_said_in_one_sentence(three_bands, tmp_path):
    with pytest.raises(MicrographError, match=r"gone\.tif"):
        SemClassifier(tmp_path / "gone.tif")
    with pytest.raises(ModelError, match="no model named 'nothing'"):
        SemClassifier(three_bands, "nothing")
    with pytest.raises(SettingsError, match="plane 7 is not there"):
        SemClassifier(np.stack([three_bands] * 3), plane=7)


def test_another_model_or_tile_lays_another_grid(widget):
    assert len(widget.grid) == 15
    widget.settings = Settings(tile=48)
    assert len(widget.grid) == 8
    assert widget._grid["rows"] == [[0, 48], [48, 96]]
    with pytest.raises(ModelError):
        widget.model = "nothing"
    assert widget.model.card.name == "tiny"


def test_a_prediction_of_another_micrograph_is_refused(widget, tiny_model):
    other = classify_micrograph(as_micrographs(np.random.default_rng(0).integers(0, 255, (64, 64)))[0], tiny_model)
    with pytest.raises(SettingsError, match=r"\(64, 64\) px, the micrograph has \(96, 160\) px"):
        widget.prediction = other


def test_the_browser_hears_what_is_at_a_place(widget):
    sent = []
    widget.send = lambda content, buffers=None: sent.append(content)
    ask(widget, "look", y=10, x=10)
    widget.classify()
    ask(widget, "look", y=10, x=10)
    ask(widget, "look", y=-5, x=10)
    assert "answer" not in sent[0]
    assert sent[1]["answer"] == "dark"
    assert sent[1]["probabilities"][0][0] == "dark"
    assert len(sent[1]["probabilities"]) == 3
    assert "answer" not in sent[2]


def test_tiles_of_the_picture_are_sent_when_they_are_asked_for(widget, three_bands, patience):
    sent, came = [], threading.Event()

    def send(content, buffers=None):
        sent.append((content, buffers))
        came.set()

    widget.send = send
    ask(widget, "tiles", keys=[[0, 0, 0]])
    assert came.wait(patience)
    content, [data] = sent[0]
    assert content == {"kind": "tile", "key": [0, 0, 0], "height": 96, "width": 160}
    grey = np.frombuffer(data, np.uint8).reshape(96, 160)
    assert grey[:, :64].mean() < 30
    assert grey[:, 96:].mean() > 225


def test_a_tile_that_is_not_there_is_a_sentence(widget, wait_until):
    ask(widget, "tiles", keys=[[9, 0, 0]])
    wait_until(lambda: "no tile (9, 0, 0)" in widget._status["sentence"])


def test_nonsense_from_a_browser_is_a_sentence_and_nothing_else(widget):
    for message in ({}, {"kind": "launch"}, {"kind": "look"}, {"kind": "rename", "number": "x", "name": ""}):
        widget._handle_custom_msg(message, [])
        assert widget._status["problem"]


def test_suggestions_come_after_learning_and_never_twice(tiny_model):
    slope = np.linspace(0, 200, 320)[None] + np.random.default_rng(0).normal(0, 20, (160, 320))
    widget = SemClassifier(np.clip(slope, 0, 255).astype(np.uint8), tiny_model, ["dark", "bright"])
    assert widget.suggest() is None
    assert widget._status["sentence"] == "Learn first; then it can ask."
    widget.mark(10, 10, "dark")
    widget.mark(10, 310, "bright")
    widget.learn()
    asked = []
    while (row := widget.suggest()) is not None:
        assert widget._suggestion["category"] in ("dark", "bright")
        asked.append((row["y0"], row["x0"]))
    assert asked
    assert len(set(asked)) == len(asked)
    assert not {(row["y0"], row["x0"]) for row in widget.annotations} & set(asked)
    assert widget._suggestion == {}


def test_a_job_that_is_replaced_stops_and_the_last_one_counts(widget):
    mark_both(widget)
    for _ in range(5):
        widget.learn(wait=False)
    widget.classify()
    assert widget.prediction.names == ("dark", "grey", "bright")


def test_data_bars_have_no_tiles_to_mark(tiny_model):
    pixels = np.random.default_rng(0).integers(60, 200, (160, 160)).astype(np.uint8)
    (micrograph,) = as_micrographs(pixels)
    from dataclasses import replace

    from napari_semclass.micrograph import DataBar

    widget = SemClassifier(replace(micrograph, known_bars=(DataBar(128, 160, 1.0),)), tiny_model, ["a"])
    with pytest.raises(SettingsError, match="data bar"):
        widget.mark(150, 10, "a")
    assert widget._grid["rows"][-1] == [96, 128]
