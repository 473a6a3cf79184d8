"""Names: which are the same, which only look it, and file names as text."""

import json
import os
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_semclass.cli.arguments import model_file
from napari_semclass.learn.run import Run
from napari_semclass.names import (
    confusable,
    existing,
    first_forms,
    fold,
    key,
    matching,
    path_of_text,
    sentences_on,
    text_of_path,
)
from napari_semclass.retrain import new_task
from napari_semclass.writing import json_text

NFC, NFD = "Körner", unicodedata.normalize("NFD", "Körner")


@pytest.mark.parametrize("other", [NFD, " Körner", "Körner ", "\tKörner\xa0", "\ufeffKörner\u200b", "Körner\u3000"])
def test_form_and_outer_blanks_make_no_other_name(other):
    assert key(other) == key(NFC)


@pytest.mark.parametrize("other", ["körner", "Korner", "Kör ner", "Kö\u200brner", "Ｋörner"])
def test_what_can_be_seen_or_might_be_meant_does(other):
    assert key(other) != key(NFC)


def test_names_are_shown_as_they_were_written_first():
    assert first_forms([NFD, NFC, "Streifen ", "Streifen"]) == {
        NFD: NFD,
        NFC: NFD,
        "Streifen ": "Streifen",
        "Streifen": "Streifen",
    }
    assert matching(NFD, ["Streifen", NFC]) == NFC
    assert matching(NFD, [NFC, NFD]) == NFD
    assert matching("körner", [NFC]) is None


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("Pores", "pores", "case"),
        ("Straße", "STRASSE", "case"),
        ("Pores", "Ｐｏｒｅｓ", "look alike"),
        ("Pores", "Po\u200bres", "cannot be seen"),
        ("Pores", "Po\xadres", "cannot be seen"),
    ],
)
def test_names_that_only_look_the_same_get_a_word(one, other, how):
    assert confusable([one, other, "Matrix"]) == [(one, other)]
    (sentence,) = sentences_on([one, other, "Matrix"], "category", "categories")
    assert sentence.startswith(f"{one} and {other} differ by ")
    assert how in sentence


def test_names_in_two_forms_need_no_word_but_other_blanks_do():
    assert sentences_on([NFC, NFD], "category", "categories") == []
    (sentence,) = sentences_on(["Pores", "Pores ", "Cracks"], "category", "categories")
    assert sentence == "'Pores' and 'Pores ' differ by blanks only and are read as one category."


@given(st.text())
def test_the_same_name_looks_the_same(name):
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, name)
        assert key(other) == key(name)
        assert fold(other) == fold(name)
        assert confusable([name, other]) == []


@pytest.mark.skipif(sys.platform == "win32", reason="names of files are text on Windows")
@given(st.binary().filter(lambda name: b"\0" not in name))
def test_any_file_name_becomes_text_and_that_text_the_name(name):
    path = os.fsdecode(name)
    text = text_of_path(path)
    text.encode("utf-8")
    assert path_of_text(text) == path


@given(st.text())
def test_file_names_that_are_text_stay_it(name):
    if "\\x" not in name:
        assert text_of_path(name) == name
    assert path_of_text(text_of_path(name)) == name


@given(st.dictionaries(st.text(), st.text(alphabet=st.characters(exclude_categories=()))))
def test_json_can_be_read_whatever_it_names(values):
    written = json_text(values).encode("utf-8")
    assert set(json.loads(written)) == set(values)


def test_what_is_on_disk_is_found_in_its_own_form(tmp_path):
    (tmp_path / NFD / "innen").mkdir(parents=True)
    if (tmp_path / NFC).exists():
        pytest.skip("this disk takes both forms for one name")
    assert existing(tmp_path / NFC / "innen") == tmp_path / NFD / "innen"
    assert existing(tmp_path / NFC / "außen") == tmp_path / NFC / "außen"
    (tmp_path / NFC).mkdir()
    assert existing(tmp_path / NFC / "innen") == tmp_path / NFC / "innen"


def test_training_finds_data_model_and_run_in_their_other_unicode_form(tmp_path):
    (tmp_path / NFC).mkdir()
    (tmp_path / f"{NFD}.run").mkdir()
    (tmp_path / f"{NFD}.safetensors").touch()
    assert new_task(tmp_path / NFD, tmp_path / "new.safetensors").data == str(tmp_path / NFC)
    assert Run(tmp_path / f"{NFC}.run").folder.is_dir()
    assert model_file(str(tmp_path / f"{NFC}.safetensors")).is_file()
