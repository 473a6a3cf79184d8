"""The card by itself: one text for equal cards, names from file names, and what is wrong said in one sentence."""

import hashlib
import json
from dataclasses import replace

import pytest

from napari_semclass.errors import ModelError
from napari_semclass.model.card import CARD_BYTES, Card, Category, Preprocessing, card_from_json, card_name

CARD = Card(
    name="fibres",
    title="Fäden",
    description="",
    categories=(Category("Fäden", "#ff0000"), Category("Pulver", "#00ff00")),
    backbone="resnet18",
    unit="tile",
    tile=224,
    input_size=224,
    preprocessing=Preprocessing(0.5, 0.25),
)


def changed(**fields):
    return json.dumps({**json.loads(CARD.to_json()), **fields})


def refusal(text):
    with pytest.raises(ModelError) as caught:
        card_from_json(text, "m.safetensors")
    return str(caught.value)


def test_the_text_of_a_card_stays_what_it_was():
    """Its hash is part of each model's: another one would make results of the same model look like another model's."""
    text = CARD.to_json()
    assert text.startswith('{"backbone":"resnet18","card_version":1,"categories":[{"color":"#ff0000","name":"Fäden"},')
    assert "windows" not in json.loads(text)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "639c6f8a2e6ee3e1ca8321d4e8e7025a704d9b33e91c4e703a14a2d9615ea7c3"
    )


def test_a_card_comes_back_from_its_text():
    assert card_from_json(CARD.to_json(), "x") == CARD
    windowed = replace(CARD, windows=True)
    assert json.loads(windowed.to_json())["windows"] is True
    assert "context" not in json.loads(windowed.to_json())
    wider = replace(windowed, context=3.0)
    assert card_from_json(wider.to_json(), "x") == wider
    with pytest.raises(ValueError, match="context goes with windows only"):
        replace(CARD, context=3.0)
    assert card_from_json(windowed.to_json(), "x") == windowed
    assert windowed.names == ("Fäden", "Pulver")


def test_a_card_may_be_as_large_as_is_said_and_no_larger():
    text = CARD.to_json()
    full = text + " " * (CARD_BYTES - len(text.encode()))
    assert card_from_json(full, "x") == CARD
    assert refusal(full + " ") == (
        "m.safetensors: its card is larger than 1,000,000 bytes; this is not a sound model file."
    )


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_what_is_no_json_is_refused(text):
    assert refusal(text) == "m.safetensors: its card is not valid JSON; this is not a sound model file."


def test_characters_that_are_none_are_refused():
    sentence = refusal(CARD.to_json().replace("Pulver", "\ud800"))
    assert sentence.startswith("m.safetensors: its card ")
    assert "not sound" in sentence


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"tile": 0}, "tile: "),
        ({"categories": [{"name": "a", "color": "red"}, {"name": "b", "color": "#000000"}]}, "categories.0.color: "),
        ({"categories": [{"name": "a", "color": "#000000"}] * 2}, "card: "),
    ],
)
def test_what_is_wrong_is_said_with_its_place(fields, place):
    assert refusal(changed(**fields)).startswith(f"m.safetensors: its card is not sound ({place}")


@pytest.mark.parametrize(
    ("text", "version"), [("[]", "None"), ("7", "None"), ("{}", "None"), (changed(card_version=2), "2")]
)
def test_cards_of_other_versions_are_refused(text, version):
    assert refusal(text) == (
        f"m.safetensors: its card has version {version}, this program knows version 1; update napari-semclass or ask "
        "for the model in that version."
    )


@pytest.mark.parametrize(("steps", "version"), [([], "None"), ({}, "None"), ({"version": 9}, "9")])
def test_preprocessing_of_other_versions_is_refused(steps, version):
    assert refusal(changed(preprocessing=steps)) == (
        f"m.safetensors: it was trained with preprocessing version {version}, this program does version 1; update "
        "napari-semclass or train the model again."
    )


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("fibres_2-a.b", "fibres_2-a.b"),
        ("my model (2)", "my-model--2"),
        ("._-Fäden-_.", "F-den"),
        ("X-ray X", "X-ray-X"),
        ("²", "model"),
        ("", "model"),
        ("x" * 101, "x" * 100),
    ],
)
def test_a_file_name_becomes_a_name_that_a_card_may_have(stem, name):
    assert card_name(stem) == name
    assert replace(CARD, name=name).name == name
